"""Limits of time that are the server's to keep: what this process itself did not run is given back."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Patience:
    """As `asyncio.timeout`: what is done in it ends with TimeoutError after so many seconds, or never.

    A process that was stopped (Ctrl-Z, `docker pause`), or starved, finds the time over and the answer in
    its socket. asyncio gives up what came in that very moment, though it is there and paid for. So what the
    alarm is late is added, up to as much again.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._alarm: asyncio.TimerHandle | None = None

    def renew(self, seconds: float | None) -> None:
        """So many seconds from now on."""
        if self._alarm:
            self._alarm.cancel()
        if self._timeout.when() is not None:
            self._timeout.reschedule(None)
        self._alarm = None
        if seconds is not None:
            loop = asyncio.get_running_loop()
            due = loop.time() + seconds
            self._alarm = loop.call_at(due, self._ring, due, seconds)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self.renew(self._seconds)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._alarm:
            self._alarm.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _ring(self, due: float, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self._timeout.reschedule(now + min(now - due, seconds))
