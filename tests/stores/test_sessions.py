"""The contract of ports.SessionStore, held by every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from gpt_image_2_mcp.errors import SessionNotFound
from gpt_image_2_mcp.ports import SessionStore
from gpt_image_2_mcp.requests import TurnOptions
from gpt_image_2_mcp.stores.memory import MemorySessionStore
from gpt_image_2_mcp.stores.sqlite import SqliteSessionStore
from tests.stores.samples import NOTHING_SET, Clock, session, turn

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)
OpenStore = Callable[..., SessionStore]
"""Opens the store under test, with a cap and an idle time by name."""


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest, folder: Path, clock: Clock) -> OpenStore:
    def memory(*, cap: int | None = None, idle: timedelta | None = None) -> SessionStore:
        return MemorySessionStore(clock, cap=cap, idle=idle)

    def sqlite(*, cap: int | None = None, idle: timedelta | None = None) -> SessionStore:
        return SqliteSessionStore(folder, clock, cap=cap, idle=idle)

    return memory if request.param == "memory" else sqlite


@asynccontextmanager
async def closing(store: SessionStore) -> AsyncIterator[SessionStore]:
    try:
        yield store
    finally:
        await store.close()


async def ids(store: SessionStore) -> list[str]:
    return [each.id for each in await store.active()]


async def take_turn(store: SessionStore, id_: str, clock: Clock, options: TurnOptions = NOTHING_SET) -> None:
    """A turn as the service takes it, with the loop free in between."""
    async with store.turn(id_) as current:
        await store.active()
        await store.active()
        await store.append(id_, turn(current.last.number + 1, clock()), options)


async def test_a_session_is_kept_whole(backend: OpenStore, clock: Clock) -> None:
    options = TurnOptions(size="1024x640", quality="high", output_format="webp", output_compression=0)
    kept = session("s1", clock, options=options, prefix="logo")
    async with closing(backend()) as store:
        await store.add(kept)

        assert await store.active() == (kept,)
        async with store.turn("s1") as current:
            assert current == kept


async def test_a_turn_is_added_with_its_options(backend: OpenStore, clock: Clock) -> None:
    first = session("s1", clock, options=TurnOptions(output_format="jpeg", quality="low"))
    async with closing(backend()) as store:
        await store.add(first)
        made = turn(2, clock.forward(minutes=5), "und gr\u00fcn \U0001f525")
        options = TurnOptions(quality="high")
        async with store.turn("s1"):
            added = await store.append("s1", made, options)

        assert added == replace(first, last=made, updated_at=made.made_at, options=options)
        assert await store.active() == (added,)


async def test_a_store_starts_empty(backend: OpenStore) -> None:
    async with closing(backend()) as store:
        assert await store.active() == ()


async def test_sessions_are_listed_with_the_latest_used_first(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend()) as store:
        for id_ in ("a", "b", "c"):
            await store.add(session(id_, clock))
            clock.forward(seconds=1)
        assert await ids(store) == ["c", "b", "a"]

        await take_turn(store, "a", clock)
        assert await ids(store) == ["a", "c", "b"]


async def test_an_ended_session_is_gone(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend()) as store:
        await store.add(session("s1", clock))
        await store.add(session("s2", clock))

        assert await store.end("s1") is True
        assert await store.end("s1") is False
        assert await ids(store) == ["s2"]
        with pytest.raises(SessionNotFound):
            async with store.turn("s1"):
                pass


@pytest.mark.parametrize("id_", ["never-there", "", "../../etc/passwd", "x' OR '1'='1", "\0", "S1"])
async def test_an_unknown_session_is_not_found(backend: OpenStore, clock: Clock, id_: str) -> None:
    async with closing(backend()) as store:
        await store.add(session("s1", clock))

        assert await store.end(id_) is False
        with pytest.raises(SessionNotFound) as caught:
            async with store.turn(id_):
                pass
        with pytest.raises(SessionNotFound):
            await store.append(id_, turn(2, clock()), NOTHING_SET)
        assert "list_edit_sessions" in caught.value.hint
        assert await ids(store) == ["s1"]


async def test_over_the_cap_the_longest_idle_sessions_go(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend(cap=2)) as store:
        for id_ in ("a", "b"):
            await store.add(session(id_, clock))
            clock.forward(seconds=1)
        await take_turn(store, "a", clock)
        clock.forward(seconds=1)

        await store.add(session("c", clock))

        assert await ids(store) == ["c", "a"]


async def test_a_cap_of_one_keeps_the_newest(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend(cap=1)) as store:
        await store.add(session("later", clock))
        clock.forward(hours=-1)
        await store.add(session("new", clock))

        assert await ids(store) == ["new"]


@pytest.mark.parametrize("cap", [None, 0])
async def test_without_a_cap_all_sessions_stay(backend: OpenStore, clock: Clock, cap: int | None) -> None:
    async with closing(backend(cap=cap)) as store:
        for number in range(25):
            await store.add(session(f"s{number}", clock))

        assert len(await ids(store)) == 25


async def test_a_turn_in_flight_is_never_evicted(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend(cap=2)) as store:
        for id_ in ("a", "b"):
            await store.add(session(id_, clock))
            clock.forward(seconds=1)

        async with store.turn("a"):
            await store.add(session("c", clock))
            assert await ids(store) == ["c", "a"]
            async with store.turn("c"):
                clock.forward(seconds=1)
                await store.add(session("d", clock))
                assert await ids(store) == ["d", "c", "a"]

        clock.forward(seconds=1)
        await store.add(session("e", clock))
        assert await ids(store) == ["e", "d"]


async def test_an_idle_session_expires(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend(idle=HOUR)) as store:
        await store.add(session("s1", clock))
        clock.forward(hours=1)
        assert await ids(store) == ["s1"]

        clock.forward(microseconds=1)
        with pytest.raises(SessionNotFound):
            async with store.turn("s1"):
                pass
        assert await store.end("s1") is False
        assert await ids(store) == []


@pytest.mark.parametrize("look", ["active", "end", "add"])
async def test_an_expired_session_is_gone_whoever_looks_first(
    backend: OpenStore, clock: Clock, look: str
) -> None:
    async with closing(backend(idle=HOUR)) as store:
        await store.add(session("s1", clock))
        clock.forward(hours=2)
        if look == "add":
            await store.add(session("s2", clock))
            assert await ids(store) == ["s2"]
        elif look == "end":
            assert await store.end("s1") is False
        else:
            assert await ids(store) == []


async def test_a_turn_makes_a_session_young_again(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend(idle=HOUR)) as store:
        await store.add(session("s1", clock))
        for _ in range(3):
            clock.forward(minutes=50)
            await take_turn(store, "s1", clock)

        assert await ids(store) == ["s1"]


async def test_without_an_idle_time_a_session_never_expires(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend()) as store:
        await store.add(session("s1", clock))
        clock.forward(days=10_000)

        assert await ids(store) == ["s1"]


async def test_a_turn_in_flight_never_expires(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend(idle=HOUR)) as store:
        await store.add(session("s1", clock))
        async with store.turn("s1"):
            clock.forward(hours=5)
            assert await ids(store) == ["s1"]
            await store.append("s1", turn(2, clock()), NOTHING_SET)

        assert [each.last.number for each in await store.active()] == [2]


async def test_a_failed_turn_leaves_the_session_as_it_was(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend()) as store:
        first = session("s1", clock)
        await store.add(first)
        with pytest.raises(ZeroDivisionError):
            async with store.turn("s1"):
                raise ZeroDivisionError

        await take_turn(store, "s1", clock)
        assert [each.last.number for each in await store.active()] == [2]


async def test_turns_of_one_session_wait_for_each_other_and_none_is_lost(
    backend: OpenStore, clock: Clock
) -> None:
    async with closing(backend()) as store:
        await store.add(session("s1", clock))
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(take_turn, store, "s1", clock)

        assert [each.last.number for each in await store.active()] == [5]


async def test_turns_of_different_sessions_do_not_wait(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend()) as store:
        await store.add(session("s1", clock))
        await store.add(session("s2", clock))

        with anyio.fail_after(5):
            async with store.turn("s1"), store.turn("s2"):
                pass


async def test_a_session_that_ends_during_a_turn_takes_no_more(backend: OpenStore, clock: Clock) -> None:
    async with closing(backend()) as store:
        await store.add(session("s1", clock))
        async with store.turn("s1"):
            assert await store.end("s1") is True
            with pytest.raises(SessionNotFound):
                await store.append("s1", turn(2, clock()), NOTHING_SET)

        assert await ids(store) == []


async def test_who_waits_for_a_turn_of_an_ended_session_is_told(backend: OpenStore, clock: Clock) -> None:
    told: list[str] = []

    async def wait(store: SessionStore) -> None:
        with pytest.raises(SessionNotFound):
            async with store.turn("s1"):
                pass
        told.append("not found")

    async with closing(backend()) as store:
        await store.add(session("s1", clock))
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

    async with closing(backend()) as store:
        await store.add(session("s1", clock))
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks, store.turn("s1"):
                tasks.start_soon(wait, store)
                await anyio.wait_all_tasks_blocked()
                await store.active()
                tasks.cancel_scope.cancel()
            await take_turn(store, "s1", clock)

        assert [each.last.number for each in await store.active()] == [2]


async def test_a_store_that_was_never_used_closes(backend: OpenStore) -> None:
    await backend().close()
