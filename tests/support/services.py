"""A whole service over a stand-in upstream, in a folder of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel

from gpt_image_2_mcp.budgets import Budgets
from gpt_image_2_mcp.drafts import Defaults
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.execution import Execution, Sleep
from gpt_image_2_mcp.gateways._addressed import nowhere
from gpt_image_2_mcp.gateways.fallback import FallbackGateway
from gpt_image_2_mcp.gateways.images import ImagesGateway
from gpt_image_2_mcp.gateways.responses import ResponsesGateway
from gpt_image_2_mcp.library import Library
from gpt_image_2_mcp.limits import Limits
from gpt_image_2_mcp.models import AppliedOptions, Completed, Operation, Placement
from gpt_image_2_mcp.operations import Operations
from gpt_image_2_mcp.ports import Fetch, Gateway, ImageStore, SessionStore
from gpt_image_2_mcp.providers import OPENAI, Provider
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.results import DryRunResult, ImageResult, SessionImageResult
from gpt_image_2_mcp.retries import RetryPolicy
from gpt_image_2_mcp.roots import OutputDir, Roots, real_path
from gpt_image_2_mcp.runners.inline import InlineRunner
from gpt_image_2_mcp.service import ImageService, PaidResult
from gpt_image_2_mcp.sources.by_name import ByName
from gpt_image_2_mcp.sources.clipboard import Clipboard
from gpt_image_2_mcp.sources.https import HttpsFetcher
from gpt_image_2_mcp.sources.loader import Sources
from gpt_image_2_mcp.stores.catalogue import SqliteCatalogue
from gpt_image_2_mcp.stores.files import FileImageStore
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.leases import FileLeases
from gpt_image_2_mcp.stores.ledger import SqliteLedger
from gpt_image_2_mcp.stores.memory import MemorySessionStore
from gpt_image_2_mcp.stores.pace import SqlitePace
from gpt_image_2_mcp.stores.spool import SpoolFolder
from gpt_image_2_mcp.stores.sqlite import Database
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
    """A service with what it stands on, for tests to look at and to bend before it is opened."""

    folder: Path
    recorder: Recorder = field(default_factory=sandboxed)
    clock: FakeClock = field(default_factory=FakeClock)
    sessions: SessionStore | None = None
    gateway: Callable[[Gateway], Gateway] = lambda gateway: gateway
    images: ImageStore = field(default_factory=FileImageStore)
    provider: Provider = OPENAI
    base_url: str = "https://api.openai.com/v1"
    fetch: Fetch = nowhere
    clipboard: Clipboard = field(default_factory=lambda: Clipboard({}, "linux"))
    limits: Limits = Limits()
    budgets: Budgets = Budgets()
    refuse_folder: ImageServerError | None = None
    refusal: ImageServerError | None = None
    roots: Roots | None = None
    partial_images: int = 0
    local_paths: bool = True
    confirm_above: int | None = None
    images_per_minute: int | None = None
    sleep: Sleep | None = None
    waits: list[float] = field(default_factory=list)
    before_close: list[Callable[[], object]] = field(default_factory=list)
    _open: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def spool(self) -> Path:
        return self.folder / "state" / "spool"

    def service(self) -> ImageService:
        """A service; all that were made share the folder, as servers of one machine do."""
        self.sessions = self.sessions or MemorySessionStore(self.clock)
        operations = self.operations()
        catalogue = self.catalogue(operations.server)
        names = ByName(catalogue, self.clipboard)
        sources = Sources(
            self.folder, HttpsFetcher(), self.roots or Roots.of(self.folder), names, limits=self.limits
        )
        return ImageService(
            operations,
            sources,
            self.sessions,
            Defaults(
                "gpt-image-2",
                self._output_dir,
                refusal=self.refusal,
                partial_images=self.partial_images,
                local_paths=self.local_paths,
                confirm_above=self.confirm_above,
                provider=self.provider,
            ),
            self.clock,
            Library(catalogue, sources),
            self.ledger(operations.server),
        )

    def operations(self) -> Operations:
        journal = self.journal()
        execution = self.execution(journal)
        spools, leases = self.spools(), FileLeases(self.folder / "state" / "locks")
        runner = InlineRunner(execution)
        operations = Operations(
            journal, runner, execution, self.images, spools, leases, self.clock, self.limits
        )
        self._open.append(operations.close)
        return operations

    def journal(self) -> SqliteJournal:
        database = Database(self.folder / "state")
        self._open.insert(0, database.close)
        return SqliteJournal(database, self.clock, budgets=self.budgets, project="/projects/site")

    def ledger(self, server: str = "") -> SqliteLedger:
        database = Database(self.folder / "state")
        self._open.insert(0, database.close)
        return SqliteLedger(database, self.clock, self.budgets, server)

    def catalogue(self, server: str) -> SqliteCatalogue:
        database = Database(self.folder / "state")
        self._open.insert(0, database.close)
        return SqliteCatalogue(database, server)

    async def close(self) -> None:
        """Finish what is under way and let go."""
        for prepare in self.before_close:
            prepare()
        while self._open:
            await self._open.pop()()

    def execution(self, journal: SqliteJournal) -> Execution:
        api = upstream(self.recorder, limits=self.limits, provider=self.provider, base_url=self.base_url)
        routes = FallbackGateway(
            ImagesGateway(api, self.provider, self.fetch),
            ResponsesGateway(api, "gpt-5.4-mini"),
            detour=self.provider.responses,
        )

        async def no_sleep(seconds: float) -> None:
            self.waits.append(seconds)

        database, leases = Database(self.folder / "state"), FileLeases(self.folder / "state" / "locks")
        self._open.insert(0, database.close)
        return Execution(
            journal,
            self.gateway(routes),
            self.images,
            self.spools(),
            leases,
            SqlitePace(
                database,
                leases,
                "account",
                self._later,
                per_minute=self.images_per_minute,
                sleep=self.sleep or no_sleep,
            ),
            limits=self.limits,
            retries=RetryPolicy(draw=lambda _low, high: high),
            sleep=self.sleep or no_sleep,
            clock=self.clock,
        )

    def _later(self) -> datetime:
        """The clock, with what was slept: the clock itself stands."""
        return self.clock() + timedelta(seconds=sum(self.waits))

    def spools(self) -> SpoolFolder:
        return SpoolFolder(self.spool, self.folder / "second-spool")

    def _output_dir(self, asked: str | None) -> OutputDir:
        if self.refuse_folder:
            raise self.refuse_folder
        return OutputDir(self.folder / asked if asked else self.pictures, real_path(self.folder))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.pictures.iterdir())


async def entered(bench: Bench, data: bytes) -> Operation:
    """A picture that a call made, as its end leaves it on disk, in the journal and in the catalogue."""
    placement = Placement(bench.pictures, "image", "20261122-150301", "0123456789ab" + "0" * 20)
    image = await bench.images.save(data, placement, 0, 1, drawing=True)
    applied = AppliedOptions(size="1024x1024", quality=None, background=None, output_format=image.format)
    operation = Operation(
        id=placement.token,
        state="done",
        action="generate",
        prompt="A red fox",
        options=RenderOptions(model="gpt-image-2.6-flare"),
        placement=placement,
        fingerprint="",
        server="",
        created_at=bench.clock(),
        changed_at=bench.clock(),
        completed=Completed((image,), applied, None, None, "images"),
    )
    await bench.journal().record(operation)
    return operation


def made(result: BaseModel) -> ImageResult:
    """The pictures, where a test expects them and no hand-off."""
    assert isinstance(result, ImageResult)
    return result


def id_of(result: PaidResult) -> str:
    """The operation of a call that was begun, whether it is waited for or not."""
    assert not isinstance(result, DryRunResult)
    return result.operation_id


def turned(result: BaseModel) -> SessionImageResult:
    """The turn of a session, likewise."""
    assert isinstance(result, SessionImageResult)
    return result
