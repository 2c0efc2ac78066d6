"""The ledger: every charge follows from its operation's state, and no limit is ever passed."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gpt_image_2_mcp.budgets import Budgets, By, Rest, Spending, Tally
from gpt_image_2_mcp.errors import BudgetExceeded, StorageError
from gpt_image_2_mcp.models import OPEN_STATES, Operation, SessionStep, State
from gpt_image_2_mcp.requests import RenderOptions, TurnOptions
from gpt_image_2_mcp.stores import ledger as module
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.ledger import SqliteLedger
from gpt_image_2_mcp.stores.sqlite import Database
from tests.stores.samples import Clock, completed, database, operation

T = TypeVar("T")
pytestmark = pytest.mark.anyio
STATES: tuple[State, ...] = get_args(State)
DOLLAR = 1_000_000


@dataclass
class Books:
    """A journal and its ledger, as one process has them."""

    journal: SqliteJournal
    ledger: SqliteLedger
    clock: Clock
    numbers: int = 0

    async def reserve(self, price: int | None, **more: Any) -> str:
        self.numbers += 1
        id_: str = more.pop("id_", f"op-{self.numbers}")
        await self.journal.reserve(operation(self.clock, id_, estimate=price, **more))
        return id_

    async def refused(self, price: int | None, **more: Any) -> str:
        with pytest.raises(BudgetExceeded) as caught:
            await self.reserve(price, **more)
        return caught.value.message

    async def end(self, id_: str, state: State, cost: int | None = None) -> None:
        """Bring a reserved operation to that state by the way that calls take."""
        steps: list[tuple[State, State]] = [("reserved", "sent"), ("sent", "received")]
        for source, target in steps[: {"sent": 1, "received": 2, "done": 2}.get(state, 1)]:
            assert await self.journal.move(id_, source, target)
        if state == "done":
            assert await self.journal.commit(id_, completed(cost=cost))
        elif state in ("released", "unknown"):
            assert await self.journal.move(id_, "sent", state)

    async def total(self) -> Tally:
        return (await self.ledger.spending()).periods[-1].tally


@asynccontextmanager
async def books_in(folder: Path, clock: Clock, **limits: int | None) -> AsyncIterator[Books]:
    async with database(folder) as opened:
        budgets = Budgets(**limits)
        journal = SqliteJournal(opened, clock, budgets=budgets, project="/projects/site")
        yield Books(journal, SqliteLedger(opened, clock, budgets, "5e4d3c2b"), clock)


@pytest.fixture
async def books(folder: Path, clock: Clock) -> AsyncIterator[Books]:
    async with books_in(folder, clock, total=DOLLAR) as opened:
        yield opened


SUMS = """
SELECT day, server, session_id, model, project, state, calls, amount, unpriced FROM ledger_sums
UNION ALL
SELECT substr(at, 1, 10), server, coalesce(session_id, ''), model, project, state,
    -count(*), -coalesce(sum(amount), 0), -sum(amount IS NULL)
FROM ledger GROUP BY 1, 2, 3, 4, 5, 6
"""
WRONG_SUMS = f"""
SELECT day, server, session_id, model, project, state FROM ({SUMS}) GROUP BY 1, 2, 3, 4, 5, 6
HAVING sum(calls) != 0 OR sum(amount) != 0 OR sum(unpriced) != 0
"""
"""Where the sums are not those of the entries."""


async def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    async with database(folder) as opened:
        return await opened.run(lambda db: db.execute(query).fetchall())


def step_of(session_id: str, number: int = 1) -> SessionStep:
    return SessionStep(session_id, number, TurnOptions(), None)


# A charge follows from its state


@pytest.mark.parametrize(
    ("state", "charged"),
    [
        ("reserved", Tally(1, reserved=700)),
        ("sent", Tally(1, reserved=700)),
        ("received", Tally(1, reserved=700)),
        ("done", Tally(1, spent=300)),
        ("released", Tally(0)),
        ("unknown", Tally(1, unknown=700)),
    ],
)
async def test_a_call_is_charged_as_its_state_demands(books: Books, state: State, charged: Tally) -> None:
    id_ = await books.reserve(700)
    if state != "reserved":
        await books.end(id_, state, cost=300)
    assert await books.total() == charged


async def test_a_call_that_is_sent_again_stays_reserved(books: Books) -> None:
    id_ = await books.reserve(700)
    assert await books.journal.move(id_, "reserved", "sent")
    assert await books.journal.move(id_, "sent", "reserved", phase="waiting 3 s")
    assert await books.total() == Tally(1, reserved=700)


async def test_without_the_apis_word_the_reservation_stays_and_is_called_an_estimate(books: Books) -> None:
    await books.end(await books.reserve(700), "done", cost=None)
    assert await books.total() == Tally(1, spent=700, estimated=700)


async def test_a_cost_that_rests_on_no_usage_is_not_taken_for_what_it_did_cost(books: Books) -> None:
    await books.end(await books.reserve(700), "received")
    await books.journal.commit("op-1", completed(usage=None, cost=300))
    assert await books.total() == Tally(1, spent=700, estimated=700)


async def test_a_cost_above_the_reservation_is_charged_as_it_is_and_logged(
    books: Books, caplog: pytest.LogCaptureFixture
) -> None:
    await books.end(await books.reserve(700), "done", cost=2 * DOLLAR)
    assert await books.total() == Tally(1, spent=2 * DOLLAR)
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert record.getMessage() == "operation op-1 cost 2000000 micro-dollars, not 700 at most"
    assert "$0.00 of the total $1.00 is left" in await books.refused(1)


async def test_a_call_without_a_price_is_charged_when_its_cost_is_known(folder: Path, clock: Clock) -> None:
    async with books_in(folder, clock) as books:
        first, second = await books.reserve(None), await books.reserve(None)
        assert await books.total() == Tally(2, unpriced=2)
        await books.end(first, "done", cost=500)
        await books.end(second, "unknown")
        assert await books.total() == Tally(2, spent=500, unpriced=1)


async def test_a_picture_from_elsewhere_costs_nothing(books: Books, folder: Path, clock: Clock) -> None:
    await books.journal.record(operation(clock, action="import", state="done", completed=completed(cost=0)))
    assert await rows(folder, "SELECT * FROM ledger") == []


async def test_a_move_that_did_not_happen_charges_nothing(books: Books) -> None:
    id_ = await books.reserve(700)
    assert not await books.journal.move(id_, "sent", "released")
    assert not await books.journal.commit(id_, completed(cost=1))
    assert await books.total() == Tally(1, reserved=700)


@pytest.mark.parametrize("broken", ["enter", "follow", "settle"])
async def test_state_and_charge_are_written_together_or_not_at_all(
    books: Books, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_args: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    id_ = await books.reserve(700)
    if broken == "settle":
        await books.end(id_, "received")
    before, charged = await books.journal.recent(9), await books.total()
    write: Callable[[], Awaitable[object]] = {
        "enter": lambda: books.reserve(700),
        "follow": lambda: books.journal.move(id_, "reserved", "released"),
        "settle": lambda: books.journal.commit(id_, completed()),
    }[broken]
    monkeypatch.setattr(module, broken, fail)
    with pytest.raises(StorageError, match="disk I/O error"):
        await write()
    monkeypatch.undo()
    assert (await books.journal.recent(9), await books.total()) == (before, charged)


# The limits


async def test_a_call_that_fits_to_the_last_micro_dollar_passes_and_the_next_does_not(books: Books) -> None:
    await books.reserve(DOLLAR - 1)
    await books.reserve(1)
    assert "$0.00 of the total $1.00 is left" in await books.refused(1)


async def test_a_refused_call_is_not_entered(books: Books) -> None:
    await books.refused(DOLLAR + 1)
    assert await books.journal.recent(9) == ()
    assert await books.total() == Tally()


async def test_what_is_released_or_cheaper_than_reserved_makes_room(books: Books) -> None:
    first, second = await books.reserve(500_000), await books.reserve(500_000)
    await books.refused(1)
    await books.end(first, "released")
    await books.end(second, "done", cost=400_000)
    await books.refused(600_001)
    await books.reserve(600_000)


async def test_what_may_have_been_billed_makes_no_room(books: Books) -> None:
    await books.end(await books.reserve(DOLLAR), "unknown")
    await books.refused(1)


async def test_a_limit_of_nothing_lets_nothing_through(folder: Path, clock: Clock) -> None:
    async with books_in(folder, clock, day=0) as books:
        assert "$0.00 of the day's $0.00 is left" in await books.refused(1)


async def test_without_a_limit_everything_passes(folder: Path, clock: Clock) -> None:
    async with books_in(folder, clock) as books:
        for price in (10**12, None):
            await books.reserve(price)


async def test_without_a_price_nothing_passes_where_there_is_a_limit(books: Books) -> None:
    assert "is not known" in await books.refused(None)


async def test_all_limits_are_held_at_once(folder: Path, clock: Clock) -> None:
    async with books_in(folder, clock, call=90, session=100, day=100, month=100, total=100) as books:
        await books.reserve(50)
        said = await books.refused(91)
    for part in ("one call may", "this server run's", "the day's", "the month's", "the total"):
        assert part in said
    assert "edit session" not in said


async def test_a_sessions_limit_is_that_of_one_run_and_of_one_edit_session_in_all_runs(
    folder: Path, clock: Clock
) -> None:
    async with books_in(folder, clock, session=100) as books:
        await books.reserve(60, server="run-1", step=step_of("s1", 1))
        assert "this server run's" in await books.refused(50, server="run-1")
        assert "this edit session's" in await books.refused(50, server="run-2", step=step_of("s1", 2))
        await books.reserve(50, server="run-2", step=step_of("s2", 1))
        await books.reserve(40, server="run-3", step=step_of("s1", 2))


# Clocks


async def test_a_day_and_a_month_renew_by_utc(folder: Path, clock: Clock) -> None:
    clock.now = datetime(2026, 11, 29, 23, 59, 59, 999_999, tzinfo=UTC)
    async with books_in(folder, clock, day=100, month=250) as books:
        await books.reserve(100)
        assert "until 2026-11-30 00:00 UTC" in await books.refused(1)
        clock.forward(microseconds=1)
        await books.reserve(100)
        clock.forward(days=1)
        assert (await books.ledger.spending()).periods[2].left == 250
        await books.reserve(100)


async def test_a_clock_put_back_over_midnight_opens_no_window_again(folder: Path, clock: Clock) -> None:
    clock.now = datetime(2026, 12, 1, 0, 30, tzinfo=UTC)
    async with books_in(folder, clock, day=100, month=100) as books:
        await books.reserve(100)
        clock.forward(hours=-1)
        assert "until 2026-12-01 00:00 UTC" in await books.refused(1)
        clock.forward(hours=1)
        await books.refused(1)


async def test_a_clock_that_ran_a_day_ahead_and_was_put_back_opens_no_window_again(
    folder: Path, clock: Clock
) -> None:
    async with books_in(folder, clock, day=100) as books:
        await books.reserve(60)
        clock.forward(days=1)
        await books.reserve(100)
        clock.forward(days=-1)
        await books.refused(1)


async def test_one_wrong_clock_does_not_lock_a_budget_for_years(folder: Path, clock: Clock) -> None:
    async with books_in(folder, clock, day=100) as books:
        clock.forward(days=3650)
        await books.reserve(70)
        clock.forward(days=-3650)
        await books.reserve(30)
        clock.forward(days=3651)
        await books.reserve(100)


async def test_the_hour_that_a_clock_on_the_wall_repeats_is_not_repeated(folder: Path, clock: Clock) -> None:
    try:
        berlin = ZoneInfo("Europe/Berlin")  # 2026-10-25: 02:00 to 03:00 comes twice
    except ZoneInfoNotFoundError:
        pytest.skip("this machine has no table of time zones")
    async with books_in(folder, clock, day=100) as books:
        for fold in (0, 1):
            clock.now = datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=berlin)
            await books.reserve(50)
        await books.refused(1)
        assert (await rows(folder, "SELECT at FROM ledger ORDER BY at"))[1][0].startswith("2026-10-25T01:30")


# What was spent


async def spent(books: Books, by: By, since: date | None = None) -> dict[str, int]:
    return {name: tally.charged for name, tally in (await books.ledger.spending(by, since)).groups}


async def test_what_was_spent_is_told_by_period_with_what_is_left(folder: Path, clock: Clock) -> None:
    async with books_in(folder, clock, call=900, session=1000, month=5000) as books:
        clock.forward(days=-40)
        await books.end(await books.reserve(100, server="old"), "done", cost=90)
        clock.forward(days=39)
        await books.end(await books.reserve(200, server="old"), "unknown")
        clock.forward(days=1)
        await books.reserve(400)
        found = await books.ledger.spending()
    seen = {p.purse: (p.tally, p.limit, p.left, p.begins, p.renews) for p in found.periods}
    day, december = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    held = Tally(1, reserved=400)
    both = Tally(2, reserved=400, unknown=200)
    assert seen == {
        "session": (held, 1000, 600, None, None),
        "day": (held, None, None, day, day + timedelta(days=1)),
        "month": (both, 5000, 4400, datetime(2026, 11, 1, tzinfo=UTC), december),
        "total": (replace(both, calls=3, spent=90), None, None, None, None),
    }
    assert found.call_limit == 900


async def test_what_was_spent_is_split_by_day_model_session_or_project(folder: Path, clock: Clock) -> None:
    async with books_in(folder, clock) as books:
        await books.reserve(1, options=RenderOptions(model="gpt-image-2.5-flare"), step=step_of("edit-1"))
        clock.forward(days=1)
        await books.reserve(20, server="ab")
        await books.reserve(300)
        await books.end(await books.reserve(9), "released")
        assert await spent(books, "day") == {"2026-11-23": 320, "2026-11-22": 1}
        assert await spent(books, "model") == {"gpt-image-2": 320, "gpt-image-2.5-flare": 1}
        assert await spent(books, "session") == {"run 5e4d3c2b": 300, "run ab": 20, "edit-1": 1}
        assert await spent(books, "project") == {"/projects/site": 321}
        assert await spent(books, "day", clock().date()) == {"2026-11-23": 320}
        dearest = [name for name, _ in (await books.ledger.spending("session")).groups]
        assert dearest == ["run 5e4d3c2b", "run ab", "edit-1"]


async def test_a_split_is_of_this_month_if_nothing_else_is_asked_for(folder: Path, clock: Clock) -> None:
    async with books_in(folder, clock) as books:
        await books.reserve(1)
        clock.forward(days=30)
        assert await spent(books, "day") == {}
        assert await spent(books, "day", date(2026, 1, 1)) == {"2026-11-22": 1}


async def test_of_many_groups_the_dearest_are_told_and_the_rest_are_added_up(books: Books) -> None:
    for price in (1, 20, 300, 4000):
        await books.reserve(price, step=step_of(f"edit-{price}"))
    found = await books.ledger.spending("session", most=2)
    assert [name for name, _ in found.groups] == ["edit-4000", "edit-300"]
    assert found.rest == Rest(2, 21)
    assert (await books.ledger.spending("session", most=4)).rest == Rest()


async def test_a_group_whose_calls_were_all_released_is_not_told(books: Books) -> None:
    await books.end(await books.reserve(9, step=step_of("edit-1")), "released")
    assert await spent(books, "session") == {}


async def test_of_no_run_of_a_server_nothing_is_told(folder: Path, clock: Clock) -> None:
    async with database(folder) as opened:
        periods = (await SqliteLedger(opened, clock).spending()).periods
    assert [period.purse for period in periods] == ["day", "month", "total"]


# A state file from before


async def test_a_journal_from_before_there_was_a_ledger_is_charged_as_it_stands(
    folder: Path, clock: Clock
) -> None:
    async with books_in(folder, clock) as books:
        for number, state in enumerate(STATES):
            id_ = await books.reserve(100 * (number + 1), id_=state, step=step_of("s1", number + 1))
            if state != "reserved":
                await books.end(id_, state, cost=7)
        await books.end(await books.reserve(5000, id_="unsaid"), "done", cost=None)
        await books.end(await books.reserve(None, id_="unpriced"), "unknown")
        await books.end(await books.reserve(900, id_="guessed"), "received")
        await books.journal.commit("guessed", completed(usage=None, cost=300))
        await books.end(await books.reserve(800, id_="damaged"), "done", cost=3)
        await books.journal.record(operation(clock, "in", action="import", state="done"))
    before = await rows(folder, "SELECT * FROM ledger ORDER BY operation_id")

    def age(db: sqlite3.Connection) -> None:
        db.executescript("""
            DROP TABLE ledger; DROP TABLE rate_limits; DROP TABLE tickets; DROP TABLE ledger_sums;
            PRAGMA user_version = 1;
            UPDATE operations SET completed = CAST('{torn' AS BLOB) WHERE id = 'damaged';
        """)

    async with database(folder) as opened:
        await opened.run(age)
    after = await rows(folder, "SELECT * FROM ledger ORDER BY operation_id")
    expected = {row[0]: (*row[:5], "", *row[6:]) for row in before}
    expected["damaged"] = (*expected["damaged"][:-2], 800, "estimated")
    assert {row[0]: row for row in after} == expected
    assert await rows(folder, WRONG_SUMS) == []


# Any order of calls, against a model of plain values

SESSIONS = ("s1", "s2")
RUNS = ("run-1", "run-2")
LIMITS = Budgets(call=60, session=150, day=200, month=300, total=700)


@dataclass
class Entry:
    """An operation and its charge, as plainly as can be said."""

    operation: Operation
    amount: int

    @property
    def session(self) -> str | None:
        return self.operation.step.session_id if self.operation.step else None


class Model(RuleBasedStateMachine):
    """Two processes on one folder; what each call must answer, and what must be charged then."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.place = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.databases = [Database(Path(self.place.name)) for _ in range(2)]
        self.journals = [SqliteJournal(each, self.clock, budgets=LIMITS) for each in self.databases]
        self.ledger = SqliteLedger(self.databases[0], self.clock, LIMITS, RUNS[0])
        self.entries: dict[str, Entry] = {}

    names = Bundle("names")
    side = st.integers(0, 1)
    open_state = st.sampled_from(OPEN_STATES)
    goal = st.sampled_from([state for state in STATES if state != "done"])

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def fits(self, price: int, run: str, session: str | None) -> bool:
        """By the rule as the documentation has it."""
        now, entries = self.clock(), self.entries.values()
        today = now.replace(hour=0, minute=0, second=0)
        sums = [
            (sum(e.amount for e in entries if e.operation.server == run), LIMITS.session),
            (sum(e.amount for e in entries if session and e.session == session), LIMITS.session),
            (sum(e.amount for e in entries if e.operation.created_at >= today), LIMITS.day),
            (sum(e.amount for e in entries if e.operation.created_at >= today.replace(day=1)), LIMITS.month),
            (sum(e.amount for e in entries), LIMITS.total),
            (0, LIMITS.call),
        ]
        return all(charged + price <= (limit or 0) for charged, limit in sums)

    @rule(
        target=names,
        side=side,
        price=st.integers(1, 70),
        run=st.sampled_from(RUNS),
        session=st.none() | st.sampled_from(SESSIONS),
    )
    def reserve(self, side: int, price: int, run: str, session: str | None) -> str:
        id_ = f"op-{len(self.entries)}"
        step = step_of(session, len(self.entries) + 1) if session else None
        made = operation(self.clock, id_, estimate=price, server=run, step=step)
        fits = self.fits(price, run, session)
        try:
            self.run(self.journals[side].reserve(made))
        except BudgetExceeded:
            assert not fits
        else:
            assert fits
            self.entries[id_] = Entry(made, price)
        return id_

    @rule(side=side, id_=names, source=open_state, goal=goal)
    def move(self, side: int, id_: str, source: State, goal: State) -> None:
        entry = self.entries.get(id_)
        moved = self.run(self.journals[side].move(id_, source, goal))
        assert moved is (entry is not None and entry.operation.state == source)
        if moved and entry:
            entry.operation = replace(entry.operation, state=goal)
            entry.amount = 0 if goal == "released" else entry.operation.estimate or 0

    @rule(side=side, id_=names, cost=st.none() | st.integers(0, 90))
    def settle(self, side: int, id_: str, cost: int | None) -> None:
        entry = self.entries.get(id_)
        if entry is None or entry.operation.state != "received":
            return
        assert self.run(self.journals[side].commit(id_, completed(cost=cost)))
        entry.operation = replace(entry.operation, state="done")
        entry.amount = (entry.operation.estimate or 0) if cost is None else cost

    @rule(hours=st.sampled_from([-30, -1, 1, 7, 30, 500]))
    def clock_steps(self, hours: int) -> None:
        self.clock.forward(hours=hours)

    @invariant()
    def the_ledger_says_what_was_charged(self) -> None:
        spending: Spending = self.run(self.ledger.spending("model"))
        total = spending.periods[-1].tally
        assert total.charged == sum(e.amount for e in self.entries.values())
        states = [e.operation.state for e in self.entries.values()]
        assert total.calls == len(states) - states.count("released")
        held = sum(e.amount for e in self.entries.values() if e.operation.state in OPEN_STATES)
        unknown = sum(e.amount for e in self.entries.values() if e.operation.state == "unknown")
        assert (total.reserved, total.unknown) == (held, unknown)
        run = sum(e.amount for e in self.entries.values() if e.operation.server == RUNS[0])
        assert spending.periods[0].tally.charged == run
        assert self.run(self.databases[1].run(lambda db: db.execute(WRONG_SUMS).fetchall())) == []

    def teardown(self) -> None:
        for each in self.databases:
            self.run(each.close())
        self.runner.close()
        self.place.cleanup()


def check_any_order(examples: int) -> None:
    """Raises AssertionError with the calls that lead to a wrong answer."""
    run_state_machine_as_test(
        Model, settings=settings(max_examples=examples, stateful_step_count=50, deadline=None)
    )


def test_in_any_order_of_calls_a_call_passes_exactly_when_it_fits_and_is_charged_what_it_should_be() -> None:
    check_any_order(60)
