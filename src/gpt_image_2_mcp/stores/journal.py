"""The journal of paid calls and the catalogue of their pictures, in the state file."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from gpt_image_2_mcp.budgets import Budgets
from gpt_image_2_mcp.errors import OperationNotFound, SessionBusy, StorageError
from gpt_image_2_mcp.models import OPEN_STATES, Completed, Failure, Operation, Placement, SessionStep, State
from gpt_image_2_mcp.ports import Clock
from gpt_image_2_mcp.redaction import Redact, redact
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.stores import ledger
from gpt_image_2_mcp.stores.sqlite import Database, edges_of, text_of
from gpt_image_2_mcp.stores.sqlite_sessions import record_step

logger = logging.getLogger(__name__)

_COLUMNS: Final = (
    "id, state, action, prompt, options, placement, fingerprint, server, created_at, changed_at, step, "
    "estimate, attempts, phase, completed, failure"
)
_ONE: Final = f"SELECT {_COLUMNS} FROM operations WHERE id = ?"
_PLACEMENT: Final = TypeAdapter(Placement)
_STEP: Final = TypeAdapter(SessionStep | None)
_COMPLETED: Final = TypeAdapter(Completed | None)
_FAILURE: Final = TypeAdapter(Failure | None)
_OPEN: Final = ", ".join(f"'{state}'" for state in OPEN_STATES)


class SqliteJournal:
    """All writes are durable when they return; every change of state names the state it starts from.

    The ledger is written in the same transactions, so that a call's charge follows from its state. What an
    upstream said goes through `redact` on its way in. `project` is whose calls these are.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        keeps_sessions: bool = True,
        redact: Redact = redact,
        budgets: Budgets = Budgets(),
        project: str = "",
    ) -> None:
        self._database, self._clock, self._keeps_sessions = database, clock, keeps_sessions
        self._redact, self._budgets, self._project = redact, budgets, project

    async def check_budgets(self, operation: Operation) -> None:
        if self._budgets:
            await self._database.run(lambda db: ledger.check(db, operation, self._budgets))

    async def reserve(self, operation: Operation) -> None:
        def insert(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            with db:
                _check_turn(db, operation.step)
                ledger.check(db, operation, self._budgets)
                _insert(db, operation)
                ledger.enter(db, operation, self._project)

        await self._database.run(insert)

    async def record(self, operation: Operation) -> None:
        now = self._now()

        def insert(db: sqlite3.Connection) -> None:
            db.execute("BEGIN IMMEDIATE")
            with db:
                _insert(db, operation)
                if operation.completed:
                    _insert_images(db, operation.id, operation.completed, now)

        await self._database.run(insert)

    async def get(self, operation_id: str) -> Operation:
        return await self._database.run(lambda db: _found(db, operation_id))

    async def move(
        self,
        operation_id: str,
        source: State,
        target: State,
        *,
        attempts: int | None = None,
        phase: str = "",
        failure: Failure | None = None,
    ) -> bool:
        said = self._redact(phase), _FAILURE.dump_json(failure and self._shown(failure))
        values = (target, self._now(), attempts, *said, operation_id, source)
        query = (
            "UPDATE operations SET state = ?, changed_at = ?, attempts = coalesce(?, attempts), phase = ?, "
            "failure = ? WHERE id = ? AND state = ?"
        )

        def update(db: sqlite3.Connection) -> bool:
            with db:
                moved = db.execute(query, values).rowcount == 1
                if moved and target != source:
                    ledger.follow(db, operation_id, target)
                return moved

        return await self._database.run(update)

    async def commit(self, operation_id: str, completed: Completed) -> bool:
        completed = replace(completed, notes=tuple(map(self._redact, completed.notes)))
        now = self._now()

        def write(db: sqlite3.Connection) -> bool:
            db.execute("BEGIN IMMEDIATE")
            with db:
                operation = _found(db, operation_id)
                query = (
                    "UPDATE operations SET state = 'done', changed_at = ?, phase = '', completed = ?, "
                    "failure = NULL WHERE id = ? AND state = 'received'"
                )
                changed = db.execute(query, (now, _COMPLETED.dump_json(completed), operation_id)).rowcount
                if changed:
                    ledger.settle(db, operation_id, completed)
                    _insert_images(db, operation_id, completed, now)
                    if operation.step and self._keeps_sessions:
                        record_step(db, operation, completed.images[0], self._clock())
                return changed == 1

        return await self._database.run(write)

    async def unfinished(self) -> tuple[Operation, ...]:
        query = f"SELECT {_COLUMNS} FROM operations WHERE state IN ({_OPEN}) ORDER BY created_at"
        return await self._select(query)

    async def recent(self, limit: int) -> tuple[Operation, ...]:
        query = f"SELECT {_COLUMNS} FROM operations ORDER BY created_at DESC, rowid DESC LIMIT ?"
        return await self._select(query, limit)

    async def alike(self, fingerprint: str, since: datetime) -> tuple[tuple[str, str], ...]:
        query = (
            "SELECT id, server FROM operations WHERE fingerprint = ? AND created_at >= ? "
            f"AND state IN ({_OPEN}) ORDER BY created_at"
        )
        values = (fingerprint, text_of(since))
        return await self._database.run(lambda db: tuple(db.execute(query, values).fetchall()))

    async def unfinished_in_session(self, session_id: str) -> tuple[Operation, ...]:
        query = f"SELECT {_COLUMNS} FROM operations WHERE session_id = ? AND state IN ({_OPEN})"
        return await self._select(query, session_id)

    async def durations(self, options: RenderOptions) -> tuple[float, ...]:
        query = (
            "SELECT (julianday(changed_at) - julianday(created_at)) * 86400 FROM operations "
            "WHERE state = 'done' AND model = ? AND quality = ? AND size = ? "
            "ORDER BY created_at DESC LIMIT 20"
        )
        key = (options.model, options.quality or "auto", options.size or "auto")
        return await self._database.run(lambda db: tuple(row[0] for row in db.execute(query, key)))

    async def _select(self, query: str, *values: object) -> tuple[Operation, ...]:
        return await self._database.run(
            lambda db: tuple(filter(None, map(_readable, db.execute(query, values))))
        )

    def _shown(self, failure: Failure) -> Failure:
        return Failure(failure.code, self._redact(failure.message), self._redact(failure.hint))

    def _now(self) -> str:
        return text_of(self._clock())


def _check_turn(db: sqlite3.Connection, step: SessionStep | None) -> None:
    """A session that was read just before a dead server's turn ended would get two turns of one number."""
    query = "SELECT 1 FROM turns WHERE session_id = ? AND number = ?"
    if step and db.execute(query, (step.session_id, step.number)).fetchone():
        raise SessionBusy("Another turn of this session has ended meanwhile.")


def _insert(db: sqlite3.Connection, operation: Operation) -> None:
    row, options = _row(operation), operation.options
    session_id = operation.step.session_id if operation.step else None
    marks = ", ".join("?" * (len(row) + 4))
    db.execute(
        f"INSERT INTO operations ({_COLUMNS}, session_id, model, quality, size) VALUES ({marks})",
        (*row, session_id, operation.model, options.quality or "auto", options.size or "auto"),
    )


def _row(operation: Operation) -> tuple[Any, ...]:
    return (
        operation.id,
        operation.state,
        operation.action,
        operation.prompt,
        operation.options.model_dump_json(exclude_none=True),
        _PLACEMENT.dump_json(operation.placement),
        operation.fingerprint,
        operation.server,
        text_of(operation.created_at),
        text_of(operation.changed_at),
        _STEP.dump_json(operation.step),
        operation.estimate,
        operation.attempts,
        operation.phase,
        _COMPLETED.dump_json(operation.completed),
        _FAILURE.dump_json(operation.failure),
    )


def _operation(row: tuple[Any, ...]) -> Operation:
    id_, state, action, prompt, options, placement, fingerprint, server, created, changed, *rest = row
    step, estimate, attempts, phase, completed, failure = rest
    return Operation(
        id=id_,
        state=state,
        action=action,
        prompt=prompt,
        options=RenderOptions.model_validate_json(options),
        placement=_PLACEMENT.validate_json(placement),
        fingerprint=fingerprint,
        server=server,
        created_at=datetime.fromisoformat(created),
        changed_at=datetime.fromisoformat(changed),
        step=_STEP.validate_json(step),
        estimate=estimate,
        attempts=attempts,
        phase=phase,
        completed=_COMPLETED.validate_json(completed),
        failure=_FAILURE.validate_json(failure) if failure else None,
    )


def _found(db: sqlite3.Connection, operation_id: str) -> Operation:
    row = db.execute(_ONE, (operation_id,)).fetchone()
    if row is None:
        raise OperationNotFound("There is no operation with that id.")
    try:
        return _operation(row)
    except ValueError:
        raise StorageError(f"The journal's entry {operation_id} is damaged.") from None


def _readable(row: tuple[Any, ...]) -> Operation | None:
    """An entry, or None where it is damaged: the others must not suffer."""
    try:
        return _operation(row)
    except ValueError:
        logger.error("the journal's entry %s is damaged and was passed over", row[0])
        return None


def _insert_images(db: sqlite3.Connection, operation_id: str, completed: Completed, now: str) -> None:
    db.executemany(
        "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                f"{operation_id}-{number}",
                operation_id,
                str(image.path),
                image.size_bytes,
                image.mime_type,
                *edges_of(image.size),
                image.sha256,
                now,
            )
            for number, image in enumerate(completed.images, start=1)
        ],
    )
