"""A gate that lets so many in at once, first come first served, and tells those who wait how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Tell = Callable[[int], Awaitable[None]]
"""Told how many must leave before it is one's turn."""
_COUNTED = 8


class Slots:
    """`limit` slots."""

    def __init__(self, limit: int) -> None:
        self._limit, self._inside = limit, 0
        self._line: list[object] = []
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def slot(self, tell: Tell, *, back: bool = False) -> AsyncIterator[None]:
        """Hold a slot; until there is one, `tell` is awaited as the place in the line gets better.

        Who comes `back` has waited its turn before, and is the next.
        """
        await self._turn(tell, back)
        try:
            yield
        finally:
            self._inside -= 1
            self._wake()

    async def _turn(self, tell: Tell, back: bool) -> None:
        me, told = object(), None
        self._line.insert(0 if back else len(self._line), me)
        try:
            # Strictly in order: one that is just being told must not be overtaken, not even by a moment.
            while (ahead := self._ahead(me)) > 0 or self._line[0] is not me:
                changed = self._changed
                if ahead > 0 and worth_telling(ahead, told):
                    told = ahead
                    await tell(ahead)
                else:
                    await changed.wait()
            self._inside += 1
        finally:
            self._line.remove(me)
            self._wake()

    def _ahead(self, me: object) -> int:
        return self._line.index(me) + 1 - (self._limit - self._inside)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def worth_telling(ahead: int, told: int | None) -> bool:
    """Each step near the front, each halving further back: telling is a write to the journal."""
    return told is None or (ahead < told and (ahead <= _COUNTED or ahead <= told // 2))
