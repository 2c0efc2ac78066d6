"""A state file is looked into and left exactly as it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.models import Failure
from gpt_image_2_mcp.reports import StateReport
from gpt_image_2_mcp.stores import inspection
from gpt_image_2_mcp.stores.inspection import inspect
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.sqlite import SCHEMA_VERSION, Database
from tests.stores.samples import Clock, completed, operation

pytestmark = pytest.mark.anyio
UNVERIFIED = Failure("organization_not_verified", "No.", "Verify it.")


async def entered(folder: Path, *calls: dict[str, Any]) -> Path:
    """A state file with these calls, a minute apart."""
    clock, database = Clock(), Database(folder)
    for number, call in enumerate(calls):
        await SqliteJournal(database, clock).record(operation(clock, f"op-{number}", **call))
        clock.forward(minutes=1)
    await database.run(lambda db: None)
    await database.close()
    return folder / "state.sqlite3"


async def test_where_there_is_none_none_is_made(tmp_path: Path) -> None:
    assert inspect(tmp_path / "state") == StateReport(None, SCHEMA_VERSION)
    assert not (tmp_path / "state").exists()


async def test_calls_are_counted_by_how_they_stand(tmp_path: Path) -> None:
    calls = [{"state": state} for state in ("sent", "reserved", "received", "unknown", "done", "released")]
    path = await entered(tmp_path, *calls)
    before = path.read_bytes()
    report = inspect(tmp_path)
    assert (report.schema, report.trouble) == (SCHEMA_VERSION, "")
    assert (report.unfinished, report.lost, report.since) == (3, 1, Clock().now)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("calls", "verified"),
    [
        ([], None),
        ([{"state": "released"}], None),
        ([{"state": "done", "completed": completed(), "action": "import"}], None),
        ([{"state": "done", "completed": completed()}], True),
        ([{"state": "done", "completed": completed()}, {"state": "released", "failure": UNVERIFIED}], False),
        ([{"state": "released", "failure": UNVERIFIED}, {"state": "done", "completed": completed()}], True),
    ],
)
async def test_the_last_call_that_tells_tells_whether_the_organization_is_verified(
    tmp_path: Path, calls: list[dict[str, Any]], verified: bool | None
) -> None:
    await entered(tmp_path, *calls)
    assert inspect(tmp_path).verified is verified


async def test_files_of_other_versions_are_not_read_further(tmp_path: Path) -> None:
    path = await entered(tmp_path, {"state": "sent"})
    for version in (SCHEMA_VERSION + 1, 0):
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"PRAGMA user_version = {version}")
        assert inspect(tmp_path) == StateReport(version, SCHEMA_VERSION)


async def test_what_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").write_bytes(b"no database" * 100)
    report = inspect(tmp_path)
    assert (report.fault, "not a database" in report.trouble) == ("damaged", True)


async def test_pages_that_were_overwritten_are_damage(tmp_path: Path) -> None:
    path = await entered(tmp_path, {"state": "sent"})
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)
    assert inspect(tmp_path).fault == "damaged"


async def test_what_is_no_file_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").mkdir()
    report = inspect(tmp_path)
    assert (report.fault, bool(report.trouble)) == ("unusable", True)


async def test_a_process_that_died_while_it_wrote_left_no_damage(tmp_path: Path) -> None:
    path, copy = await entered(tmp_path / "one", {"state": "sent"}), tmp_path / "two"
    copy.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 1; BEGIN IMMEDIATE")
        db.execute("CREATE TABLE large (text)")
        db.executemany("INSERT INTO large VALUES (?)", [("x" * 3000,)] * 100)
        for each in path.parent.iterdir():
            shutil.copy(each, copy)
        assert inspect(path.parent).fault == "passing"
        db.execute("ROLLBACK")
    report = inspect(copy)
    assert (report.fault, "readonly" in report.trouble) == ("passing", True)
    await entered(copy)
    assert inspect(copy).unfinished == 1


async def test_a_look_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await entered(tmp_path, *[{"state": "sent"}] * 3)
    monkeypatch.setattr(inspection, "_LONGEST_S", -1.0)
    monkeypatch.setattr(inspection, "_STEPS", 1)
    report = inspect(tmp_path)
    assert (report.fault, report.trouble) == ("passing", "interrupted")
