"""The state file: private, refused in a sentence where it cannot be used, used again where it can."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.stores.sqlite import SCHEMA_VERSION, Database
from tests.stores.samples import database, mode, posix

pytestmark = pytest.mark.anyio


def mark(db: sqlite3.Connection, name: str = "s1") -> None:
    with db:
        db.execute("INSERT INTO ended_sessions VALUES (?, '2026')", (name,))


def marks(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT id FROM ended_sessions ORDER BY id")]


async def test_nothing_is_made_before_the_first_use(folder: Path) -> None:
    async with database(folder):
        assert not folder.exists()


async def test_what_was_written_is_there_for_the_next_process(folder: Path) -> None:
    async with database(folder) as one:
        await one.run(mark)
    async with database(folder) as two:
        assert await two.run(marks) == ["s1"]


@posix
async def test_the_state_is_for_its_owner_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        async with database(folder) as opened:
            await opened.run(mark)
            assert mode(folder) == 0o700
            assert {mode(path) for path in folder.iterdir()} == {0o600}
    finally:
        os.umask(before)


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 2**31 - 1])
async def test_a_file_of_a_newer_version_is_refused_and_left_alone(folder: Path, version: int) -> None:
    async with database(folder) as opened:
        await opened.run(mark)
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        db.execute(f"PRAGMA user_version = {version}")
    content = (folder / "state.sqlite3").read_bytes()

    async with database(folder) as opened:
        for _ in range(2):
            with pytest.raises(StorageError, match="written by a newer version") as caught:
                await opened.run(marks)
        assert "GPT_IMAGE_2_STATE_DIR" in caught.value.hint
        assert str(version) in caught.value.message

    assert (folder / "state.sqlite3").read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [b"this is no database, and it is long enough to tell" * 100, b"SQLite format 3\0" + bytes(200) * 30],
    ids=["text", "torn header"],
)
async def test_a_damaged_file_is_refused_in_a_sentence(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "state.sqlite3").write_bytes(content)

    async with database(folder) as opened:
        for _ in range(2):
            with pytest.raises(StorageError, match=r"^The state file in .* cannot be used") as caught:
                await opened.run(mark)
        assert "move state.sqlite3 away" in caught.value.hint
        assert str(folder) in caught.value.message
    assert (folder / "state.sqlite3").read_bytes() == content


async def test_a_file_that_is_damaged_in_use_is_refused_in_a_sentence(folder: Path) -> None:
    async with database(folder) as opened:
        await opened.run(mark)
        (folder / "state.sqlite3").write_bytes(b"overwritten" * 1000)
        with pytest.raises(StorageError, match="cannot be used"):
            await opened.run(marks)


async def test_a_state_folder_that_is_a_file_is_refused(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("not a folder")

    async with database(folder) as opened:
        with pytest.raises(StorageError, match="cannot be used"):
            await opened.run(marks)


async def test_a_read_only_disk_is_refused_in_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Any, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("state.sqlite3"):
            raise OSError(30, "Read-only file system")
        return real_open(path, flags, mode)

    real_open = os.open
    monkeypatch.setattr(os, "open", read_only)

    async with database(folder) as opened:
        with pytest.raises(StorageError, match="Read-only file system"):
            await opened.run(marks)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
async def test_a_read_only_folder_is_refused_in_a_sentence(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o500)

    async with database(folder) as opened:
        with pytest.raises(StorageError, match="cannot be used"):
            await opened.run(marks)


async def test_a_disk_that_is_good_again_is_used(folder: Path) -> None:
    folder.parent.mkdir()
    folder.write_text("in the way")
    async with database(folder) as opened:
        with pytest.raises(StorageError):
            await opened.run(mark)
        folder.unlink()

        await opened.run(mark)
        assert await opened.run(marks) == ["s1"]


async def test_work_that_fails_leaves_nothing_half_done_and_the_next_is_done(folder: Path) -> None:
    def fail(db: sqlite3.Connection) -> None:
        with db:
            db.execute("INSERT INTO ended_sessions VALUES ('half', '2026')")
            db.execute("INSERT INTO nowhere VALUES (1)")

    async with database(folder) as opened:
        with pytest.raises(StorageError, match="no such table"):
            await opened.run(fail)
        await opened.run(mark)
        assert await opened.run(marks) == ["s1"]


async def test_a_write_that_was_begun_ends_though_its_caller_is_cancelled(folder: Path) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def slow(db: sqlite3.Connection) -> None:
        begun.set()
        assert may_go_on.wait(10)
        mark(db)

    async with database(folder) as opened:
        write = asyncio.ensure_future(opened.run(slow))
        assert await run_sync(begun.wait, 10)
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
        may_go_on.set()
        assert await opened.run(marks) == ["s1"]


async def test_many_that_open_a_new_folder_at_once_agree_on_one_file(folder: Path) -> None:
    opened = [Database(folder) for _ in range(8)]
    await asyncio.gather(
        *(each.run(lambda db, n=n: mark(db, f"s{n}")) for n, each in enumerate(opened))  # type: ignore[misc]
    )
    for each in opened:
        assert await each.run(marks) == [f"s{n}" for n in range(8)]
        await each.close()


async def test_a_database_that_was_never_used_closes(folder: Path) -> None:
    await Database(folder).close()


async def test_a_connection_that_a_cancelled_call_was_opening_is_closed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on, connect = threading.Event(), threading.Event(), sqlite3.connect
    connections: list[sqlite3.Connection] = []

    def slowly(*arguments: Any, **options: Any) -> sqlite3.Connection:
        begun.set()
        may_go_on.wait(10)
        connections.append(connect(*arguments, **options))
        return connections[0]

    monkeypatch.setattr(sqlite3, "connect", slowly)
    opened = Database(folder)
    first = asyncio.create_task(opened.run(marks))
    assert await run_sync(begun.wait, 10)
    first.cancel()
    closing_it = asyncio.create_task(opened.close())
    await asyncio.sleep(0)
    may_go_on.set()
    await closing_it
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connections[0].execute("SELECT 1")


@pytest.mark.parametrize(("version", "journal"), [((3, 51, 3), "wal"), ((3, 51, 2), "truncate")])
async def test_write_ahead_logging_is_used_only_where_it_is_sound(
    folder: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], journal: str
) -> None:
    """sqlite.org/wal.html: before 3.51.3 two processes can corrupt a file in WAL mode."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    async with database(folder) as opened:
        seen = await opened.run(
            lambda db: [
                db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        )

    assert seen == [journal, 2 if journal == "wal" else 3, 1]
