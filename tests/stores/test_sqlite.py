"""What SQLite adds to the contract: sessions that outlive a process, and are shared by several."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
import pytest
from filelock import FileLock

from gpt_image_2_mcp.errors import SessionNotFound, StorageError
from gpt_image_2_mcp.requests import TurnOptions
from gpt_image_2_mcp.stores import sqlite
from gpt_image_2_mcp.stores.sqlite import SCHEMA_VERSION, SqliteSessionStore
from tests.stores.samples import NOTHING_SET, Clock, session, turn

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")

HOLDER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from gpt_image_2_mcp.stores.sqlite import SqliteSessionStore

async def main():
    store = SqliteSessionStore(Path(sys.argv[1]), lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))
    async with store.turn("s1"):
        print("holding", flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


@asynccontextmanager
async def opened(folder: Path, clock: Clock, **limits: Any) -> AsyncIterator[SqliteSessionStore]:
    store = SqliteSessionStore(folder, clock, **limits)
    try:
        yield store
    finally:
        await store.close()


async def ids(store: SqliteSessionStore) -> list[str]:
    return [each.id for each in await store.active()]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def locks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "locks").iterdir())


async def test_sessions_outlive_the_store(folder: Path, clock: Clock) -> None:
    options = TurnOptions(size="1024x640", quality="high")
    async with opened(folder, clock) as store:
        await store.add(session("s1", clock, prefix="logo"))
        async with store.turn("s1"):
            kept = await store.append("s1", turn(2, clock.forward(seconds=0.25)), options)

    async with opened(folder, clock) as store:
        assert await store.active() == (kept,)


async def test_the_time_of_another_zone_is_kept_as_the_same_moment(folder: Path, clock: Clock) -> None:
    kept = session("s1", clock)
    async with opened(folder, clock) as store:
        await store.add(kept)

    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        assert db.execute("SELECT updated_at FROM sessions").fetchall() == [
            ("2026-11-22T12:00:00.000000+00:00",)
        ]


async def test_two_stores_on_one_folder_see_the_same(folder: Path, clock: Clock) -> None:
    async with opened(folder, clock) as one, opened(folder, clock) as two:
        await one.add(session("s1", clock))
        assert await ids(two) == ["s1"]

        async with two.turn("s1"):
            await two.append("s1", turn(2, clock.forward(seconds=1)), NOTHING_SET)
        assert [each.last.number for each in await one.active()] == [2]

        await one.end("s1")
        with pytest.raises(SessionNotFound):
            async with two.turn("s1"):
                pass


async def test_turns_are_exclusive_across_stores(folder: Path, clock: Clock) -> None:
    async def take(store: SqliteSessionStore) -> None:
        async with store.turn("s1") as current:
            await store.active()
            await store.append("s1", turn(current.last.number + 1, clock()), NOTHING_SET)

    async with opened(folder, clock) as one, opened(folder, clock) as two:
        await one.add(session("s1", clock))
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for store in (one, two, one, two):
                    tasks.start_soon(take, store)

        assert [each.last.number for each in await one.active()] == [5]


async def test_a_turn_in_flight_in_another_store_is_neither_evicted_nor_expired(
    folder: Path, clock: Clock
) -> None:
    limits = {"cap": 1, "idle": timedelta(hours=1)}
    async with opened(folder, clock) as one, opened(folder, clock, **limits) as two:
        await one.add(session("s1", clock))
        async with one.turn("s1"):
            clock.forward(hours=2)
            await two.add(session("s2", clock))
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
    async with opened(folder, clock, **limits) as store:
        await store.add(session("s1", clock))
        clock.forward(hours=2)
        monkeypatch.setattr(sqlite, "FileLock", LateLock)
        if why == "over the cap":
            await store.add(session("s2", clock))

        assert "s1" in await ids(store)


async def test_the_lock_of_a_turn_dies_with_its_process(folder: Path, clock: Clock) -> None:
    async with opened(folder, clock, cap=1) as store:
        await store.add(session("s1", clock))
        command = [sys.executable, "-c", HOLDER, str(folder)]
        async with await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=None) as holder:
            assert holder.stdout is not None
            with anyio.fail_after(20):
                assert b"holding" in await holder.stdout.receive()
            await store.add(session("s2", clock))
            assert sorted(await ids(store)) == ["s1", "s2"]

            holder.kill()
            await holder.wait()

        with anyio.fail_after(5):
            async with store.turn("s1") as current:
                assert current.last.number == 1


async def test_nothing_of_an_ended_session_stays_in_the_file(folder: Path, clock: Clock) -> None:
    async with opened(folder, clock) as store:
        await store.add(session("s1", clock))
        await store.append("s1", turn(2, clock()), NOTHING_SET)
        await store.end("s1")

    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        assert db.execute("SELECT count(*) FROM turns").fetchone() == (0,)


async def test_no_lock_file_stays_for_a_session_that_is_gone(folder: Path, clock: Clock) -> None:
    async with opened(folder, clock, cap=2, idle=timedelta(hours=1)) as store:
        for id_ in ("ended", "evicted", "expired"):
            await store.add(session(id_, clock))
            async with store.turn(id_):
                pass
            clock.forward(seconds=1)
            if id_ == "ended":
                await store.end("ended")
        await store.add(session("kept", clock))
        assert locks(folder) == ["expired.lock"]

        clock.forward(hours=2)
        assert await ids(store) == []
        assert locks(folder) == []


@posix
async def test_state_is_for_its_owner_alone(folder: Path, clock: Clock) -> None:
    before = os.umask(0)
    try:
        async with opened(folder, clock) as store:
            await store.add(session("s1", clock))
            async with store.turn("s1"):
                pass

            assert mode(folder) == 0o700
            assert mode(folder / "locks") == 0o700
            assert {mode(path) for path in folder.rglob("*") if path.is_file()} == {0o600}
    finally:
        os.umask(before)


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(folder: Path, clock: Clock) -> None:
    async with opened(folder, clock) as store:
        await store.add(session("s1", clock))
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    async with opened(folder, clock) as store:
        with pytest.raises(StorageError, match="written by a newer version") as caught:
            await store.active()
        assert "GPT_IMAGE_2_STATE_DIR" in caught.value.hint

    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        assert db.execute("SELECT id FROM sessions").fetchall() == [("s1",)]


@pytest.mark.parametrize(
    "content",
    [b"this is no database, and it is long enough to tell" * 100, b"SQLite format 3\0" + bytes(200) * 30],
    ids=["text", "torn header"],
)
async def test_a_damaged_file_is_refused_in_a_sentence(folder: Path, clock: Clock, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "state.sqlite3").write_bytes(content)

    async with opened(folder, clock) as store:
        for _ in range(2):
            with pytest.raises(StorageError, match=r"^The state file in .* cannot be used") as caught:
                await store.add(session("s1", clock))
        assert "GPT_IMAGE_2_STATE_DIR" in caught.value.hint
    assert (folder / "state.sqlite3").read_bytes() == content


async def test_a_state_folder_that_is_a_file_is_refused(folder: Path, clock: Clock) -> None:
    folder.parent.mkdir()
    folder.write_text("not a folder")

    async with opened(folder, clock) as store:
        with pytest.raises(StorageError, match="cannot be used"):
            await store.active()


async def test_a_read_only_disk_is_refused_in_a_sentence(
    folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Any, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("state.sqlite3"):
            raise OSError(30, "Read-only file system")
        return real_open(path, flags, mode)

    real_open = os.open
    monkeypatch.setattr(os, "open", read_only)

    async with opened(folder, clock) as store:
        with pytest.raises(StorageError, match="Read-only file system"):
            await store.active()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
async def test_a_read_only_folder_is_refused_in_a_sentence(folder: Path, clock: Clock) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o500)

    async with opened(folder, clock) as store:
        with pytest.raises(StorageError, match="cannot be used"):
            await store.active()


async def test_a_disk_that_is_good_again_is_used(folder: Path, clock: Clock) -> None:
    folder.parent.mkdir()
    folder.write_text("in the way")
    async with opened(folder, clock) as store:
        with pytest.raises(StorageError):
            await store.add(session("s1", clock))
        folder.unlink()

        await store.add(session("s1", clock))
        assert await ids(store) == ["s1"]


async def test_a_turn_that_is_not_the_next_one_is_refused_and_changes_nothing(
    folder: Path, clock: Clock
) -> None:
    async with opened(folder, clock) as store:
        kept = session("s1", clock)
        await store.add(kept)
        async with store.turn("s1"):
            with pytest.raises(StorageError):
                await store.append("s1", turn(1, clock.forward(hours=1)), TurnOptions(quality="max"))

        assert await store.active() == (kept,)


@pytest.mark.parametrize(("version", "journal"), [((3, 51, 3), "wal"), ((3, 51, 2), "truncate")])
async def test_write_ahead_logging_is_used_only_where_it_is_sound(
    folder: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    version: tuple[int, int, int],
    journal: str,
) -> None:
    """sqlite.org/wal.html: before 3.51.3 two processes can corrupt a file in WAL mode."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    seen: list[str] = []
    async with opened(folder, clock) as store:
        await store.add(session("s1", clock))
        await store._run(lambda db: seen.extend(db.execute("PRAGMA journal_mode").fetchone()))

    assert seen == [journal]
