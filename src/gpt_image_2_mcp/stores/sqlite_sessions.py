"""Edit sessions in the state file: they outlive a restart, and a turn is added where its picture is."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from filelock import AsyncFileLock, FileLock, Timeout

from gpt_image_2_mcp.errors import SessionNotFound
from gpt_image_2_mcp.models import Operation, Session, StoredImage, Turn
from gpt_image_2_mcp.ports import Clock
from gpt_image_2_mcp.requests import TurnOptions
from gpt_image_2_mcp.stores.sqlite import Database, edges_of, size_of, text_of

_SELECT: Final = """
SELECT s.id, s.created_at, s.updated_at, s.model, s.options, s.output_dir, s.filename_prefix,
       t.number, t.prompt, t.made_at, t.path, t.size_bytes, t.mime_type, t.width, t.height, t.sha256
FROM sessions s JOIN turns t ON t.session_id = s.id
WHERE t.number = (SELECT max(number) FROM turns WHERE session_id = s.id)
"""


class SqliteSessionStore:
    """`cap` sessions at most (None: any number), kept for `idle` after the last turn (None: ever).

    The right to a turn is a lock file in `locks`: it dies with its process, so no lease can be left behind.
    """

    def __init__(
        self,
        database: Database,
        locks: Path,
        clock: Clock,
        *,
        cap: int | None = None,
        idle: timedelta | None = None,
    ) -> None:
        self._database, self._locks, self._clock, self._cap, self._idle = database, locks, clock, cap, idle
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, session_id: str) -> AsyncIterator[Session]:
        await self._find(session_id)
        self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = AsyncFileLock(self._lock_file(session_id), mode=0o600, poll_interval=0.05, thread_local=False)
        queue = self._queues.setdefault(session_id, asyncio.Lock())  # in order within this process
        async with queue, lock:
            yield await self._find(session_id)

    async def keep(self, operation: Operation, image: StoredImage) -> bool:
        now = self._clock()

        def write(db: sqlite3.Connection) -> bool:
            with db:
                return record_step(db, operation, image, now)

        kept = await self._database.run(write)
        if operation.step and operation.step.number == 1:
            await self._evict(operation.step.session_id)
        return kept

    async def end(self, session_id: str) -> bool:
        await self._sweep()
        ended = await self._database.run(lambda db: _delete(db, session_id, self._clock()))
        if ended:
            self._drop_lock(session_id)
        return ended

    async def active(self, most: int | None = None) -> tuple[Session, ...]:
        await self._sweep()
        query = f"{_SELECT} ORDER BY s.updated_at DESC, s.id LIMIT ?"
        limit = (-1 if most is None else most,)
        return await self._database.run(lambda db: tuple(_session(row) for row in db.execute(query, limit)))

    async def count(self) -> int:
        await self._sweep()
        return await self._database.run(_count)

    async def close(self) -> None:
        """Nothing to let go of: the database is the assembly's."""

    async def _find(self, session_id: str) -> Session:
        session = _found(await self._database.run(lambda db: _one(db, session_id)))
        if self._idle is not None and self._clock() - session.updated_at > self._idle:
            await self._sweep()
            session = _found(await self._database.run(lambda db: _one(db, session_id)))
        return session

    async def _evict(self, newest: str) -> None:
        cap = self._cap
        if not cap:
            return
        others = "SELECT id, updated_at FROM sessions WHERE id != ? ORDER BY updated_at"
        for session_id, used in await self._database.run(
            lambda db: db.execute(others, (newest,)).fetchall() if _count(db) > cap else []
        ):
            if not await self._database.run(lambda db: _count(db) > cap):
                break
            await self._forget_if_idle(session_id, used)

    async def _sweep(self) -> None:
        if self._idle is None:
            return
        limit = (text_of(self._clock() - self._idle),)
        query = "SELECT id, updated_at FROM sessions WHERE updated_at < ?"
        for session_id, used in await self._database.run(lambda db: db.execute(query, limit).fetchall()):
            await self._forget_if_idle(session_id, used)

    async def _forget_if_idle(self, session_id: str, used: str) -> None:
        """Forget a session that was last used at `used`, and not since by another process."""

        def forget(db: sqlite3.Connection) -> None:
            self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self._lock_file(session_id), mode=0o600, timeout=0)
            try:
                with lock:
                    gone = _delete(db, session_id, self._clock(), used)
            except Timeout:
                return  # a turn is in flight somewhere: an active session is never evicted
            if gone:
                self._drop_lock(session_id)

        await self._database.run(forget)

    def _drop_lock(self, session_id: str) -> None:
        with suppress(OSError):  # Windows keeps a file that a turn in flight holds
            self._lock_file(session_id).unlink()

    def _lock_file(self, session_id: str) -> Path:
        return self._locks / f"session-{session_id}.lock"


def record_step(db: sqlite3.Connection, operation: Operation, image: StoredImage, now: datetime) -> bool:
    """Add the turn that `operation` is, within the caller's transaction; twice is once.

    False if the session was ended before: then the picture stands for itself.
    """
    step = operation.step
    if step is None:
        return False
    if step.number == 1:
        ended = db.execute("SELECT 1 FROM ended_sessions WHERE id = ?", (step.session_id,)).fetchone()
        if not ended:
            _insert_session(db, operation, now)
    at = text_of(now)
    values = (step.session_id, step.number, operation.prompt, at, str(image.path), image.size_bytes)
    more = (image.mime_type, *edges_of(image.size), image.sha256)
    added = db.execute(
        "INSERT INTO turns SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? "
        "WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?) ON CONFLICT DO NOTHING",
        (*values, *more, step.session_id),
    ).rowcount
    if added > 0:
        options = step.options.model_dump_json(exclude_none=True)
        query = "UPDATE sessions SET updated_at = ?, options = ? WHERE id = ?"
        db.execute(query, (at, options, step.session_id))
    return db.execute("SELECT 1 FROM sessions WHERE id = ?", (step.session_id,)).fetchone() is not None


def _insert_session(db: sqlite3.Connection, operation: Operation, now: datetime) -> None:
    step, at = operation.step, text_of(now)
    if step is None:
        return
    values = (step.session_id, at, at, operation.model, step.options.model_dump_json(exclude_none=True))
    placed = (str(operation.placement.folder), step.filename_prefix)
    db.execute("INSERT OR IGNORE INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", values + placed)


def _one(db: sqlite3.Connection, session_id: str) -> Session | None:
    row = db.execute(f"{_SELECT} AND s.id = ?", (session_id,)).fetchone()
    return _session(row) if row else None


def _session(row: tuple[Any, ...]) -> Session:
    id_, created, updated, model, options, folder, prefix, number, prompt, made, *picture = row
    path, size_bytes, mime_type, width, height, sha256 = picture
    image = StoredImage(Path(path), size_bytes, mime_type, size_of(width, height), sha256)
    return Session(
        id=id_,
        created_at=datetime.fromisoformat(created),
        updated_at=datetime.fromisoformat(updated),
        model=model,
        options=TurnOptions.model_validate_json(options),
        output_dir=Path(folder),
        filename_prefix=prefix,
        last=Turn(number, prompt, image, datetime.fromisoformat(made)),
    )


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM sessions").fetchone()[0])


def _delete(db: sqlite3.Connection, session_id: str, now: datetime, used: str | None = None) -> bool:
    """Delete a session; with `used` only if that is when it was last used."""
    query = "DELETE FROM sessions WHERE id = ? AND updated_at = coalesce(?, updated_at)"
    with db:
        gone = db.execute(query, (session_id, used)).rowcount > 0
        if gone:
            # So that its first turn, committed late or collected again at any time, does not bring it back.
            db.execute("INSERT OR IGNORE INTO ended_sessions VALUES (?, ?)", (session_id, text_of(now)))
        return gone


def _found(session: Session | None) -> Session:
    if session is None:
        raise SessionNotFound("There is no active edit session with that id.")
    return session
