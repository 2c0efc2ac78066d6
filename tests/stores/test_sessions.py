"""The contract of ports.SessionStore, held by every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from gpt_image_2_mcp.errors import SessionNotFound
from gpt_image_2_mcp.models import Turn
from gpt_image_2_mcp.ports import SessionStore
from gpt_image_2_mcp.requests import TurnOptions
from gpt_image_2_mcp.stores.memory import MemorySessionStore
from tests.stores.samples import (
    Clock,
    begin,
    ids,
    image,
    operation,
    sqlite_sessions,
    take_turn,
    turn_of,
)

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)
OpenStore = Callable[..., AbstractAsyncContextManager[SessionStore]]
"""Opens the store under test, with a cap and an idle time by name, and closes it."""


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, folder: Path, clock: Clock) -> OpenStore:
    @asynccontextmanager
    async def memory(*, cap: int | None = None, idle: timedelta | None = None) -> AsyncIterator[SessionStore]:
        store = MemorySessionStore(clock, cap=cap, idle=idle)
        yield store
        await store.close()

    def sqlite(
        *, cap: int | None = None, idle: timedelta | None = None
    ) -> AbstractAsyncContextManager[SessionStore]:
        return sqlite_sessions(folder, clock, cap=cap, idle=idle)

    return memory if request.param == "memory" else sqlite


async def test_a_session_is_kept_whole(backend: OpenStore, clock: Clock) -> None:
    options = TurnOptions(size="1024x640", quality="high", output_format="webp", output_compression=0)
    async with backend() as store:
        kept = await begin(store, "s1", clock, options=options, prefix="logo")

        assert await store.active() == (kept,)
        async with store.turn("s1") as current:
            assert current == kept


async def test_a_turn_is_added_with_its_options(backend: OpenStore, clock: Clock) -> None:
    async with backend() as store:
        options = TurnOptions(output_format="jpeg", quality="low")
        first = await begin(store, "s1", clock, options=options)
        now, prompt = clock.forward(minutes=5), "und gr\u00fcn \U0001f525"
        second = turn_of("s1", 2, clock, prompt=prompt, options=TurnOptions(quality="high"))
        async with store.turn("s1"):
            assert await store.keep(second, image(2)) is True

        last = Turn(2, prompt, image(2), now)
        added = replace(first, last=last, updated_at=now, options=TurnOptions(quality="high"))
        assert await store.active() == (added,)
        async with store.turn("s1") as current:
            assert current == added


async def test_a_turn_kept_twice_is_kept_once(backend: OpenStore, clock: Clock) -> None:
    async with backend() as store:
        await begin(store, "s1", clock)
        await take_turn(store, "s1", clock, TurnOptions(quality="low"))
        kept = await store.active()

        clock.forward(hours=1)
        for number in (2, 1, 2):
            again = turn_of("s1", number, clock, prompt="another", options=TurnOptions(quality="max"))
            assert await store.keep(again, image(7)) is True
        assert await store.active() == kept


async def test_an_operation_that_is_no_turn_is_not_kept(backend: OpenStore, clock: Clock) -> None:
    async with backend() as store:
        assert await store.keep(operation(clock), image()) is False
        assert await store.active() == ()


async def test_a_store_starts_empty(backend: OpenStore) -> None:
    async with backend() as store:
        assert await store.active() == ()


async def test_sessions_are_listed_with_the_latest_used_first(backend: OpenStore, clock: Clock) -> None:
    async with backend() as store:
        for id_ in ("a", "b", "c"):
            await begin(store, id_, clock)
            clock.forward(seconds=1)
        assert await ids(store) == ["c", "b", "a"]

        await take_turn(store, "a", clock)
        assert await ids(store) == ["a", "c", "b"]


async def test_as_many_sessions_are_listed_as_are_asked_for_and_all_are_counted(
    backend: OpenStore, clock: Clock
) -> None:
    async with backend(idle=timedelta(hours=1)) as store:
        for id_ in ("a", "b", "c"):
            await begin(store, id_, clock)
            clock.forward(seconds=1)
        listed = [[each.id for each in await store.active(most)] for most in (0, 1, 2, 9)]
        assert listed == [[], ["c"], ["c", "b"], ["c", "b", "a"]]
        assert await store.count() == 3

        clock.forward(hours=1, seconds=-2)
        assert await store.count() == 2


async def test_an_ended_session_is_gone(backend: OpenStore, clock: Clock) -> None:
    async with backend() as store:
        await begin(store, "s1", clock)
        await begin(store, "s2", clock)

        assert await store.end("s1") is True
        assert await store.end("s1") is False
        assert await ids(store) == ["s2"]
        with pytest.raises(SessionNotFound):
            async with store.turn("s1"):
                pass


@pytest.mark.parametrize("id_", ["never-there", "", "../../etc/passwd", "x' OR '1'='1", "\0", "S1"])
async def test_an_unknown_session_is_not_found(backend: OpenStore, clock: Clock, id_: str) -> None:
    async with backend() as store:
        await begin(store, "s1", clock)

        assert await store.end(id_) is False
        with pytest.raises(SessionNotFound) as caught:
            async with store.turn(id_):
                pass
        assert await store.keep(turn_of(id_, 2, clock), image(2)) is False
        assert "list_edit_sessions" in caught.value.hint
        assert await ids(store) == ["s1"]


async def test_over_the_cap_the_longest_idle_sessions_go(backend: OpenStore, clock: Clock) -> None:
    async with backend(cap=2) as store:
        for id_ in ("a", "b"):
            await begin(store, id_, clock)
            clock.forward(seconds=1)
        await take_turn(store, "a", clock)
        clock.forward(seconds=1)

        await begin(store, "c", clock)

        assert await ids(store) == ["c", "a"]


async def test_a_cap_of_one_keeps_the_newest(backend: OpenStore, clock: Clock) -> None:
    async with backend(cap=1) as store:
        await begin(store, "later", clock)
        clock.forward(hours=-1)
        await begin(store, "new", clock)

        assert await ids(store) == ["new"]


@pytest.mark.parametrize("cap", [None, 0])
async def test_without_a_cap_all_sessions_stay(backend: OpenStore, clock: Clock, cap: int | None) -> None:
    async with backend(cap=cap) as store:
        for number in range(25):
            await begin(store, f"s{number}", clock)

        assert len(await ids(store)) == 25


async def test_a_turn_in_flight_is_never_evicted(backend: OpenStore, clock: Clock) -> None:
    async with backend(cap=2) as store:
        for id_ in ("a", "b"):
            await begin(store, id_, clock)
            clock.forward(seconds=1)

        async with store.turn("a"):
            await begin(store, "c", clock)
            assert await ids(store) == ["c", "a"]
            async with store.turn("c"):
                clock.forward(seconds=1)
                await begin(store, "d", clock)
                assert await ids(store) == ["d", "c", "a"]

        clock.forward(seconds=1)
        await begin(store, "e", clock)
        assert await ids(store) == ["e", "d"]


async def test_an_idle_session_expires(backend: OpenStore, clock: Clock) -> None:
    async with backend(idle=HOUR) as store:
        await begin(store, "s1", clock)
        clock.forward(hours=1)
        assert await ids(store) == ["s1"]

        clock.forward(microseconds=1)
        with pytest.raises(SessionNotFound):
            async with store.turn("s1"):
                pass
        assert await store.end("s1") is False
        assert await ids(store) == []


@pytest.mark.parametrize("look", ["active", "end", "keep"])
async def test_an_expired_session_is_gone_whoever_looks_first(
    backend: OpenStore, clock: Clock, look: str
) -> None:
    async with backend(idle=HOUR) as store:
        await begin(store, "s1", clock)
        clock.forward(hours=2)
        if look == "keep":
            await begin(store, "s2", clock)
            assert await ids(store) == ["s2"]
        elif look == "end":
            assert await store.end("s1") is False
        else:
            assert await ids(store) == []


async def test_a_turn_makes_a_session_young_again(backend: OpenStore, clock: Clock) -> None:
    async with backend(idle=HOUR) as store:
        await begin(store, "s1", clock)
        for _ in range(3):
            clock.forward(minutes=50)
            await take_turn(store, "s1", clock)

        assert await ids(store) == ["s1"]


async def test_without_an_idle_time_a_session_never_expires(backend: OpenStore, clock: Clock) -> None:
    async with backend() as store:
        await begin(store, "s1", clock)
        clock.forward(days=10_000)

        assert await ids(store) == ["s1"]


async def test_a_turn_in_flight_never_expires(backend: OpenStore, clock: Clock) -> None:
    async with backend(idle=HOUR) as store:
        await begin(store, "s1", clock)
        async with store.turn("s1"):
            clock.forward(hours=5)
            assert await ids(store) == ["s1"]
            assert await store.keep(turn_of("s1", 2, clock), image(2)) is True

        assert [each.last.number for each in await store.active()] == [2]


async def test_a_failed_turn_leaves_the_session_as_it_was(backend: OpenStore, clock: Clock) -> None:
    async with backend() as store:
        first = await begin(store, "s1", clock)
        with pytest.raises(ZeroDivisionError):
            async with store.turn("s1"):
                raise ZeroDivisionError

        assert await store.active() == (first,)
        await take_turn(store, "s1", clock)
        assert [each.last.number for each in await store.active()] == [2]


async def test_turns_of_one_session_wait_for_each_other_and_none_is_lost(
    backend: OpenStore, clock: Clock
) -> None:
    async with backend() as store:
        await begin(store, "s1", clock)
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(take_turn, store, "s1", clock)

        assert [each.last.number for each in await store.active()] == [5]


async def test_turns_of_different_sessions_do_not_wait(backend: OpenStore, clock: Clock) -> None:
    async with backend() as store:
        await begin(store, "s1", clock)
        await begin(store, "s2", clock)

        with anyio.fail_after(5):
            async with store.turn("s1"), store.turn("s2"):
                pass


async def test_a_session_that_ends_during_a_turn_takes_no_more(backend: OpenStore, clock: Clock) -> None:
    async with backend() as store:
        await begin(store, "s1", clock)
        async with store.turn("s1"):
            assert await store.end("s1") is True
            assert await store.keep(turn_of("s1", 2, clock), image(2)) is False

        assert await ids(store) == []


@pytest.mark.parametrize("end", ["ended", "expired", "evicted"])
async def test_a_session_that_is_gone_is_not_brought_back_by_its_first_turn(
    backend: OpenStore, clock: Clock, end: str
) -> None:
    async with backend(cap=1, idle=HOUR) as store:
        await begin(store, "s1", clock)
        if end == "ended":
            await store.end("s1")
        elif end == "expired":
            clock.forward(hours=2)
            await store.active()
        else:
            clock.forward(seconds=1)
            await begin(store, "s2", clock)
        left = await ids(store)

        assert await store.keep(turn_of("s1", 1, clock), image(1)) is False
        assert await ids(store) == left == (["s2"] if end == "evicted" else [])


async def test_a_session_that_is_gone_stays_gone_though_its_result_is_collected_much_later(
    backend: OpenStore, clock: Clock
) -> None:
    async with backend() as store:
        await begin(store, "s1", clock)
        await store.end("s1")
        clock.forward(days=300)
        await begin(store, "s2", clock)
        await store.end("s2")

        assert await store.keep(turn_of("s1", 1, clock), image(1)) is False
        assert await store.active() == ()


async def test_a_first_turn_that_is_kept_again_evicts_no_more(backend: OpenStore, clock: Clock) -> None:
    async with backend(cap=2) as store:
        for id_ in ("a", "b"):
            await begin(store, id_, clock)
            clock.forward(seconds=1)
        for id_ in ("a", "b", "a"):
            assert await store.keep(turn_of(id_, 1, clock), image(1)) is True
        assert await ids(store) == ["b", "a"]


async def test_who_waits_for_a_turn_of_an_ended_session_is_told(backend: OpenStore, clock: Clock) -> None:
    told: list[str] = []

    async def wait(store: SessionStore) -> None:
        with pytest.raises(SessionNotFound):
            async with store.turn("s1"):
                pass
        told.append("not found")

    async with backend() as store:
        await begin(store, "s1", clock)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks, store.turn("s1"):
                tasks.start_soon(wait, store)
                await anyio.wait_all_tasks_blocked()
                await store.active()
                await store.end("s1")

    assert told == ["not found"]


async def test_a_waiter_that_gives_up_does_not_keep_the_turn(backend: OpenStore, clock: Clock) -> None:
    async def wait(store: SessionStore) -> None:
        async with store.turn("s1"):
            raise AssertionError("the turn is taken")

    async with backend() as store:
        await begin(store, "s1", clock)
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks, store.turn("s1"):
                tasks.start_soon(wait, store)
                await anyio.wait_all_tasks_blocked()
                await store.active()
                tasks.cancel_scope.cancel()
            await take_turn(store, "s1", clock)

        assert [each.last.number for each in await store.active()] == [2]


async def test_a_store_that_was_never_used_closes(backend: OpenStore) -> None:
    async with backend():
        pass
