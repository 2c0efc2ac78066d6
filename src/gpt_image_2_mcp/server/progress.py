"""Tells a client that waits how its call stands: soon, then often, and at once when something changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from gpt_image_2_mcp.models import Expectation, Standing
from gpt_image_2_mcp.redaction import clean, whereabouts

logger = logging.getLogger(__name__)

Send = Callable[[float, float | None, str], Awaitable[None]]
"""Sends one notification: seconds so far, seconds in all where that is known, and words."""

MAX_MESSAGE: Final = 200
"""Claude Code shows no more (2.1.153)."""
_STEP: Final = 0.001
_OVERDUE: Final = 1.1


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds to the first notification and between two. Nothing is said of calls that are through before."""

    first_s: float = 1.0
    every_s: float = 5.0


USUAL: Final = Pace()


class Progress:
    """The notifications of one call: `at_work` says what `report` is told, again while nothing changes."""

    def __init__(self, send: Send, pace: Pace = USUAL, clock: Callable[[], float] = time.monotonic) -> None:
        self._send, self._pace, self._clock = send, pace, clock
        self._started = clock()
        self._ahead = 0.0
        self._said = 0.0
        self._standing = Standing(0, "reading the arguments", None)
        self._changed = asyncio.Event()

    def report(self, standing: Standing) -> None:
        """Take note of how the call stands."""
        # A call that is collected is older than the request that collects it.
        self._ahead = max(self._ahead, standing.elapsed_s - (self._clock() - self._started))
        if standing.doing != self._standing.doing:
            self._changed.set()
        self._standing = standing

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Notify while the body runs."""
        ticking = asyncio.ensure_future(self._tick())
        try:
            yield
        finally:
            ticking.cancel()
            await asyncio.wait({ticking})
            if not ticking.cancelled() and (error := ticking.exception()):
                logger.debug("progress could not be told: %s", whereabouts(error))

    async def _tick(self) -> None:
        await asyncio.sleep(self._pace.first_s)
        while True:
            self._changed.clear()
            await self._notify()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pace.every_s):
                    await self._changed.wait()

    async def _notify(self) -> None:
        elapsed = self._clock() - self._started + self._ahead
        self._said = max(round(elapsed, 1), self._said + _STEP)
        expected = self._standing.expected
        total = None if expected is None else max(expected.high, round(self._said * _OVERDUE, 1))
        await self._send(self._said, total, message(elapsed, self._standing))


def message(elapsed_s: float, standing: Standing) -> str:
    """One line: how long it has taken, what is being waited for, how long that usually takes."""
    usual = f"; usually {_span(standing.expected)}" if standing.expected else ""
    begin = f"{elapsed_s:.0f} s: "
    return f"{begin}{clean(standing.doing, MAX_MESSAGE - len(begin) - len(usual))}{usual}"


def _span(expected: Expectation) -> str:
    low, high = round(expected.low), round(expected.high)
    return f"about {high} s" if low == high else f"{low}-{high} s"
