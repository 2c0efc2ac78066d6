"""The line for the account's images per minute between real processes, one of which dies in it."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from gpt_image_2_mcp.stores.sqlite import Database
from tests.faults.nursery import Child, Nursery
from tests.faults.queueing import PER_MINUTE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the nursery passes files over Unix sockets")
_LOG = """
CREATE TABLE went (number INTEGER, operation_id TEXT, at TEXT);
CREATE TRIGGER went AFTER UPDATE OF sent_at ON tickets
    BEGIN INSERT INTO went VALUES (new.number, new.operation_id, new.sent_at); END;
"""


def logged(folder: Path) -> None:
    """The state file, which also keeps who went when."""

    async def make() -> None:
        database = Database(folder)
        await database.run(lambda db: db.executescript(_LOG))
        await database.close()

    asyncio.run(make())


def who_went(folder: Path) -> list[tuple[int, str, datetime]]:
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        rows = db.execute("SELECT number, operation_id, at FROM went ORDER BY rowid").fetchall()
    return [(number, name, datetime.fromisoformat(at)) for number, name, at in rows]


def started(nursery: Nursery, folder: Path, names: list[str]) -> Child:
    return nursery.start("tests.faults.queueing:queue", {"folder": str(folder), "names": names})


def test_processes_keep_one_limit_and_one_order_and_pass_over_the_dead(
    nursery: Nursery, tmp_path: Path
) -> None:
    logged(tmp_path)
    first = started(nursery, tmp_path, [f"first-{number}" for number in range(PER_MINUTE)])
    assert first.wait() == 0
    doomed = started(nursery, tmp_path, ["doomed-1", "doomed-2"])
    assert {doomed.stdout.readline()[:6] for _ in range(2)} == {b"waits "}
    doomed.kill()
    assert doomed.wait() == -signal.SIGKILL
    others = [started(nursery, tmp_path, [f"{name}-{n}" for n in range(3)]) for name in ("a", "b")]
    assert [child.wait() for child in others] == [0, 0]

    went = who_went(tmp_path)
    assert len(went) == PER_MINUTE + 6
    assert not any(name.startswith("doomed") for _, name, _ in went)
    assert [number for number, _, _ in went] == sorted(number for number, _, _ in went)
    times = [at for _, _, at in went]
    for earlier, later in zip(times, times[PER_MINUTE:], strict=False):
        assert (later - earlier).total_seconds() >= 60
