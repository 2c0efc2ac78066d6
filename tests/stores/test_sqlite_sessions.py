"""What SQLite adds to the contract: sessions that outlive a process, and are shared by several."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from datetime import timedelta, timezone
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
import pytest
from filelock import FileLock

from gpt_image_2_mcp.errors import SessionNotFound
from gpt_image_2_mcp.requests import TurnOptions
from gpt_image_2_mcp.stores import sqlite_sessions as module
from gpt_image_2_mcp.stores.sqlite_sessions import SqliteSessionStore
from tests.stores.samples import (
    Clock,
    begin,
    drawing,
    ids,
    image,
    mode,
    posix,
    sqlite_sessions,
    take_turn,
    turn_of,
)

pytestmark = pytest.mark.anyio

HOLDER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from gpt_image_2_mcp.stores.sqlite import Database
from gpt_image_2_mcp.stores.sqlite_sessions import SqliteSessionStore

async def main():
    folder = Path(sys.argv[1])
    clock = lambda: datetime(2026, 11, 22, 12, tzinfo=UTC)
    store = SqliteSessionStore(Database(folder), folder / "locks", clock)
    async with store.turn("s1"):
        print("holding", flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


def locks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "locks").iterdir())


async def test_sessions_outlive_the_store(folder: Path, clock: Clock) -> None:
    options = TurnOptions(size="1024x640", quality="high")
    async with sqlite_sessions(folder, clock) as store:
        await begin(store, "s1", clock, prefix="logo")
        clock.forward(seconds=0.25)
        await take_turn(store, "s1", clock, options)
        kept = await store.active()
    assert kept[0].last.number == 2

    async with sqlite_sessions(folder, clock) as store:
        assert await store.active() == kept


async def test_the_drawing_of_a_turn_outlives_the_store(folder: Path, clock: Clock) -> None:
    async with sqlite_sessions(folder, clock) as store:
        assert await store.keep(turn_of("s1", 1, clock), drawing()) is True
    async with sqlite_sessions(folder, clock) as store:
        (kept,) = await store.active()
    assert kept.last.image == drawing()


async def test_the_time_of_another_zone_is_kept_as_the_same_moment(folder: Path, clock: Clock) -> None:
    clock.now = clock.now.astimezone(timezone(timedelta(hours=5, minutes=30)))
    async with sqlite_sessions(folder, clock) as store:
        await begin(store, "s1", clock)

    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        assert db.execute("SELECT updated_at FROM sessions").fetchall() == [
            ("2026-11-22T12:00:00.000000+00:00",)
        ]


async def test_two_stores_on_one_folder_see_the_same(folder: Path, clock: Clock) -> None:
    async with sqlite_sessions(folder, clock) as one, sqlite_sessions(folder, clock) as two:
        await begin(one, "s1", clock)
        assert await ids(two) == ["s1"]

        clock.forward(seconds=1)
        await take_turn(two, "s1", clock)
        assert [each.last.number for each in await one.active()] == [2]

        await one.end("s1")
        with pytest.raises(SessionNotFound):
            async with two.turn("s1"):
                pass


async def test_turns_are_exclusive_across_stores(folder: Path, clock: Clock) -> None:
    async def take(store: SqliteSessionStore) -> None:
        async with store.turn("s1") as current:
            await store.active()
            number = current.last.number + 1
            assert await store.keep(turn_of("s1", number, clock), image(number)) is True

    async with sqlite_sessions(folder, clock) as one, sqlite_sessions(folder, clock) as two:
        await begin(one, "s1", clock)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for store in (one, two, one, two):
                    tasks.start_soon(take, store)

        assert [each.last.number for each in await one.active()] == [5]


async def test_a_turn_in_flight_in_another_store_is_neither_evicted_nor_expired(
    folder: Path, clock: Clock
) -> None:
    limits = {"cap": 1, "idle": timedelta(hours=1)}
    async with sqlite_sessions(folder, clock) as one, sqlite_sessions(folder, clock, **limits) as two:
        await begin(one, "s1", clock)
        async with one.turn("s1"):
            clock.forward(hours=2)
            await begin(two, "s2", clock)
            assert await ids(two) == ["s2", "s1"]

        assert await ids(two) == ["s2"]


@pytest.mark.parametrize("why", ["expired", "over the cap"])
async def test_a_session_used_between_the_look_and_the_lock_is_kept(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    class LateLock(FileLock):
        """Another process finished a turn just before we got the lock."""

        def acquire(self, *args: Any, **kwargs: Any) -> Any:
            with closing(sqlite3.connect(folder / "state.sqlite3")) as db, db:
                db.execute("UPDATE sessions SET updated_at = '2026-11-22T14:00:00.000000+00:00'")
            return super().acquire(*args, **kwargs)

    limits = {"idle": timedelta(hours=1)} if why == "expired" else {"cap": 1}
    async with sqlite_sessions(folder, clock, **limits) as store:
        await begin(store, "s1", clock)
        clock.forward(hours=2)
        monkeypatch.setattr(module, "FileLock", LateLock)
        if why == "over the cap":
            await begin(store, "s2", clock)

        assert "s1" in await ids(store)


async def test_the_lock_of_a_turn_dies_with_its_process(folder: Path, clock: Clock) -> None:
    async with sqlite_sessions(folder, clock, cap=1) as store:
        await begin(store, "s1", clock)
        command = [sys.executable, "-c", HOLDER, str(folder)]
        async with await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=None) as holder:
            assert holder.stdout is not None
            with anyio.fail_after(20):
                assert b"holding" in await holder.stdout.receive()
            await begin(store, "s2", clock)
            assert sorted(await ids(store)) == ["s1", "s2"]

            holder.kill()
            await holder.wait()

        with anyio.fail_after(5):
            async with store.turn("s1") as current:
                assert current.last.number == 1


async def test_nothing_of_an_ended_session_stays_in_the_file(folder: Path, clock: Clock) -> None:
    async with sqlite_sessions(folder, clock) as store:
        await begin(store, "s1", clock)
        await take_turn(store, "s1", clock)
        await store.end("s1")

    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        assert db.execute("SELECT count(*) FROM turns").fetchone() == (0,)


async def test_no_lock_file_stays_for_a_session_that_is_gone(folder: Path, clock: Clock) -> None:
    async with sqlite_sessions(folder, clock, cap=2, idle=timedelta(hours=1)) as store:
        for id_ in ("ended", "evicted", "expired"):
            await begin(store, id_, clock)
            async with store.turn(id_):
                pass
            clock.forward(seconds=1)
            if id_ == "ended":
                await store.end("ended")
        await begin(store, "kept", clock)
        assert locks(folder) == ["session-expired.lock"]

        clock.forward(hours=2)
        assert await ids(store) == []
        assert locks(folder) == []


@posix
async def test_state_is_for_its_owner_alone(folder: Path, clock: Clock) -> None:
    before = os.umask(0)
    try:
        async with sqlite_sessions(folder, clock) as store:
            await begin(store, "s1", clock)
            async with store.turn("s1"):
                pass

            assert mode(folder) == 0o700
            assert mode(folder / "locks") == 0o700
            assert {mode(path) for path in folder.rglob("*") if path.is_file()} == {0o600}
    finally:
        os.umask(before)


async def test_a_session_that_one_store_ends_takes_no_turn_of_another(folder: Path, clock: Clock) -> None:
    async with sqlite_sessions(folder, clock) as one, sqlite_sessions(folder, clock) as two:
        await begin(one, "s1", clock)
        async with two.turn("s1"):
            assert await one.end("s1") is True
            assert await two.keep(turn_of("s1", 2, clock), image(2)) is False
            assert await two.keep(turn_of("s1", 1, clock), image(1)) is False

        assert await ids(one) == await ids(two) == []


async def test_the_cap_counts_the_sessions_of_all_stores(folder: Path, clock: Clock) -> None:
    async with sqlite_sessions(folder, clock, cap=2) as one, sqlite_sessions(folder, clock, cap=2) as two:
        for number in range(5):
            await begin((one, two)[number % 2], f"s{number}", clock)
            clock.forward(seconds=1)

        assert await ids(one) == ["s4", "s3"]
