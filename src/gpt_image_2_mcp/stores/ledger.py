"""The ledger in the state file: what each paid call is charged, written within the journal's transactions."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from datetime import date, datetime
from itertools import islice
from typing import Final

from gpt_image_2_mcp.budgets import (
    Allowance,
    Budgets,
    By,
    Period,
    Purse,
    Rest,
    Spending,
    Tally,
    check_fits,
    check_known,
    month_of,
    windows_of,
)
from gpt_image_2_mcp.models import OPEN_STATES, Completed, Operation, State
from gpt_image_2_mcp.ports import Clock
from gpt_image_2_mcp.stores.sqlite import Database, text_of

logger = logging.getLogger(__name__)

# A window has a beginning and no end. So what was charged while a clock ran ahead counts in every window
# before it too, and a clock that is put back opens none again. (To go by the latest moment ever stored would
# lock a budget for years after one wrong clock.)
_IN_PURSE: Final[dict[Purse, str]] = {
    "session": "server = ?",
    "turns": "session_id = ?",
    "day": "at >= ?",
    "month": "at >= ?",
    "total": "? IS NULL",
}
# Of the sums by day, which hold the windows too: they begin with a day.
_IN_PERIOD: Final[dict[Purse, str]] = {**_IN_PURSE, "day": "day >= ?", "month": "day >= ?"}
_GROUPS: Final[dict[By, str]] = {
    "day": "day",
    "model": "model",
    "session": "CASE session_id WHEN '' THEN 'run ' || server ELSE session_id END",
    "project": "project",
}
# Without FILTER and iif(): Python 3.11 of RHEL 8 stands on SQLite 3.26.
_TALLY: Final = """
coalesce(sum(calls * (state != 'released')), 0),
coalesce(sum(amount * (state IN ('settled', 'estimated'))), 0),
coalesce(sum(amount * (state = 'estimated')), 0),
coalesce(sum(amount * (state = 'reserved')), 0),
coalesce(sum(amount * (state = 'unknown')), 0),
coalesce(sum(unpriced), 0)
"""


def check(db: sqlite3.Connection, operation: Operation, budgets: Budgets) -> None:
    """Hold the operation's estimate against every limit at once.

    Raises:
        BudgetExceeded: it does not fit, or has no price.
    """
    check_known(operation.estimate, operation.model, budgets)
    if operation.estimate is not None and budgets:
        check_fits(operation.estimate, budgets, _allowances(db, operation, budgets))


def _allowances(db: sqlite3.Connection, operation: Operation, budgets: Budgets) -> Iterator[Allowance]:
    session_id = operation.step.session_id if operation.step else None
    keys = _keys(operation.created_at, operation.server, session_id)
    windows = windows_of(operation.created_at)
    for purse, limit in budgets.purses(turn=session_id is not None):
        query = f"SELECT coalesce(sum(amount), 0) FROM ledger WHERE {_IN_PURSE[purse]}"
        (charged,) = db.execute(query, (keys[purse],)).fetchone()
        window = windows.get(purse)
        yield Allowance(purse, limit, charged, window.renews if window else None)


def _keys(now: datetime, server: str, session_id: str | None = None) -> dict[Purse, str | None]:
    """What each condition compares with."""
    since = {name: text_of(window.begins) for name, window in windows_of(now).items()}
    return {
        "session": server,
        "turns": session_id,
        "day": since["day"],
        "month": since["month"],
        "total": None,
    }


def enter(db: sqlite3.Connection, operation: Operation, project: str) -> None:
    """Charge a new operation with its estimate."""
    session_id = operation.step.session_id if operation.step else None
    db.execute(
        "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'reserved')",
        (
            operation.id,
            text_of(operation.created_at),
            operation.server,
            session_id,
            operation.model,
            project,
            operation.estimate,
            operation.estimate,
        ),
    )


def follow(db: sqlite3.Connection, operation_id: str, state: State) -> None:
    """Charge an operation as its new state demands: the reservation, save where nothing was sent."""
    name = "reserved" if state in OPEN_STATES else state
    amount = "0" if name == "released" else "reserved"
    db.execute(f"UPDATE ledger SET state = ?, amount = {amount} WHERE operation_id = ?", (name, operation_id))


def settle(db: sqlite3.Connection, operation_id: str, completed: Completed) -> None:
    """Charge what an operation did cost.

    Without usage its cost is a guess at best (on the Responses route, of what was drawn alone): then the
    reservation stays, and is called an estimate.
    """
    cost = completed.cost if completed.usage else None
    query = "UPDATE ledger SET state = ?, amount = coalesce(?, reserved) WHERE operation_id = ?"
    db.execute(query, ("estimated" if cost is None else "settled", cost, operation_id))
    row = db.execute("SELECT reserved FROM ledger WHERE operation_id = ?", (operation_id,)).fetchone()
    if row and None not in (row[0], cost) and cost > row[0]:
        logger.warning("operation %s cost %d micro-dollars, not %d at most", operation_id, cost, row[0])


class SqliteLedger:
    """Reads only. `server` is whose run the session's budget is of; without one nothing is said of a run."""

    def __init__(
        self, database: Database, clock: Clock, budgets: Budgets = Budgets(), server: str = ""
    ) -> None:
        self._database, self._clock, self._budgets, self._server = database, clock, budgets, server

    async def spending(
        self, by: By = "model", since: date | None = None, most: int | None = None
    ) -> Spending:
        now = self._clock()
        begins = since or month_of(now).begins.date()

        def read(db: sqlite3.Connection) -> Spending:
            db.execute("BEGIN")  # so that all sums are of one moment
            with db:
                periods = tuple(self._periods(db, now))
                groups, rest = _groups(db, by, begins, most)
                return Spending(periods, self._budgets.call, by, begins, groups, rest)

        return await self._database.run(read)

    def _periods(self, db: sqlite3.Connection, now: datetime) -> Iterator[Period]:
        limits, windows = dict(self._budgets.purses(turn=False)), windows_of(now)
        keys: dict[Purse, str | None] = {"session": self._server, "total": None}
        purses: tuple[Purse, ...] = ("session", "day", "month", "total")
        for purse in purses if self._server else purses[1:]:
            window = windows.get(purse)
            key = window.begins.date().isoformat() if window else keys[purse]
            row = db.execute(f"SELECT {_TALLY} FROM ledger_sums WHERE {_IN_PERIOD[purse]}", (key,)).fetchone()
            span = (window.begins, window.renews) if window else (None, None)
            yield Period(purse, span[0], Tally(*row), limits.get(purse), span[1])


def _groups(
    db: sqlite3.Connection, by: By, since: date, most: int | None
) -> tuple[tuple[tuple[str, Tally], ...], Rest]:
    """The dearest first; days in their order, the latest first. Those after the first `most` are added up."""
    order = "name DESC" if by == "day" else "sum(amount) DESC, name"
    rows = db.execute(
        f"SELECT {_GROUPS[by]} AS name, {_TALLY} FROM ledger_sums "
        f"WHERE day >= ? AND state != 'released' AND calls > 0 GROUP BY name ORDER BY {order}",
        (since.isoformat(),),
    )
    told = ((name, Tally(*counts)) for name, *counts in rows)
    first = tuple(islice(told, most))
    charged = [tally.charged for _, tally in told]
    return first, Rest(len(charged), sum(charged))
