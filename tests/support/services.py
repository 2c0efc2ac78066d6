"""A whole service over a stand-in upstream, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.gateways.fallback import FallbackGateway
from gpt_image_2_mcp.gateways.images import ImagesGateway
from gpt_image_2_mcp.gateways.responses import ResponsesGateway
from gpt_image_2_mcp.operations import Operations
from gpt_image_2_mcp.ports import Gateway, SessionStore
from gpt_image_2_mcp.service import Defaults, ImageService
from gpt_image_2_mcp.sources.https import HttpsFetcher
from gpt_image_2_mcp.sources.loader import Sources
from gpt_image_2_mcp.stores.files import FileImageStore
from gpt_image_2_mcp.stores.memory import MemorySessionStore
from tests.support.upstreams import Recorder, sandboxed, upstream


@dataclass
class FakeClock:
    """A clock that stands until it is moved."""

    now: datetime = datetime(2026, 11, 22, 15, 3, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Bench:
    """A service with what it stands on, for tests to look at."""

    folder: Path
    recorder: Recorder = field(default_factory=sandboxed)
    clock: FakeClock = field(default_factory=FakeClock)
    sessions: SessionStore | None = None
    gateway: Callable[[Gateway], Gateway] = lambda gateway: gateway
    refuse_folder: ImageServerError | None = None

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def spool(self) -> Path:
        return self.folder / "state" / "spool"

    def service(self) -> ImageService:
        self.sessions = self.sessions or MemorySessionStore(self.clock)
        api = upstream(self.recorder)
        gateway = self.gateway(FallbackGateway(ImagesGateway(api), ResponsesGateway(api, "gpt-5.4-mini")))
        return ImageService(
            Operations(gateway, FileImageStore(), self.spool),
            Sources(self.folder, HttpsFetcher()),
            self.sessions,
            Defaults("gpt-image-2", self._output_dir),
            self.clock,
        )

    def _output_dir(self, asked: str | None) -> Path:
        if self.refuse_folder:
            raise self.refuse_folder
        return self.folder / asked if asked else self.pictures

    def names(self) -> list[str]:
        return sorted(path.name for path in self.pictures.iterdir())
