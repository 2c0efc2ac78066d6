"""The sending end of stdout: what waits for the client to read, in which order it goes, and room for more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import ErrorData, JSONRPCError

from gpt_image_2_mcp.server.encoding import is_long

RESULTS_AT_ONCE: Final = 3
"""Results with pictures that are ready while another one is being written."""
ANSWERS_WAITING: Final = 256
"""Answers that wait for the client to read, before no more is read from it."""
_LOOK_S: Final = 0.5
"""How often a client that does not read is looked after."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """Known by itself: to compare messages, or to name them in an error, is to go through their pictures."""

    message: SessionMessage
    taken: asyncio.Future[None]


class Outlet:
    """Messages go in the order in which they were sent, but for those with pictures: all others go before."""

    def __init__(self) -> None:
        self._short: deque[_Waiting] = deque()
        self._long: deque[_Waiting] = deque()
        self._arrived, self._drained = asyncio.Event(), asyncio.Event()
        self._results = asyncio.Semaphore(RESULTS_AT_ONCE)
        self._closed = self._broken = False

    async def send(self, item: SessionMessage, /) -> None:
        """Wait until the message is being written.

        Raises:
            ClosedResourceError, BrokenResourceError: nothing is written any more.
        """
        if self._closed or self._broken:
            raise anyio.ClosedResourceError if self._closed else anyio.BrokenResourceError
        line = self._long if is_long(item.message) else self._short
        waiting = _Waiting(item, asyncio.get_running_loop().create_future())
        line.append(waiting)
        self._arrived.set()
        try:
            await waiting.taken
        finally:
            if waiting in line:  # its sender was cancelled
                line.remove(waiting)
            self._drained.set()

    async def next(self) -> list[SessionMessage]:
        """What is to be written next: all that is short, or one with pictures; nothing at the end."""
        while not (self._short or self._long):
            if self._closed:
                return []
            self._arrived.clear()
            await self._arrived.wait()
        taken = list(self._short) or [self._long.popleft()]
        self._short.clear()
        for waiting in taken:
            if not waiting.taken.done():
                waiting.taken.set_result(None)
        return [waiting.message for waiting in taken]

    def break_off(self) -> None:
        """Tell all who wait, and will come, that nothing is written any more."""
        self._broken = True
        for waiting in (*self._short, *self._long):
            if not waiting.taken.done():
                waiting.taken.set_exception(anyio.BrokenResourceError())

    async def room(self) -> None:
        """Wait for room for a result; it is given back when this task, and so the answer, is through."""
        await self._results.acquire()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - this is a coroutine
        task.add_done_callback(lambda _task: self._results.release())

    async def ready_for_more(self, is_gone: Callable[[], bool]) -> bool:
        """Wait while the client leaves too many answers unread; False where it is gone instead."""
        while len(self._short) + len(self._long) > ANSWERS_WAITING:
            self._drained.clear()
            with anyio.move_on_after(_LOOK_S):
                await self._drained.wait()
            if not self._drained.is_set() and is_gone():
                return False
        return True

    async def refuse(self, id_: int | str | None, code: int, message: str) -> None:
        """Answer a message that is no request of the protocol."""
        error = JSONRPCError(jsonrpc="2.0", id=id_, error=ErrorData(code=code, message=message))
        await self.send(SessionMessage(error))

    async def aclose(self) -> None:
        self._closed = True
        self._arrived.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
