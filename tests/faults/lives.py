"""What processes of the bench do: make one call, recover, or die on the way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gpt_image_2_mcp.requests import (
    Arguments,
    ContinueSessionRequest,
    EditRequest,
    GenerateRequest,
    StartSessionRequest,
    parse_arguments,
)
from gpt_image_2_mcp.service import ImageService, PaidResult
from tests.faults.stack import PATIENT, Stack, outcome
from tests.faults.steps import Steps

REQUESTS: Final[dict[str, type[Arguments]]] = {
    "generate": GenerateRequest,
    "edit": EditRequest,
    "start_session": StartSessionRequest,
    "continue_session": ContinueSessionRequest,
}


@dataclass(frozen=True, slots=True)
class Life:
    """One process on a state folder. `die_at` counts steps from 1, `die_after` names one; else it lives."""

    folder: str
    base_url: str
    tool: str = "generate"
    arguments: dict[str, Any] | None = None
    die_at: int = 0
    die_after: str = ""
    file_limit: int = 0
    ahead_s: float = 0

    def stack(self) -> Stack:
        return Stack(Path(self.folder), self.base_url, PATIENT)

    def ask(self, service: ImageService) -> Awaitable[PaidResult]:
        request = parse_arguments(REQUESTS[self.tool], self.arguments or {})
        method: Callable[[Arguments], Awaitable[PaidResult]] = getattr(service, self.tool)
        return method(request)


def call(argument: dict[str, Any]) -> None:
    """Make one call; say every step, and at the end what came of it."""
    life = Life(**argument)
    _limit(life.file_limit)
    came = asyncio.run(outcome(_stepped(life), life.ask))
    _say({"state": came.state, "told": came.told})


def recover(argument: dict[str, Any]) -> None:
    """Recover once; say what was found."""
    life = Life(**argument)

    async def run() -> dict[str, int]:
        async with _stepped(life).parts() as (_, execution):
            return asdict(await execution.recover())

    _say({"found": asyncio.run(run())})


def _stepped(life: Life) -> Stack:
    stack = life.stack()
    stack.clock_ahead_s = life.ahead_s
    steps = Steps(_Death(life.die_at, life.die_after))
    for name, function in steps.system_calls().items():
        setattr(os, name, function)
    stack.bend, stack.transport = steps.bend, steps.transport
    return stack


class _Death:
    """Comes at the chosen step, which is said before."""

    def __init__(self, at: int, after: str) -> None:
        self._left, self._after = at, after

    def __call__(self, step: str) -> None:
        _say({"step": step})
        self._left -= 1
        if self._left == 0 or step == self._after:
            os.kill(os.getpid(), signal.SIGKILL)


def _limit(file_bytes: int) -> None:
    import resource  # not there on Windows, where this module can still be imported

    if file_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")
