"""A clock for whole services: time stands while anybody works, and leaps when all wait."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from anyio.to_thread import current_default_thread_limiter

from tests.support.services import FakeClock

_ROUNDS = 30
"""Turns of the loop in which nobody may have anything to do before time leaps."""


@dataclass
class Moments(FakeClock):
    """`sleep` is given to all who wait; `leaping` moves the time on."""

    _sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)
    _in_threads: int = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return (self.now - FakeClock.now).total_seconds()

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + timedelta(seconds=seconds), next(self._numbers), future))
        await future

    @asynccontextmanager
    async def leaping(self) -> AsyncIterator[None]:
        """Within it time goes on whenever everybody waits."""
        loop = asyncio.get_running_loop()
        run_in_executor = loop.run_in_executor
        loop.run_in_executor = self._counted(run_in_executor)  # type: ignore[method-assign, assignment]
        leaps = asyncio.ensure_future(self._leap())
        try:
            yield
        finally:
            leaps.cancel()
            loop.run_in_executor = run_in_executor  # type: ignore[method-assign]

    def _counted(self, run_in_executor: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self._in_threads += 1
            future = run_in_executor(*args)
            future.add_done_callback(lambda _future: self._returned())
            return future

        return counted

    def _returned(self) -> None:
        self._in_threads -= 1

    async def _leap(self) -> None:
        while True:
            await self._quiet()
            if not self._sleepers:
                await asyncio.sleep(0.001)
                continue
            self.now = max(self.now, self._sleepers[0][0])
            while self._sleepers and self._sleepers[0][0] <= self.now:
                future = heapq.heappop(self._sleepers)[2]
                if not future.done():
                    future.set_result(None)

    async def _quiet(self) -> None:
        quiet = 0
        while quiet < _ROUNDS:
            if self._in_threads or current_default_thread_limiter().borrowed_tokens:
                quiet = 0
                await asyncio.sleep(0.001)  # spinning would keep the threads from their work
            else:
                quiet += 1
                await asyncio.sleep(0)
