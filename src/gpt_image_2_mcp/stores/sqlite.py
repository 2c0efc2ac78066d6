"""The state file: one SQLite database on a local disk, shared by all processes of a machine."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.sizes import Size

T = TypeVar("T")

_FIRST: Final = """
CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'sent', 'received', 'done', 'released', 'unknown')),
    action TEXT NOT NULL,
    prompt TEXT NOT NULL,
    options TEXT NOT NULL,
    placement TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    server TEXT NOT NULL,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    step TEXT,
    estimate INTEGER,
    attempts INTEGER NOT NULL,
    phase TEXT NOT NULL,
    completed TEXT,
    failure TEXT,
    session_id TEXT,
    model TEXT NOT NULL,
    quality TEXT NOT NULL,
    size TEXT NOT NULL
);
CREATE INDEX operations_by_state ON operations (state, created_at);
CREATE INDEX operations_by_age ON operations (created_at);
CREATE INDEX operations_by_kind ON operations (model, quality, size, created_at);
CREATE TABLE images (
    id TEXT PRIMARY KEY,
    operation_id TEXT NOT NULL REFERENCES operations (id),
    path TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mime_type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX images_by_age ON images (created_at);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    model TEXT NOT NULL,
    options TEXT NOT NULL,
    output_dir TEXT NOT NULL,
    filename_prefix TEXT
);
CREATE INDEX sessions_by_use ON sessions (updated_at);
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
CREATE TABLE ended_sessions (id TEXT PRIMARY KEY, ended_at TEXT NOT NULL) WITHOUT ROWID;
"""
# A journal from before there was a ledger is charged as its operations stand. Damaged entries are passed over
# elsewhere, so they must not stop the step either.
_LEDGER: Final = """
CREATE TABLE ledger (
    operation_id TEXT PRIMARY KEY REFERENCES operations (id),
    at TEXT NOT NULL,
    server TEXT NOT NULL,
    session_id TEXT,
    model TEXT NOT NULL,
    project TEXT NOT NULL,
    reserved INTEGER,
    amount INTEGER,
    state TEXT NOT NULL CHECK (state IN ('reserved', 'settled', 'estimated', 'unknown', 'released'))
) WITHOUT ROWID;
CREATE INDEX ledger_by_age ON ledger (at, amount);
CREATE INDEX ledger_by_server ON ledger (server, amount);
CREATE INDEX ledger_by_session ON ledger (session_id, amount);
INSERT INTO ledger
SELECT id, created_at, server, session_id, model, '', estimate,
    CASE state WHEN 'done' THEN coalesce(cost, estimate) WHEN 'released' THEN 0 ELSE estimate END,
    CASE WHEN state = 'done' AND cost IS NULL THEN 'estimated' WHEN state = 'done' THEN 'settled'
        WHEN state IN ('released', 'unknown') THEN state ELSE 'reserved' END
FROM (
    SELECT *, CASE WHEN json_valid(CAST(completed AS TEXT))
        AND json_type(CAST(completed AS TEXT), '$.usage') = 'object'
        THEN CAST(json_extract(CAST(completed AS TEXT), '$.cost') AS INTEGER) END AS cost
    FROM operations WHERE action != 'import'
)
"""
_PACE: Final = """
CREATE TABLE rate_limits (
    account TEXT PRIMARY KEY,
    per_minute INTEGER,
    learned_at TEXT,
    held_until TEXT
) WITHOUT ROWID;
CREATE TABLE tickets (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    pictures INTEGER NOT NULL,
    taken_at TEXT NOT NULL,
    sent_at TEXT
);
"""
# What was spent would be asked of every entry there is. The triggers keep the sums within the transaction
# that writes an entry, whoever writes it; a row whose calls have all gone on stays, for the next ones.
_SUMS: Final = """
CREATE TABLE ledger_sums (
    day TEXT NOT NULL,
    server TEXT NOT NULL,
    session_id TEXT NOT NULL,
    model TEXT NOT NULL,
    project TEXT NOT NULL,
    state TEXT NOT NULL,
    calls INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    PRIMARY KEY (day, server, session_id, model, project, state)
) WITHOUT ROWID;
INSERT INTO ledger_sums
SELECT substr(at, 1, 10), server, coalesce(session_id, ''), model, project, state,
    count(*), coalesce(sum(amount), 0), sum(amount IS NULL)
FROM ledger GROUP BY 1, 2, 3, 4, 5, 6;
CREATE TRIGGER ledger_entered AFTER INSERT ON ledger BEGIN
    INSERT INTO ledger_sums VALUES (
        substr(new.at, 1, 10), new.server, coalesce(new.session_id, ''), new.model, new.project, new.state,
        1, coalesce(new.amount, 0), new.amount IS NULL
    )
    ON CONFLICT (day, server, session_id, model, project, state) DO UPDATE SET
        calls = calls + excluded.calls,
        amount = amount + excluded.amount,
        unpriced = unpriced + excluded.unpriced;
END;
CREATE TRIGGER ledger_changed AFTER UPDATE OF state, amount ON ledger BEGIN
    INSERT INTO ledger_sums
    SELECT substr(new.at, 1, 10), new.server, coalesce(new.session_id, ''), new.model, new.project, state,
        calls, calls * coalesce(amount, 0), calls * (amount IS NULL)
    FROM (
        SELECT -1 AS calls, old.state AS state, old.amount AS amount
        UNION ALL SELECT 1, new.state, new.amount
    )
    WHERE 1
    ON CONFLICT (day, server, session_id, model, project, state) DO UPDATE SET
        calls = calls + excluded.calls,
        amount = amount + excluded.amount,
        unpriced = unpriced + excluded.unpriced;
END
"""
_STEPS: Final = (_FIRST, _LEDGER, _PACE, _SUMS)
"""What each version of the schema adds to the one before it; a step that was released is never changed."""
SCHEMA_VERSION: Final = len(_STEPS)


class Database:
    """One connection, owned by one thread; opened, and its file made, at the first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._opened: sqlite3.Connection | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` with the connection in its thread.

        Raises:
            StorageError: the file cannot be used.
        """

        def in_thread() -> T:
            try:
                if self._opened is None:
                    self._opened = _open(self._folder)
                return work(self._opened)
            except (sqlite3.Error, OSError) as error:
                damaged = type(error) is sqlite3.DatabaseError  # the subclasses are of use, not of damage
                raise StorageError(
                    f"The state file in {self._folder} cannot be used ({error}).",
                    hint="It is damaged: move state.sqlite3 away and keep it; answers in spool/ stay."
                    if damaged
                    else "Set GPT_IMAGE_2_STATE_DIR to a local folder that can be written.",
                ) from None

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    async def close(self) -> None:
        """Close the connection, also one that a cancelled caller has left the thread opening."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()


def text_of(moment: datetime) -> str:
    """A moment as the state file keeps it: UTC, and sorted as text it is sorted in time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def edges_of(size: Size | None) -> tuple[int, int]:
    """A picture's size as the state file keeps it: a drawing's, which has no pixels, as 0 by 0."""
    return (size.width, size.height) if size else (0, 0)


def size_of(width: int, height: int) -> Size | None:
    """The size that the state file says so."""
    return Size(width, height) if width and height else None


def _open(folder: Path) -> sqlite3.Connection:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
    if db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    with db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"The state file was written by a newer version (schema {version}, not {SCHEMA_VERSION}).",
                hint="Update gpt-image-2-mcp, or set GPT_IMAGE_2_STATE_DIR to another folder.",
            )
        for step in _STEPS[version:]:
            for statement in _statements(step):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _statements(script: str) -> Iterator[str]:
    """What `executescript` would run, which commits before it does."""
    statement = ""
    for part in script.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):  # a trigger has such signs within it
            yield statement
            statement = ""
