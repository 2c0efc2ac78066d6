"""The line, shared by a machine's processes, in which calls wait for the account's pictures a minute."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from gpt_image_2_mcp.capabilities import find_model
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.ports import Clock, Leases, TellLine
from gpt_image_2_mcp.slots import worth_telling
from gpt_image_2_mcp.stores.sqlite import Database, text_of

WINDOW: Final = timedelta(seconds=61)
"""The API's minute, and a second for the way: what left here a minute apart may arrive closer together."""
LONGEST_HOLD: Final = timedelta(seconds=61)
"""No wait that is kept is longer; a later end is of a clock that was set back, and counts for nothing."""
REMEMBERED: Final = timedelta(days=1)
"""How long a learned limit holds, and how long somebody may stand in the line."""
SOONEST_LOOK_S: Final = 0.25
LATEST_LOOK_S: Final = 5.0
"""A wait is computed, but a limit may rise and those ahead may die meanwhile."""


def account_name(base_url: str, key: Secret, organization: str | None, project: str | None) -> str:
    """What tells accounts apart in the state file and tells nothing of their keys."""
    parts = (base_url, key.reveal(), organization or "", project or "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


class SqlitePace:
    """First come first served, each model of an account in a line of its own, as the API counts.

    `account` is by `account_name`. `per_minute` is the limit where it is set; else it is learned. Whoever
    stands in the line has the lease of its operation: one without is dead, and is passed over.
    """

    def __init__(
        self,
        database: Database,
        leases: Leases,
        account: str,
        clock: Clock,
        *,
        per_minute: int | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database, self._leases, self._account = database, leases, account
        self._clock, self._per_minute, self._sleep = clock, per_minute, sleep

    def place(self, operation_id: str, model: str, pictures: int) -> SqlitePlace:
        """A place that is taken when its first turn is asked for."""
        known = find_model(model)
        line = _Line(f"{self._account}-{known.id if known else model}", self._clock, self._per_minute)
        return SqlitePlace(
            self._database, self._leases, self._sleep, line, _Ticket(None, operation_id, pictures)
        )


class SqlitePlace:
    """The place of one call."""

    def __init__(
        self,
        database: Database,
        leases: Leases,
        sleep: Callable[[float], Awaitable[None]],
        line: _Line,
        ticket: _Ticket,
    ) -> None:
        self._database, self._leases, self._sleep = database, leases, sleep
        self._line, self._ticket = line, ticket

    async def turn(self, tell: TellLine) -> None:
        told: int | None = None
        while not (view := await self._look()).is_gone:
            if view.ahead and not self._leases.is_held(view.ahead[0].operation_id):
                await self._database.run(partial(_remove, view.ahead[0]))
                continue
            if worth_telling(len(view.ahead), told):
                told = len(view.ahead)
                await tell(told, view.per_minute)
            await self._sleep(min(max(view.wait_s, SOONEST_LOOK_S), LATEST_LOOK_S))

    async def _look(self) -> _View:
        self._ticket, view = await self._database.run(partial(self._line.look, self._ticket))
        return view

    async def learn(self, per_minute: int | None) -> None:
        if per_minute:
            await self._database.run(partial(self._line.learn, per_minute))

    async def withdraw(self, hold_s: float) -> None:
        await self._database.run(partial(self._line.withdraw, self._ticket, hold_s))


@dataclass(frozen=True, slots=True)
class _Ticket:
    """`number` is the place in the line; it is kept by a call that comes back."""

    number: int | None
    operation_id: str
    pictures: int


@dataclass(frozen=True, slots=True)
class _View:
    """What a look shows: whether it was one's turn, who goes before, and the seconds until it can be."""

    is_gone: bool
    ahead: tuple[_Ticket, ...]
    wait_s: float
    per_minute: int | None


@dataclass(frozen=True, slots=True)
class _Line:
    """The line of one account and model, as statements; each method is one transaction."""

    account: str
    clock: Clock
    per_minute: int | None

    def look(self, ticket: _Ticket, db: sqlite3.Connection) -> tuple[_Ticket, _View]:
        """Stand in the line, and go if it is one's turn."""
        db.execute("BEGIN IMMEDIATE")
        with db:
            now = self.clock()
            if ticket.number is None:
                _clear(db, now)
            ticket = self._stand(db, ticket, now)
            ahead, (limit, held_s) = self._ahead(db, ticket), self._known(db, now)
            wanted = ticket.pictures + sum(other.pictures for other in ahead)
            room_s = until_room(self._sent(db, now), wanted, limit) if limit else 0.0
            goes = not ahead and max(held_s, room_s) <= 0
            if goes:
                db.execute("UPDATE tickets SET sent_at = ? WHERE number = ?", (text_of(now), ticket.number))
            return ticket, _View(goes, ahead, max(held_s, room_s), limit)

    def learn(self, per_minute: int, db: sqlite3.Connection) -> None:
        """Keep what the API said of the limit; the last word counts."""
        query = (
            "INSERT INTO rate_limits (account, per_minute, learned_at) VALUES (?, ?, ?) "
            "ON CONFLICT (account) DO UPDATE SET per_minute = excluded.per_minute, "
            "learned_at = excluded.learned_at"
        )
        now = self.clock()
        # Every answer may name it: a write to the disk for each is spared.
        known = db.execute(
            "SELECT per_minute, learned_at FROM rate_limits WHERE account = ?", (self.account,)
        ).fetchone()
        if known and known[0] == per_minute and _apart(known[1], now) < REMEMBERED / 24:
            return
        with db:
            db.execute(query, (self.account, per_minute, text_of(now)))

    def withdraw(self, ticket: _Ticket, hold_s: float, db: sqlite3.Connection) -> None:
        """Count a call as not sent, and hold the whole line for so long."""
        until = text_of(self.clock() + timedelta(seconds=hold_s))
        query = (
            "INSERT INTO rate_limits (account, held_until) VALUES (?, ?) ON CONFLICT (account) "
            "DO UPDATE SET held_until = max(coalesce(held_until, ''), excluded.held_until)"
        )
        with db:
            db.execute("DELETE FROM tickets WHERE number = ?", (ticket.number,))
            if hold_s > 0:
                db.execute(query, (self.account, until))

    def _stand(self, db: sqlite3.Connection, ticket: _Ticket, now: datetime) -> _Ticket:
        """The ticket in the line; also where it was taken out while its process slept for too long."""
        cursor = db.execute(
            "INSERT OR IGNORE INTO tickets (number, account, operation_id, pictures, taken_at) "
            "VALUES (?, ?, ?, ?, ?)",
            (ticket.number, self.account, ticket.operation_id, ticket.pictures, text_of(now)),
        )
        number = ticket.number if ticket.number is not None else cursor.lastrowid
        return _Ticket(number, ticket.operation_id, ticket.pictures)

    def _ahead(self, db: sqlite3.Connection, ticket: _Ticket) -> tuple[_Ticket, ...]:
        query = (
            "SELECT number, operation_id, pictures FROM tickets "
            "WHERE account = ? AND sent_at IS NULL AND number < ? ORDER BY number"
        )
        return tuple(_Ticket(*row) for row in db.execute(query, (self.account, ticket.number)))

    def _known(self, db: sqlite3.Connection, now: datetime) -> tuple[int | None, float]:
        """The limit, and for how many seconds the line is held."""
        query = "SELECT per_minute, learned_at, held_until FROM rate_limits WHERE account = ?"
        row = db.execute(query, (self.account,)).fetchone()
        if row is None:
            return self.per_minute, 0.0
        learned, learned_at, held_until = row
        fresh = learned_at is not None and _apart(learned_at, now) < REMEMBERED
        held = datetime.fromisoformat(held_until) - now if held_until else timedelta()
        limit = self.per_minute or (learned if fresh else None)
        return limit, held.total_seconds() if timedelta() < held <= LONGEST_HOLD else 0.0

    def _sent(self, db: sqlite3.Connection, now: datetime) -> list[tuple[float, int]]:
        """Of those sent within the window, the soonest to leave it first: in how many seconds, and how many
        pictures.
        """
        query = (
            "SELECT sent_at, pictures FROM tickets "
            "WHERE account = ? AND sent_at > ? AND sent_at < ? ORDER BY sent_at"
        )
        values = (self.account, text_of(now - WINDOW), text_of(now + WINDOW))
        return [
            ((datetime.fromisoformat(sent_at) + WINDOW - now).total_seconds(), pictures)
            for sent_at, pictures in db.execute(query, values)
        ]


def until_room(sent: Sequence[tuple[float, int]], wanted: int, limit: int) -> float:
    """Seconds until `wanted` more pictures keep within the limit; more than it allows go when none is left.

    `sent` has the seconds until each earlier call no longer counts, in order, and its pictures.
    """
    free, wait = limit - sum(pictures for _, pictures in sent), 0.0
    for leaves_s, pictures in sent:
        if free >= wanted:
            break
        free, wait = free + pictures, leaves_s
    return wait


def _apart(moment: str, now: datetime) -> timedelta:
    return abs(now - datetime.fromisoformat(moment))


def _remove(ticket: _Ticket, db: sqlite3.Connection) -> None:
    with db:
        db.execute("DELETE FROM tickets WHERE number = ? AND sent_at IS NULL", (ticket.number,))


def _clear(db: sqlite3.Connection, now: datetime) -> None:
    """Forget what counts no more, and those who died in lines that nobody stands in."""
    counted = (text_of(now - 2 * WINDOW), text_of(now + 2 * WINDOW))
    db.execute("DELETE FROM tickets WHERE sent_at NOT BETWEEN ? AND ?", counted)
    db.execute("DELETE FROM tickets WHERE taken_at < ?", (text_of(now - REMEMBERED),))
