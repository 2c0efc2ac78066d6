"""The line for the account's pictures a minute: who goes when, across processes, deaths and clock steps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.stores.leases import FileLeases
from gpt_image_2_mcp.stores.pace import LATEST_LOOK_S, SqlitePace, SqlitePlace, account_name, until_room
from tests.stores.samples import Clock, database

pytestmark = pytest.mark.anyio
KEY = "sk-proj-0123456789abcdef"


@dataclass
class Street:
    """Processes of one machine that share a line and a clock; whoever sleeps moves the clock on."""

    folder: Path
    clock: Clock
    stack: AsyncExitStack
    slept: list[float] = field(default_factory=list)
    leases: list[FileLeases] = field(default_factory=list)
    said: dict[str, list[tuple[int, int | None]]] = field(default_factory=dict)
    standing: dict[str, asyncio.Event] = field(default_factory=dict)
    time_passes: asyncio.Event = field(default_factory=asyncio.Event)
    at_sleep: Callable[[], Awaitable[object]] | None = None

    async def process(self, per_minute: int | None = None, account: str = "account") -> SqlitePace:
        self.leases.append(FileLeases(self.folder / "locks"))
        opened = await self.stack.enter_async_context(database(self.folder))
        return SqlitePace(
            opened, self.leases[-1], account, self.clock, per_minute=per_minute, sleep=self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.at_sleep:
            await self.at_sleep()
        await self.time_passes.wait()
        self.clock.forward(seconds=seconds)
        await asyncio.sleep(0)

    @property
    def waited(self) -> float:
        return round(sum(self.slept), 3)

    async def go(
        self, pace: SqlitePace, name: str, pictures: int = 1, model: str = "gpt-image-2"
    ) -> SqlitePlace:
        """A whole turn; the seconds it waited are in `slept`."""
        place = pace.place(name, model, pictures)
        await self.turn(place, name, [])
        return place

    async def turn(self, place: SqlitePlace, name: str, order: list[str]) -> None:
        """Writes itself down in `order` when it has come."""
        self.slept.clear()
        standing = self.standing.setdefault(name, asyncio.Event())

        async def tell(ahead: int, per_minute: int | None) -> None:
            self.said.setdefault(name, []).append((ahead, per_minute))
            standing.set()

        await place.turn(tell)
        order.append(name)

    async def stands(self, pace: SqlitePace, name: str, order: list[str]) -> asyncio.Task[None]:
        """A turn that has begun to wait."""
        turn = asyncio.ensure_future(self.turn(pace.place(name, "gpt-image-2", 1), name, order))
        await self.standing.setdefault(name, asyncio.Event()).wait()
        return turn


@pytest.fixture
async def street(folder: Path, clock: Clock) -> AsyncIterator[Street]:
    async with AsyncExitStack() as stack:
        street = Street(folder, clock, stack)
        street.time_passes.set()
        yield street


async def test_nobody_waits_while_no_limit_is_known(street: Street) -> None:
    pace = await street.process()
    for number in range(50):
        await street.go(pace, f"op-{number}")
        assert street.slept == []


async def test_as_many_as_the_limit_go_in_a_minute_and_the_next_when_the_first_is_a_minute_old(
    street: Street,
) -> None:
    pace = await street.process(per_minute=5)
    for number in range(5):
        await street.go(pace, f"op-{number}")
        assert street.slept == []
        street.clock.forward(seconds=4)
    await street.go(pace, "op-5")
    assert street.waited == 61 - 20
    await street.go(pace, "op-6")
    assert street.waited == 4


async def test_pictures_are_counted_and_not_calls(street: Street) -> None:
    pace = await street.process(per_minute=5)
    await street.go(pace, "two", 2)
    street.clock.forward(seconds=10)
    await street.go(pace, "three", 3)
    await street.go(pace, "two more", 2)
    assert street.waited == 51
    await street.go(pace, "three more", 3)
    assert street.waited == 10


async def test_a_call_for_more_than_the_limit_goes_alone(street: Street) -> None:
    pace = await street.process(per_minute=5)
    await street.go(pace, "one")
    await street.go(pace, "ten", 10)
    assert street.waited == 61
    await street.go(pace, "next")
    assert street.waited == 61


async def test_the_count_is_of_all_processes(street: Street) -> None:
    here, there = await street.process(3), await street.process(3)
    await street.go(here, "a", 2)
    await street.go(there, "b")
    await street.go(there, "c")
    assert street.waited == 61


async def test_each_account_and_each_model_has_a_line_of_its_own_and_a_snapshot_is_its_model(
    street: Street,
) -> None:
    pace, other = await street.process(1), await street.process(1, account="another")
    await street.go(pace, "a")
    for name, line, model in (
        ("b", other, "gpt-image-2"),
        ("c", pace, "gpt-image-1.5"),
        ("d", pace, "of-tomorrow"),
    ):
        await street.go(line, name, model=model)
        assert street.slept == []
    await street.go(pace, "e", model="gpt-image-2-2026-04-21")
    assert street.waited == 61


async def test_who_comes_first_goes_first_and_is_told_how_many_are_before_it(street: Street) -> None:
    here, there = await street.process(1), await street.process(1)
    await street.go(here, "a")
    for name, leases in (("b", 0), ("c", 1), ("d", 0)):
        assert street.leases[leases].take(name)
    order: list[str] = []
    street.time_passes.clear()
    line = ((here, "b"), (there, "c"), (here, "d"))
    tasks = [await street.stands(pace, name, order) for pace, name in line]
    street.time_passes.set()
    await asyncio.gather(*tasks)
    assert order == ["b", "c", "d"]
    assert street.said == {"b": [(0, 1)], "c": [(1, 1), (0, 1)], "d": [(2, 1), (1, 1), (0, 1)]}


async def test_one_whose_process_died_in_the_line_is_passed_over(street: Street) -> None:
    pace = await street.process(1)
    await street.go(pace, "a")
    assert street.leases[0].take("dead")
    (await street.stands(pace, "dead", [])).cancel()
    street.leases[0].give_back("dead")
    began = street.clock()
    await street.go(pace, "b")
    assert (street.clock() - began).total_seconds() <= 61
    assert street.said["b"] == [(0, 1)]


async def test_a_limit_is_learned_by_all_processes_and_the_pictures_before_it_count(street: Street) -> None:
    here, there = await street.process(), await street.process()
    await street.go(here, "a", 4)
    place = await street.go(here, "b", 1)
    await place.learn(5)
    await street.go(there, "c")
    assert street.waited == 61
    assert street.said["c"] == [(0, 5)]


async def test_a_limit_that_is_raised_is_heeded_by_those_who_wait(street: Street) -> None:
    here, there = await street.process(), await street.process()
    place = await street.go(here, "a", 5)
    await place.learn(5)

    street.at_sleep = partial(place.learn, 50)
    await street.go(there, "b")
    assert street.waited == LATEST_LOOK_S


async def test_a_limit_that_is_set_goes_before_one_that_is_learned(street: Street) -> None:
    pace = await street.process(per_minute=2)
    place = await street.go(pace, "a")
    await place.learn(1)
    await street.go(pace, "b")
    assert street.slept == []
    await street.go(pace, "c")
    assert street.waited == 61


async def test_a_learned_limit_is_forgotten_after_a_day_without_a_word_of_it(street: Street) -> None:
    pace = await street.process()
    place = await street.go(pace, "a")
    await place.learn(1)
    street.clock.forward(hours=23)
    await place.learn(1)
    street.clock.forward(hours=23)
    await street.go(pace, "b")
    await street.go(pace, "c")
    assert street.waited == 61
    street.clock.forward(hours=2)
    await street.go(pace, "d")
    await street.go(pace, "e")
    assert street.slept == []


async def test_no_limit_is_learned_where_none_was_named(street: Street) -> None:
    pace = await street.process()
    place = await street.go(pace, "a")
    await place.learn(None)
    await place.learn(0)
    await street.go(pace, "b")
    assert street.slept == []


async def test_a_refusal_holds_the_line_for_all(street: Street) -> None:
    here, there = await street.process(), await street.process()
    first = await street.go(here, "first")
    await first.withdraw(12)
    await street.go(there, "second")
    assert street.waited == 12
    assert street.said["second"] == [(0, None)]


async def test_who_was_refused_has_the_place_it_had(street: Street) -> None:
    here, there = await street.process(), await street.process()
    first = await street.go(here, "first")
    await first.withdraw(12)
    assert all(leases.take(name) for leases, name in zip(street.leases, ("first", "second"), strict=True))
    order: list[str] = []
    street.time_passes.clear()
    second = await street.stands(there, "second", order)
    again = asyncio.ensure_future(street.turn(first, "first", order))
    await street.standing["first"].wait()
    street.time_passes.set()
    await asyncio.gather(again, second)
    assert order == ["first", "second"]


async def test_what_was_withdrawn_does_not_count(street: Street) -> None:
    pace = await street.process(per_minute=1)
    place = await street.go(pace, "a")
    await place.withdraw(0)
    await street.go(pace, "b")
    assert street.slept == []


async def test_a_shorter_hold_does_not_end_a_longer_one(street: Street) -> None:
    pace = await street.process()
    places = [await street.go(pace, name) for name in ("a", "b")]
    await places[0].withdraw(30)
    await places[1].withdraw(2)
    await street.go(pace, "c")
    assert street.waited == 30


@pytest.mark.parametrize("step", [{"days": -400}, {"hours": -3}, {"hours": 3}, {"days": 400}])
async def test_a_clock_that_is_set_stops_nobody(street: Street, step: dict[str, float]) -> None:
    pace = await street.process(per_minute=1)
    place = await street.go(pace, "a")
    await street.go(pace, "b")
    await place.withdraw(60)
    street.clock.forward(**step)
    await street.go(pace, "c")
    assert street.waited <= 61


async def test_a_place_that_was_cleared_away_is_taken_again(street: Street) -> None:
    pace = await street.process(per_minute=1)
    await street.go(pace, "a")

    assert street.leases[0].take("b")
    waiting = await street.stands(pace, "b", [])
    async with database(street.folder) as opened:
        await opened.run(lambda db: db.execute("DELETE FROM tickets WHERE sent_at IS NULL"))
    await waiting
    await street.go(pace, "c")
    assert street.waited == 61


async def test_what_counts_no_more_is_cleared_away(street: Street) -> None:
    pace = await street.process(per_minute=1)
    for number in range(10):
        await street.go(pace, f"op-{number}")
    async with database(street.folder) as opened:
        (kept,) = await opened.run(lambda db: db.execute("SELECT count(*) FROM tickets").fetchone())
    assert kept <= 4


async def test_who_waits_long_looks_seldom(street: Street) -> None:
    pace = await street.process(per_minute=1)
    await street.go(pace, "a")
    await street.go(pace, "b")
    assert len(street.slept) <= 13


def test_an_accounts_name_tells_accounts_apart_and_not_their_key() -> None:
    def name(url: str = "https://api.openai.com/v1", key: str = KEY, *more: str) -> str:
        return account_name(url, Secret(key), *(more or (None, None)))

    names = {
        name(),
        name("https://other/v1"),
        name(key="sk-2"),
        name("u", KEY, "org", ""),
        name("u", KEY, "", "org"),
    }
    assert len(names) == 5
    assert name() == name()
    assert all(len(each) == 32 and KEY not in each for each in names)


calls = st.lists(st.tuples(st.floats(0, 61), st.integers(1, 10)), max_size=12).map(sorted)


@given(calls, st.integers(1, 10), st.integers(1, 20))
def test_the_wait_is_the_shortest_after_which_there_is_room(
    sent: list[tuple[float, int]], wanted: int, limit: int
) -> None:
    def left(at: float) -> int:
        return sum(pictures for leaves, pictures in sent if leaves > at)

    wait = until_room(sent, wanted, limit)
    assert left(wait) + wanted <= limit or left(wait) == 0
    earlier = [0.0, *(leaves for leaves, _ in sent if leaves < wait)]
    assert wait == 0 or all(left(at) and left(at) + wanted > limit for at in earlier if at < wait)
