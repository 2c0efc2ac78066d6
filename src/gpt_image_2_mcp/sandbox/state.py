"""What one sandbox application holds while it runs."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import cast

import anyio
from starlette.requests import Request

from gpt_image_2_mcp.sandbox.faults import EDIT_MODES, Faults
from gpt_image_2_mcp.sandbox.rates import ImageRate
from gpt_image_2_mcp.sandbox.shelf import Shelf


def strikes(mode: str, path: str) -> bool:
    """Whether a fault mode concerns the requests for `path` at all."""
    return mode not in EDIT_MODES or path.endswith("/images/edits")


class FaultCounter:
    """Which of an application's requests fail."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._shown = 0

    def next_mode(self, path: str) -> str | None:
        """The mode that the request for `path` shows, if any; counts it."""
        faults = self._faults
        if faults.mode is None or (faults.count and self._shown >= faults.count):
            return None
        if not strikes(faults.mode, path):
            return None
        self._shown += 1
        return faults.mode


@dataclass(frozen=True)
class SandboxState:
    """The application's settings, stores and limits; the members that change guard themselves."""

    faults: Faults
    counter: FaultCounter
    seed: int
    today: Callable[[], date]
    clock: Callable[[], float]
    files: Shelf
    results: Shelf
    painters: anyio.CapacityLimiter
    rate: ImageRate

    def now(self) -> int:
        """Unix seconds."""
        return int(self.clock())


def state_of(request: Request) -> SandboxState:
    return cast(SandboxState, request.app.state.sandbox)


def count_pictures(request: Request, model: str, count: int) -> None:
    """Count pictures that are about to be made.

    Raises:
        ApiError: they are too many for this minute.
    """
    request.state.rate_headers = state_of(request).rate.admit(model, count)


def request_id(request: Request) -> str:
    return cast(str, request.state.request_id)


def fault_of(request: Request) -> str | None:
    return cast(str | None, request.state.fault)


def new_id(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex}"
