"""Edit sessions in one SQLite file, shared by all processes of a machine; they outlive a restart."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from filelock import AsyncFileLock, FileLock, Timeout

from gpt_image_2_mcp.capabilities import Size
from gpt_image_2_mcp.errors import SessionNotFound, StorageError
from gpt_image_2_mcp.models import Session, StoredImage, Turn
from gpt_image_2_mcp.ports import Clock
from gpt_image_2_mcp.requests import TurnOptions

T = TypeVar("T")

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    model TEXT NOT NULL,
    options TEXT NOT NULL,
    output_dir TEXT NOT NULL,
    filename_prefix TEXT
);
CREATE TABLE turns (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    made_at TEXT NOT NULL,
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mime_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (session_id, number)
) WITHOUT ROWID;
CREATE INDEX sessions_by_use ON sessions (updated_at);
"""
_SELECT: Final = """
SELECT s.id, s.created_at, s.updated_at, s.model, s.options, s.output_dir, s.filename_prefix,
       t.number, t.prompt, t.made_at, t.path, t.size_bytes, t.mime_type, t.width, t.height, t.sha256
FROM sessions s JOIN turns t ON t.session_id = s.id
WHERE t.number = (SELECT max(number) FROM turns WHERE session_id = s.id)
"""


class SqliteSessionStore:
    """`cap` sessions at most (None: any number), kept for `idle` after the last turn (None: ever).

    One thread owns the connection. The right to a turn is a lock file beside the database: it dies with its
    process, so no lease can be left behind.
    """

    def __init__(
        self, folder: Path, clock: Clock, *, cap: int | None = None, idle: timedelta | None = None
    ) -> None:
        self._folder, self._clock, self._cap, self._idle = folder, clock, cap, idle
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._opened: sqlite3.Connection | None = None

    async def add(self, session: Session) -> None:
        def insert(db: sqlite3.Connection) -> list[tuple[str, str]]:
            with db:
                db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", _session_row(session))
                _insert_turn(db, session.id, session.last)
            excess = _count(db) - self._cap if self._cap else 0
            others = "SELECT id, updated_at FROM sessions WHERE id != ? ORDER BY updated_at"
            return db.execute(others, (session.id,)).fetchall() if excess > 0 else []

        await self._sweep()
        for session_id, used in await self._run(insert):
            if not await self._run(lambda db: _count(db) > (self._cap or 0)):
                break
            await self._forget_if_idle(session_id, used)

    @asynccontextmanager
    async def turn(self, session_id: str) -> AsyncIterator[Session]:
        await self._find(session_id)
        async with AsyncFileLock(self._lock_file(session_id), mode=0o600, poll_interval=0.05):
            yield await self._find(session_id)

    async def append(self, session_id: str, turn: Turn, options: TurnOptions) -> Session:
        def insert(db: sqlite3.Connection) -> Session | None:
            with db:
                changed = db.execute(
                    "UPDATE sessions SET updated_at = ?, options = ? WHERE id = ?",
                    (_text(turn.made_at), options.model_dump_json(exclude_none=True), session_id),
                ).rowcount
                if changed:
                    _insert_turn(db, session_id, turn)
            return _one(db, session_id)

        return _found(await self._run(insert))

    async def end(self, session_id: str) -> bool:
        await self._sweep()
        ended = await self._run(lambda db: _delete(db, session_id))
        if ended:
            await self._run(lambda _db: self._drop_lock(session_id))
        return ended

    async def active(self) -> tuple[Session, ...]:
        await self._sweep()
        query = f"{_SELECT} ORDER BY s.updated_at DESC, s.id"
        return await self._run(lambda db: tuple(_session(row) for row in db.execute(query)))

    async def close(self) -> None:
        if self._opened is not None:
            await self._run(lambda db: db.close())
        self._thread.shutdown()

    async def _find(self, session_id: str) -> Session:
        session = _found(await self._run(lambda db: _one(db, session_id)))
        if self._idle is not None and self._clock() - session.updated_at > self._idle:
            await self._sweep()
            session = _found(await self._run(lambda db: _one(db, session_id)))
        return session

    async def _sweep(self) -> None:
        if self._idle is None:
            return
        limit = (_text(self._clock() - self._idle),)
        query = "SELECT id, updated_at FROM sessions WHERE updated_at < ?"
        for session_id, used in await self._run(lambda db: db.execute(query, limit).fetchall()):
            await self._forget_if_idle(session_id, used)

    async def _forget_if_idle(self, session_id: str, used: str) -> None:
        """Forget a session that was last used at `used`, and not since by another process."""

        def forget(db: sqlite3.Connection) -> None:
            lock = FileLock(self._lock_file(session_id), mode=0o600, timeout=0)
            try:
                with lock:
                    gone = _delete(db, session_id, used)
            except Timeout:
                return  # a turn is in flight somewhere: an active session is never evicted
            if gone:
                self._drop_lock(session_id)

        await self._run(forget)

    def _drop_lock(self, session_id: str) -> None:
        with suppress(OSError):  # Windows keeps a file that a turn in flight holds
            self._lock_file(session_id).unlink()

    def _lock_file(self, session_id: str) -> Path:
        return self._folder / "locks" / f"{session_id}.lock"

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def in_thread() -> T:
            try:
                if self._opened is None:
                    self._opened = _open(self._folder)
                return work(self._opened)
            except (sqlite3.Error, OSError) as error:
                raise StorageError(
                    f"The state file in {self._folder} cannot be used ({error}).",
                    hint="Set GPT_IMAGE_2_STATE_DIR to a local folder that can be written.",
                ) from None

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)


def _open(folder: Path) -> sqlite3.Connection:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "locks").mkdir(mode=0o700, exist_ok=True)
    path = folder / "state.sqlite3"
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, timeout=10, check_same_thread=False)
    try:
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    # WAL before 3.51.3 can corrupt a file that two processes write (sqlite.org/wal.html, "WAL-reset bug").
    if sqlite3.sqlite_version_info >= (3, 51, 3):
        db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
    else:
        db.executescript("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = EXTRA;")
    db.execute("PRAGMA foreign_keys = ON")
    _migrate(db)


def _migrate(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    with db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"The state file was written by a newer version (schema {version}, not {SCHEMA_VERSION}).",
                hint="Update gpt-image-2-mcp, or set GPT_IMAGE_2_STATE_DIR to another folder.",
            )
        if version == 0:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _session_row(session: Session) -> tuple[str | None, ...]:
    return (
        session.id,
        _text(session.created_at),
        _text(session.updated_at),
        session.model,
        session.options.model_dump_json(exclude_none=True),
        str(session.output_dir),
        session.filename_prefix,
    )


def _insert_turn(db: sqlite3.Connection, session_id: str, turn: Turn) -> None:
    image = turn.image
    values = (session_id, turn.number, turn.prompt, _text(turn.made_at), str(image.path), image.size_bytes)
    more = (image.mime_type, image.size.width, image.size.height, image.sha256)
    db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values + more)


def _one(db: sqlite3.Connection, session_id: str) -> Session | None:
    row = db.execute(f"{_SELECT} AND s.id = ?", (session_id,)).fetchone()
    return _session(row) if row else None


def _session(row: tuple[Any, ...]) -> Session:
    id_, created, updated, model, options, folder, prefix, number, prompt, made, *picture = row
    path, size_bytes, mime_type, width, height, sha256 = picture
    image = StoredImage(Path(path), size_bytes, mime_type, Size(width, height), sha256)
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


def _delete(db: sqlite3.Connection, session_id: str, used: str | None = None) -> bool:
    """Delete a session; with `used` only if that is when it was last used."""
    query = "DELETE FROM sessions WHERE id = ? AND updated_at = coalesce(?, updated_at)"
    with db:
        return db.execute(query, (session_id, used)).rowcount > 0


def _found(session: Session | None) -> Session:
    if session is None:
        raise SessionNotFound("There is no active edit session with that id.")
    return session
