"""The latest pictures, read beside whoever has the state file open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gpt_image_2_mcp.stores import latest as module
from gpt_image_2_mcp.stores.catalogue import SqliteCatalogue
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.latest import latest
from tests.stores.samples import Clock, completed, database, drawing, operation

pytestmark = pytest.mark.anyio
FIRST = "3f9a1c0b7d2e" + "0" * 20
SECOND = "3f9b" + "a" * 28


async def test_they_are_those_of_the_catalogue(folder: Path, clock: Clock) -> None:
    async with database(folder) as opened:
        journal = SqliteJournal(opened, clock)
        for id_, prompt in ((FIRST, "A fox"), (SECOND, "A \u72d0")):
            await journal.reserve(operation(clock, id_, prompt=prompt))
            await journal.move(id_, "reserved", "received")
            await journal.commit(id_, completed(7, 8))
            clock.forward(seconds=1)
        for most in (1, 3, 10):
            listed = latest(folder, most)
            assert listed is not None
            assert [
                (
                    one.id,
                    one.full_id,
                    one.title,
                    one.path,
                    one.size,
                    one.size_bytes,
                    one.mime_type,
                    one.made_at,
                )
                for one in listed
            ] == [
                (
                    *(found.id, found.full_id, found.title, found.image.path, found.image.size),
                    *(found.image.size_bytes, found.image.mime_type, found.made_at),
                )
                for found in await SqliteCatalogue(opened).recent(most)
            ]
            assert len(listed) == min(most, 4)


async def test_a_drawing_has_no_size(folder: Path, clock: Clock) -> None:
    async with database(folder) as opened:
        journal = SqliteJournal(opened, clock)
        await journal.reserve(operation(clock, FIRST))
        await journal.move(FIRST, "reserved", "received")
        await journal.commit(FIRST, replace(completed(7), images=(drawing(),)))
    (listed,) = latest(folder, 5) or ()
    assert listed.size is None
    assert listed.mime_type == "image/svg+xml"


def test_where_there_is_no_state_file_there_are_no_pictures_and_none_is_made(tmp_path: Path) -> None:
    assert latest(tmp_path / "state", 5) == ()
    assert not (tmp_path / "state").exists()


def test_of_what_is_no_state_file_of_ours_nothing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    path.write_bytes(b"no database" * 500)
    assert latest(tmp_path, 5) is None
    path.unlink()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE images (id)")
    assert latest(tmp_path, 5) is None


def test_where_nobody_may_look_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_path: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "exists", forbidden)
    assert latest(tmp_path, 5) is None


async def test_a_state_file_that_somebody_holds_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WITHIN_S", 0.0)
    async with database(folder) as opened:
        await SqliteCatalogue(opened).recent(1)  # it is opened on first use
        with closing(sqlite3.connect(folder / "state.sqlite3", isolation_level=None)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("BEGIN EXCLUSIVE")
            assert latest(folder, 5) is None
            db.execute("ROLLBACK")
