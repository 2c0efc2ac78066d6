"""The journal: states that change only from the state they are in, durable when a call returns."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gpt_image_2_mcp.errors import OperationNotFound, StorageError
from gpt_image_2_mcp.models import (
    OPEN_STATES,
    Completed,
    Failure,
    Operation,
    Placement,
    SessionStep,
    State,
    SvgUsage,
)
from gpt_image_2_mcp.ports import Journal
from gpt_image_2_mcp.redaction import redactor
from gpt_image_2_mcp.requests import RenderOptions, TurnOptions
from gpt_image_2_mcp.stores import journal as module
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.sqlite import Database
from gpt_image_2_mcp.stores.sqlite_sessions import SqliteSessionStore
from tests.stores.samples import (
    FAILURE,
    Clock,
    completed,
    database,
    drawing,
    film,
    ids,
    image,
    operation,
    turn_of,
)

T = TypeVar("T")
pytestmark = pytest.mark.anyio
STATES: tuple[State, ...] = get_args(State)
CLOSED = tuple(state for state in STATES if state not in OPEN_STATES)
OpenJournal = Callable[[], Any]


@asynccontextmanager
async def journal_in(folder: Path, clock: Clock) -> AsyncIterator[Journal]:
    """The journal as one process opens it."""
    async with database(folder) as opened:
        yield SqliteJournal(opened, clock)


@pytest.fixture
async def journal(folder: Path, clock: Clock) -> AsyncIterator[Journal]:
    async with journal_in(folder, clock) as opened:
        yield opened


async def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    async with database(folder) as opened:
        return await opened.run(lambda db: db.execute(query).fetchall())


async def entered(journal: Journal, clock: Clock, id_: str = "op-1", **more: Any) -> Operation:
    """An operation that was reserved and brought to the state that `more` asks for."""
    state: State = more.pop("state", "reserved")
    made = operation(clock, id_, **more)
    await journal.reserve(made)
    if state == "done":
        assert await journal.move(id_, "reserved", "received")
        assert await journal.commit(id_, completed())
    elif state != "reserved":
        assert await journal.move(id_, "reserved", state)
    return await journal.get(id_)


FULL: dict[str, Any] = {
    "prompt": 'a "teapot"; DROP TABLE \u72d0 \U0001f98a\n\x00',
    "options": RenderOptions(
        model="gpt-image-2.5-flare",
        size="1024x640",
        quality="max",
        n=10,
        output_compression=0,
        safety_identifier="u",
    ),
    "placement": Placement(
        Path("/p q/\u72d0"), "session", "20261122-120000", "0f" * 16, "logo", 3, Path("/p q")
    ),
    "step": SessionStep("s1", 1, TurnOptions(quality="max", size="1024x640"), "logo"),
    "estimate": 2_112_000,
    "attempts": 2,
    "phase": "waiting 3 s",
}


# In and out


@pytest.mark.parametrize("more", [{}, FULL], ids=["plain", "full"])
async def test_an_operation_comes_back_as_it_was_reserved(
    journal: Journal, clock: Clock, more: dict[str, Any]
) -> None:
    made = operation(clock, **more)
    await journal.reserve(made)
    assert await journal.get("op-1") == made
    assert await journal.unfinished() == (made,)
    assert await journal.recent(9) == (made,)


@pytest.mark.parametrize("more", [{}, FULL], ids=["plain", "full"])
async def test_what_was_completed_comes_back_as_it_was(
    journal: Journal, clock: Clock, more: dict[str, Any]
) -> None:
    received = await entered(journal, clock, state="received", **more)
    done = completed(1, 2, notes=("Lost.", "\u72d0"), route="responses", usage=None, cost=None)
    now = clock.forward(seconds=61.5)
    assert await journal.commit("op-1", done) is True
    expected = replace(received, state="done", changed_at=now, completed=done, phase="")
    assert await journal.get("op-1") == expected


async def test_drawings_and_films_come_back_with_what_is_known_of_them(
    journal: Journal, clock: Clock
) -> None:
    await entered(journal, clock, state="received")
    author = SvgUsage(model="gpt-6-sketch", output_tokens=900, total_tokens=940)
    done = replace(completed(), images=(drawing(), film()), svg_usage=author)
    assert await journal.commit("op-1", done) is True
    assert (await journal.get("op-1")).completed == done


async def test_what_was_completed_before_there_were_films_and_drawings_comes_back_without_their_facts(
    folder: Path, clock: Clock
) -> None:
    async with journal_in(folder, clock) as journal:
        await entered(journal, clock, state="received")
        await journal.commit("op-1", completed())

    def age(db: sqlite3.Connection) -> None:
        with db:
            query = "UPDATE operations SET completed = json_remove(CAST(completed AS TEXT), ?, ?)"
            db.execute(query, ("$.images[0].animation", "$.svg_usage"))

    async with database(folder) as opened:
        await opened.run(age)
    async with journal_in(folder, clock) as journal:
        assert (await journal.get("op-1")).completed == completed()


async def test_an_operation_from_before_there_were_roots_comes_back_without_one(
    folder: Path, clock: Clock
) -> None:
    made = operation(clock, **FULL)
    async with journal_in(folder, clock) as journal:
        await journal.reserve(made)

    def age(db: sqlite3.Connection) -> None:
        with db:
            db.execute("UPDATE operations SET placement = json_remove(CAST(placement AS TEXT), '$.root')")

    async with database(folder) as opened:
        await opened.run(age)
    async with journal_in(folder, clock) as journal:
        found = await journal.get("op-1")
    assert found.placement == replace(made.placement, root=None)


async def test_no_key_that_an_upstream_echoes_comes_into_the_file(folder: Path, clock: Clock) -> None:
    key = "a key of another server"
    async with database(folder) as opened:
        journal = SqliteJournal(opened, clock, redact=redactor(key))
        await entered(journal, clock, "op-1", state="received")
        await journal.commit("op-1", completed(notes=(f"It said {key}.",)))
        await entered(journal, clock, "op-2")
        await journal.move("op-2", "reserved", "reserved", phase=f"waiting: {key}")
        phase = (await journal.get("op-2")).phase
        failure = Failure("rejected", f"No {key}.", f"Mend {key}.")
        await journal.move("op-2", "reserved", "released", failure=failure)
        first, second = await journal.get("op-1"), await journal.get("op-2")
    assert first.completed is not None
    assert (first.completed.notes, phase) == (("It said [redacted].",), "waiting: [redacted]")
    assert second.failure == Failure("rejected", "No [redacted].", "Mend [redacted].")
    assert not [path for path in folder.iterdir() if path.is_file() and key.encode() in path.read_bytes()]


async def test_an_unknown_operation_is_not_found(journal: Journal, clock: Clock) -> None:
    await entered(journal, clock)
    for id_ in ("", "op", "OP-1", "op-1' OR '1'='1", "op-2"):
        with pytest.raises(OperationNotFound) as caught:
            await journal.get(id_)
        assert "operation_id" in caught.value.hint
        assert await journal.move(id_, "reserved", "sent") is False
        with pytest.raises(OperationNotFound):
            await journal.commit(id_, completed())
    assert [each.state for each in await journal.recent(9)] == ["reserved"]


async def test_an_id_is_entered_once(journal: Journal, clock: Clock) -> None:
    made = await entered(journal, clock)
    with pytest.raises(StorageError):
        await journal.reserve(operation(clock, prompt="another"))
    assert await journal.recent(9) == (made,)


# From state to state


async def test_a_move_names_attempts_phase_failure_and_moment(journal: Journal, clock: Clock) -> None:
    made = await entered(journal, clock)
    now = clock.forward(seconds=5)
    assert await journal.move("op-1", "reserved", "sent", attempts=1) is True
    assert await journal.get("op-1") == replace(made, state="sent", attempts=1, changed_at=now)

    assert await journal.move("op-1", "sent", "reserved", phase="waiting 3 s") is True
    assert await journal.get("op-1") == replace(made, attempts=1, phase="waiting 3 s", changed_at=now)

    assert await journal.move("op-1", "reserved", "unknown", failure=FAILURE) is True
    ended = replace(made, state="unknown", attempts=1, failure=FAILURE, changed_at=now)
    assert await journal.get("op-1") == ended


async def test_a_failure_is_forgotten_by_the_next_move_and_by_the_end(journal: Journal, clock: Clock) -> None:
    await entered(journal, clock, state="received")
    assert await journal.move("op-1", "received", "received", failure=FAILURE) is True
    stuck = await journal.get("op-1")
    assert (stuck.failure, stuck.is_settled) == (FAILURE, True)
    assert await journal.commit("op-1", completed()) is True
    done = await journal.get("op-1")
    assert (done.failure, done.state) == (None, "done")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("source", STATES)
async def test_a_move_from_another_state_changes_nothing(
    journal: Journal, clock: Clock, state: State, source: State
) -> None:
    before = await entered(journal, clock, state=state)
    clock.forward(seconds=1)
    moved = await journal.move("op-1", source, "unknown", attempts=9, phase="x", failure=FAILURE)
    assert moved is (state == source)
    after = await journal.get("op-1")
    assert (after == before) is (not moved)
    assert after.state == ("unknown" if moved else state)


@pytest.mark.parametrize("state", STATES)
async def test_only_what_was_received_is_committed_and_only_once(
    journal: Journal, folder: Path, clock: Clock, state: State
) -> None:
    step = SessionStep("s1", 1, TurnOptions(), None)
    before = await entered(journal, clock, state=state, step=step)
    count = len(await rows(folder, "SELECT 1 FROM images"))
    assert await journal.commit("op-1", completed(1, 2)) is (state == "received")
    if state != "received":
        assert await journal.get("op-1") == before
        assert len(await rows(folder, "SELECT 1 FROM images")) == count
        return
    clock.forward(seconds=1)
    done = await journal.get("op-1")
    assert await journal.commit("op-1", completed(3)) is False
    assert await journal.get("op-1") == done
    assert len(await rows(folder, "SELECT 1 FROM images")) == 2
    assert len(await rows(folder, "SELECT 1 FROM turns")) == 1


async def test_a_state_that_there_is_not_is_refused(journal: Journal, clock: Clock) -> None:
    before = await entered(journal, clock)
    with pytest.raises(StorageError):
        await journal.move("op-1", "reserved", "lost")  # type: ignore[arg-type]
    assert await journal.get("op-1") == before


# The commit


async def test_a_commit_enters_every_picture_in_the_catalogue(
    journal: Journal, folder: Path, clock: Clock
) -> None:
    await entered(journal, clock, state="received")
    clock.forward(seconds=7)
    await journal.commit("op-1", completed(1, 2))
    columns = "id, operation_id, path, size_bytes, mime_type, width, height, sha256, created_at"
    assert await rows(folder, f"SELECT {columns} FROM images ORDER BY id") == [
        (
            f"op-1-{number}",
            "op-1",
            str(image(number).path),
            123_456,
            "image/png",
            1024,
            640,
            image(number).sha256,
            "2026-11-22T12:00:07.000000+00:00",
        )
        for number in (1, 2)
    ]


async def test_a_commit_adds_the_sessions_turn(journal: Journal, folder: Path, clock: Clock) -> None:
    first = turn_of("s1", 1, clock, options=TurnOptions(quality="low"), prefix="logo")
    for made in (first, turn_of("s1", 2, clock, prompt="bluer", options=TurnOptions(quality="high"))):
        await journal.reserve(made)
        await journal.move(made.id, "reserved", "received")
        await journal.commit(made.id, completed(made.step.number if made.step else 0, 9))

    async with database(folder) as opened:
        (session,) = await SqliteSessionStore(opened, folder / "locks", clock).active()
    assert (session.last.number, session.last.prompt, session.last.image) == (2, "bluer", image(2))
    assert session.options == TurnOptions(quality="high")
    assert session.filename_prefix == "logo"


async def test_a_turn_of_a_session_that_ended_is_done_and_brings_nothing_back(
    journal: Journal, folder: Path, clock: Clock
) -> None:
    async with database(folder) as opened:
        sessions = SqliteSessionStore(opened, folder / "locks", clock)
        assert await sessions.keep(turn_of("s1", 1, clock), image(1)) is True
        await journal.reserve(turn_of("s1", 2, clock))
        await journal.move("s1-2", "reserved", "received")
        assert await sessions.end("s1") is True

        assert await journal.commit("s1-2", completed(2)) is True
        assert (await journal.get("s1-2")).state == "done"
        assert await sessions.keep(await journal.get("s1-2"), image(2)) is False
        assert await ids(sessions) == []


@pytest.mark.parametrize("broken", ["_insert_images", "record_step"])
async def test_a_commit_is_done_whole_or_not_at_all(
    journal: Journal, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_args: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    before = await entered(journal, clock, state="received", step=SessionStep("s1", 1, TurnOptions(), None))
    with monkeypatch.context() as patch:
        patch.setattr(module, broken, fail)
        with pytest.raises(StorageError, match="disk I/O error"):
            await journal.commit("op-1", completed(1, 2))

    assert await journal.get("op-1") == before
    assert await rows(folder, "SELECT 1 FROM images UNION ALL SELECT 1 FROM turns") == []
    assert await journal.commit("op-1", completed(1, 2)) is True
    assert len(await rows(folder, "SELECT 1 FROM images UNION ALL SELECT 1 FROM turns")) == 3


# Looking


async def test_unfinished_operations_come_oldest_first(journal: Journal, clock: Clock) -> None:
    for number, state in enumerate((*STATES, *STATES)):
        await entered(journal, clock, f"op-{number}", state=state, created_at=clock.forward(seconds=-1))
    unfinished = await journal.unfinished()
    assert [each.id for each in unfinished] == ["op-8", "op-7", "op-6", "op-2", "op-1", "op-0"]
    assert {each.state for each in unfinished} == set(OPEN_STATES)


async def test_recent_operations_come_newest_first_up_to_a_limit(journal: Journal, clock: Clock) -> None:
    for number, state in enumerate(STATES):
        await entered(journal, clock, f"op-{number}", state=state, created_at=clock())
        clock.forward(seconds=number % 2)
    assert [each.id for each in await journal.recent(4)] == ["op-5", "op-4", "op-3", "op-2"]
    assert len(await journal.recent(99)) == len(STATES)
    assert await journal.recent(0) == ()


async def test_alike_are_open_operations_of_that_fingerprint_since_a_moment(
    journal: Journal, clock: Clock
) -> None:
    since = clock()
    for number, state in enumerate(STATES):
        await entered(journal, clock, f"op-{number}", state=state, created_at=clock.forward(seconds=1))
    await entered(journal, clock, "another", fingerprint="e" * 64)
    await entered(journal, clock, "old", created_at=since - timedelta(microseconds=1))
    await entered(journal, clock, "just", created_at=since)
    found = [id_ for id_, _server in await journal.alike("f" * 64, since)]
    assert found == ["just", "op-0", "op-1", "op-2"]
    assert await journal.alike("0" * 64, since) == ()


async def test_unfinished_turns_of_a_session_are_found_by_it(journal: Journal, clock: Clock) -> None:
    for number, state in enumerate(STATES):
        step = SessionStep("s1", number + 1, TurnOptions(), None)
        await entered(journal, clock, f"op-{number}", state=state, step=step)
    await entered(journal, clock, "plain")
    await entered(journal, clock, "another", step=SessionStep("s2", 1, TurnOptions(), None))
    assert {each.id for each in await journal.unfinished_in_session("s1")} == {"op-0", "op-1", "op-2"}
    assert await journal.unfinished_in_session("s3") == ()


async def test_a_damaged_entry_keeps_no_other_from_being_found(
    journal: Journal, clock: Clock, folder: Path
) -> None:
    for id_ in ("whole", "damaged"):
        await entered(journal, clock, id_, state="sent")

    def damage(db: sqlite3.Connection) -> None:
        with db:
            db.execute("UPDATE operations SET placement = CAST('{torn' AS BLOB) WHERE id = 'damaged'")

    async with database(folder) as other:
        await other.run(damage)
    assert [each.id for each in await journal.unfinished()] == ["whole"]
    assert [each.id for each in await journal.recent(5)] == ["whole"]
    with pytest.raises(StorageError, match="entry damaged is damaged"):
        await journal.get("damaged")


async def test_durations_are_those_of_finished_calls_with_the_same_model_quality_and_size(
    journal: Journal, clock: Clock
) -> None:
    async def finish(id_: str, seconds: float, **options: Any) -> None:
        await journal.reserve(operation(clock, id_, options=RenderOptions(**options)))
        await journal.move(id_, "reserved", "received")
        clock.forward(seconds=seconds)
        await journal.commit(id_, completed())

    high: dict[str, Any] = {"model": "gpt-image-2", "quality": "high", "size": "1024x1024"}
    await finish("a", 61.25, **high)
    await finish("b", 70, **high, n=4, output_format="webp")
    await finish("c", 5, **{**high, "quality": "low"})
    await finish("d", 6, **{**high, "size": "1536x1024"})
    await finish("e", 7, **{**high, "model": "gpt-image-2.5-flare"})
    await finish("f", 8, model="gpt-image-2")
    for state in STATES:
        if state != "done":
            await entered(journal, clock, f"x-{state}", state=state, options=RenderOptions(**high))

    assert await journal.durations(RenderOptions(**high)) == pytest.approx([70, 61.25], abs=0.001)
    auto = RenderOptions(model="gpt-image-2", quality="auto", size="auto")
    assert await journal.durations(auto) == pytest.approx([8], abs=0.001)
    assert await journal.durations(RenderOptions(model="gpt-image-1")) == ()


async def test_only_the_last_twenty_durations_count(journal: Journal, clock: Clock) -> None:
    for number in range(25):
        await journal.reserve(operation(clock, f"op-{number}"))
        await journal.move(f"op-{number}", "reserved", "received")
        clock.forward(seconds=number)
        await journal.commit(f"op-{number}", completed())
    durations = await journal.durations(RenderOptions(model="gpt-image-2"))
    assert durations == pytest.approx(range(24, 4, -1), abs=0.001)


# Durable and shared


@pytest.mark.parametrize("state", STATES)
async def test_every_state_is_there_for_the_next_process(folder: Path, clock: Clock, state: State) -> None:
    async with journal_in(folder, clock) as one:
        kept = await entered(one, clock, state=state, **FULL)
    async with journal_in(folder, clock) as two:
        assert await two.get("op-1") == kept


async def test_what_one_process_wrote_the_other_sees_at_once(folder: Path, clock: Clock) -> None:
    async with journal_in(folder, clock) as one, journal_in(folder, clock) as two:
        await entered(one, clock)
        assert await two.move("op-1", "reserved", "sent", attempts=1) is True
        assert (await one.get("op-1")).state == "sent"
        assert await one.move("op-1", "reserved", "released") is False
        assert await one.move("op-1", "sent", "received") is True
        assert await two.commit("op-1", completed()) is True
        assert await one.commit("op-1", completed()) is False


@pytest.mark.parametrize("race", ["move", "commit"])
async def test_of_two_processes_that_want_the_same_step_exactly_one_gets_it(
    folder: Path, clock: Clock, race: str
) -> None:
    async with journal_in(folder, clock) as one, journal_in(folder, clock) as two:
        for number in range(60):
            id_ = f"op-{number}"
            await entered(one, clock, id_, state="received" if race == "commit" else "reserved")
            steps: list[Awaitable[bool]] = [
                each.commit(id_, completed(number))
                if race == "commit"
                else each.move(id_, "reserved", "sent", attempts=number)
                for each in (one, two)
            ]
            assert sorted(await asyncio.gather(*steps)) == [False, True]
    assert len(await rows(folder, "SELECT 1 FROM images")) == (60 if race == "commit" else 0)


# Any order of calls, against a model of plain values


class Model(RuleBasedStateMachine):
    """Two processes on one folder, and what the journal must say after each call."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.place = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.databases = [Database(Path(self.place.name)) for _ in range(2)]
        self.journals: list[Journal] = [SqliteJournal(each, self.clock) for each in self.databases]
        self.expected: dict[str, Operation] = {}

    names = Bundle("names")
    side = st.integers(0, 1)
    state = st.sampled_from([state for state in STATES if state != "done"])

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @rule(target=names, side=side, named=st.booleans())
    def reserve(self, side: int, named: bool) -> str:
        id_ = f"op-{len(self.expected)}"
        step = SessionStep("s1", len(self.expected) + 1, TurnOptions(), None) if named else None
        made = operation(self.clock, id_, created_at=self.clock.forward(seconds=1), step=step)
        self.run(self.journals[side].reserve(made))
        self.expected[id_] = made
        return id_

    @rule(side=side, id_=names, source=state, goal=state)
    def move(self, side: int, id_: str, source: State, goal: State) -> None:
        before, now = self.expected[id_], self.clock.forward(seconds=1)
        moved = self.run(self.journals[side].move(id_, source, goal, phase="p"))
        assert moved is (before.state == source)
        if moved:
            self.expected[id_] = replace(before, state=goal, phase="p", changed_at=now)

    @rule(side=side, id_=names, count=st.integers(1, 3))
    def commit(self, side: int, id_: str, count: int) -> None:
        before, now = self.expected[id_], self.clock.forward(seconds=1)
        done: Completed = completed(*range(1, count + 1))
        moved = self.run(self.journals[side].commit(id_, done))
        assert moved is (before.state == "received")
        if moved:
            self.expected[id_] = replace(before, state="done", phase="", changed_at=now, completed=done)

    @invariant()
    def both_say_what_was_done(self) -> None:
        newest = tuple(reversed(self.expected.values()))
        for journal in self.journals:
            assert self.run(journal.recent(99)) == newest
            unfinished = self.run(journal.unfinished())
            assert unfinished == tuple(o for o in self.expected.values() if o.state in OPEN_STATES)

    @invariant()
    def the_catalogue_is_that_of_the_finished(self) -> None:
        query = "SELECT operation_id, count(*) FROM images GROUP BY operation_id"
        counted = self.run(self.databases[0].run(lambda db: dict(db.execute(query).fetchall())))
        ended = {o.id: len(o.completed.images) for o in self.expected.values() if o.completed}
        assert {id_: counted.get(id_) for id_ in ended} == ended
        assert set(counted) == set(ended)

    def teardown(self) -> None:
        for each in self.databases:
            self.run(each.close())
        self.runner.close()
        self.place.cleanup()


def test_any_order_of_calls_keeps_journal_and_catalogue_consistent() -> None:
    run_state_machine_as_test(
        Model, settings=settings(max_examples=20, stateful_step_count=15, deadline=None)
    )
