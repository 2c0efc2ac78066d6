"""Looks into a state file that may be damaged or of another version, and leaves it exactly as it is."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from gpt_image_2_mcp.models import OPEN_STATES
from gpt_image_2_mcp.reports import Fault, StateReport
from gpt_image_2_mcp.stores.sqlite import SCHEMA_VERSION

_LONGEST_S: Final = 8.0
_STEPS: Final = 100_000
"""Of SQLite's machine, from one look at the clock to the next."""
_OPEN: Final = ", ".join(f"'{state}'" for state in OPEN_STATES)
# Somebody writes; it is large; a process died while it wrote, which whoever writes next undoes (3.40.1).
_PASSING: Final = (
    *("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_INTERRUPT"),
    *("SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY"),
)
# Without FILTER: Python 3.11 of RHEL 8 stands on SQLite 3.26.
_COUNTS: Final = f"""
SELECT coalesce(sum(state != 'unknown'), 0), min(CASE WHEN state != 'unknown' THEN changed_at END),
    coalesce(sum(state = 'unknown'), 0)
FROM operations WHERE state IN ({_OPEN}, 'unknown')
"""
_TOLD: Final = """
SELECT state = 'done' FROM operations
WHERE action != 'import' AND (state = 'done' OR CAST(failure AS TEXT) LIKE '%organization_not_verified%')
ORDER BY changed_at DESC LIMIT 1
"""


def inspect(folder: Path) -> StateReport:
    """How the state file in `folder` stands. Blocks, for seconds where it is large."""
    path = folder / "state.sqlite3"
    try:
        if not path.exists():
            return StateReport(None, SCHEMA_VERSION)
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=2)) as db:
            return _inspected(db)
    except (sqlite3.Error, OSError) as error:
        return StateReport(0, SCHEMA_VERSION, _fault(error), str(error))


def _fault(error: Exception) -> Fault:
    if type(error) is sqlite3.DatabaseError:  # the subclasses are of use, not of damage
        return "damaged"
    name = getattr(error, "sqlite_errorname", "")
    return "passing" if name.startswith(_PASSING) else "unusable"


def _inspected(db: sqlite3.Connection) -> StateReport:
    ends = time.monotonic() + _LONGEST_S
    db.set_progress_handler(lambda: time.monotonic() > ends, _STEPS)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (damage,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if damage != "ok":
        return StateReport(version, SCHEMA_VERSION, "damaged", damage)
    if not 0 < version <= SCHEMA_VERSION:
        return StateReport(version, SCHEMA_VERSION)
    unfinished, since, lost = db.execute(_COUNTS).fetchone()
    told = db.execute(_TOLD).fetchone()
    return StateReport(
        version,
        SCHEMA_VERSION,
        unfinished=unfinished,
        lost=lost,
        since=datetime.fromisoformat(since) if since else None,
        verified=bool(told[0]) if told else None,
    )
