"""A state file that has grown: what ten thousand edit sessions and a hundred thousand pictures cost."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.processes import family, forget_peaks, memory_mib, peak_mib
from benchmarks.rows import Figures
from benchmarks.stdio import Command, Connection

_CLONED: Final = {
    "operations": {"id": "{id}", "created_at": "{at}", "changed_at": "{at}", "state": "'done'"},
    "images": {"id": "{id} || '-1'", "operation_id": "{id}", "created_at": "{at}"},
    "ledger": {"operation_id": "{id}", "at": "{at}"},
    "sessions": {"id": "'edit-' || {id}", "created_at": "{at}", "updated_at": "{at}"},
    "turns": {"session_id": "'edit-' || {id}"},
}
"""The columns in which copies of a row differ, as SQL."""
_ID: Final = "printf('%032x', n * 2654435761)"
_AT: Final = "strftime('%Y-%m-%dT%H:%M:%f', 'now', '-' || n || ' seconds') || '000+00:00'"


def grown(command: Command, size_mb: str, sessions: int, pictures: int) -> Figures:
    """Latencies before and after the state file has grown, and the memory that goes with it."""
    environment = {**command.environment, "GPT_IMAGE_2_SESSION_MAX": "0", "GPT_IMAGE_2_SESSION_TTL_MS": "0"}
    command = replace(command, environment=environment)
    with Connection(command) as server:
        made = json.loads(server.call("generate_image", prompt=f"{size_mb} 0"))
        source = made["result"]["structuredContent"]["images"][0]["file_path"]
        server.call("start_edit_session", prompt=f"{size_mb} 0", images=[source])
        before = _latencies(server, size_mb, "small")
    _grow(Path(command.environment["GPT_IMAGE_2_STATE_DIR"]) / "state.sqlite3", sessions, pictures)
    with Connection(command) as server:
        server.call("generate_image", prompt=f"{size_mb} 0")  # by then everything is imported and opened
        rest = memory_mib([server.pid])
        forget_peaks(family(server.pid))
        after = _latencies(server, size_mb, "grown")
        peak = peak_mib([server.pid]) - rest
    return before | after | {"grown, memory beyond a first call, MiB": peak}


def _latencies(server: Connection, size_mb: str, state: str) -> dict[str, float]:
    work: dict[str, Callable[[], object]] = {
        "resources/list": lambda: server.ask("resources/list"),
        "resources/read of the oldest": lambda: server.ask("resources/read", {"uri": _oldest(server)}),
        "list_edit_sessions": lambda: server.call("list_edit_sessions"),
        "get_spending": lambda: server.call("get_spending"),
        f"a call of {size_mb} MB": lambda: server.call("generate_image", prompt=f"{size_mb} 0"),
    }
    return {f"{state}, {name}, ms": _median_ms(each) for name, each in work.items()}


def _oldest(server: Connection) -> str:
    state = Path(server.command.environment["GPT_IMAGE_2_STATE_DIR"]) / "state.sqlite3"
    with closing(sqlite3.connect(state)) as db:
        (id_,) = db.execute("SELECT id FROM images ORDER BY created_at LIMIT 1").fetchone()
    return f"image://{id_}/preview"


def _median_ms(work: Callable[[], object], times: int = 5) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def _grow(state: Path, sessions: int, pictures: int) -> None:
    """Copy the first row of each table so many times."""
    with closing(sqlite3.connect(state)) as db, db:
        for table, count in {
            "operations": pictures,
            "images": pictures,
            "ledger": pictures,
            "sessions": sessions,
            "turns": sessions,
        }.items():
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            changed = {
                name: rule.format(id=_ID, at=_AT) for name, rule in _CLONED[table].items() if name in names
            }
            columns = ", ".join(changed.get(name, f"one.{name}") for name in names)
            db.execute(
                f"WITH RECURSIVE counter(n) AS "
                f"(SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < {count}) "
                f"INSERT INTO {table} ({', '.join(names)}) "
                f"SELECT {columns} FROM (SELECT * FROM {table} LIMIT 1) AS one, counter"
            )
