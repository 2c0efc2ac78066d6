"""Edit sessions in memory: the original server's behaviour, gone with the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from gpt_image_2_mcp.errors import SessionNotFound
from gpt_image_2_mcp.models import Operation, Session, StoredImage, Turn
from gpt_image_2_mcp.ports import Clock


class MemorySessionStore:
    """`cap` sessions at most (None: any number), kept for `idle` after the last turn (None: ever)."""

    def __init__(self, clock: Clock, *, cap: int | None = None, idle: timedelta | None = None) -> None:
        self._clock, self._cap, self._idle = clock, cap, idle
        self._sessions: dict[str, Session] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._ended: set[str] = set()

    @asynccontextmanager
    async def turn(self, session_id: str) -> AsyncIterator[Session]:
        self._find(session_id)
        async with self._locks[session_id]:
            yield self._find(session_id)

    async def keep(self, operation: Operation, image: StoredImage) -> bool:
        step, now = operation.step, self._clock()
        if step is None or step.session_id in self._ended:
            return False
        turn = Turn(step.number, operation.prompt, image, now)
        session = self._sessions.get(step.session_id)
        if session is None and step.number == 1:
            self._add(_first(operation, turn))
        elif session and turn.number == session.last.number + 1:
            self._sessions[session.id] = replace(session, last=turn, updated_at=now, options=step.options)
        return step.session_id in self._sessions

    async def end(self, session_id: str) -> bool:
        self._sweep()
        return self._forget(session_id)

    async def active(self, most: int | None = None) -> tuple[Session, ...]:
        self._sweep()
        return tuple(reversed(self._latest_last()))[:most]

    async def count(self) -> int:
        self._sweep()
        return len(self._sessions)

    async def close(self) -> None:
        self._sessions.clear()
        self._locks.clear()

    def _add(self, session: Session) -> None:
        self._sweep()
        self._sessions[session.id] = session
        self._locks[session.id] = asyncio.Lock()
        idle = [s.id for s in self._latest_last() if s.id != session.id and not self._locks[s.id].locked()]
        excess = len(self._sessions) - self._cap if self._cap else 0
        for session_id in idle[: max(excess, 0)]:
            self._forget(session_id)

    def _find(self, session_id: str) -> Session:
        self._sweep()
        try:
            return self._sessions[session_id]
        except KeyError:
            raise SessionNotFound("There is no active edit session with that id.") from None

    def _latest_last(self) -> list[Session]:
        return sorted(self._sessions.values(), key=lambda s: s.updated_at)

    def _forget(self, session_id: str) -> bool:
        self._locks.pop(session_id, None)
        gone = self._sessions.pop(session_id, None) is not None
        if gone:
            self._ended.add(session_id)
        return gone

    def _sweep(self) -> None:
        if self._idle is None:
            return
        expired = [s.id for s in self._sessions.values() if self._clock() - s.updated_at > self._idle]
        for session_id in expired:
            if not self._locks[session_id].locked():
                self._forget(session_id)


def _first(operation: Operation, turn: Turn) -> Session:
    step = operation.step
    assert step is not None  # noqa: S101 - keep() looked
    return Session(
        id=step.session_id,
        created_at=turn.made_at,
        updated_at=turn.made_at,
        model=operation.model,
        options=step.options,
        output_dir=operation.placement.folder,
        filename_prefix=step.filename_prefix,
        last=turn,
    )
