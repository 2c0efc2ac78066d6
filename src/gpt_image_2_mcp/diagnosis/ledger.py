"""The state file, the calls in it, and the budgets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gpt_image_2_mcp.budgets import Period, Spending, usd
from gpt_image_2_mcp.diagnosis.findings import Finding, Status
from gpt_image_2_mcp.reports import Fault, StateReport

_STALE: Final = timedelta(minutes=15)
"""No call takes so long: who was at it is gone."""
_FAULTS: Final[dict[Fault, tuple[Status, str, str]]] = {
    "damaged": (
        "fail",
        "is damaged",
        "Move state.sqlite3 away and keep it; answers in spool/ stay. A new one is made.",
    ),
    "unusable": (
        "fail",
        "cannot be used",
        "Set GPT_IMAGE_2_STATE_DIR to a local folder that can be written.",
    ),
    "passing": (
        "warn",
        "could not be looked into now",
        "Run it again; `gpt-image-2-mcp operations` opens the file and mends what a process left that died.",
    ),
}
_PURSES: Final = {"session": "this run", "day": "today", "month": "this month", "total": "in all"}


def look_at_state(report: StateReport, folder: Path, now: datetime) -> Iterator[Finding]:
    """Whether the state file is whole and ours, and what stands open in it."""
    yield _state_file(report, folder)
    if is_usable(report):
        yield _unfinished(report, now)
        yield _lost(report)


def is_usable(report: StateReport) -> bool:
    """Whether calls can be read from it."""
    return not report.fault and report.schema is not None and 0 < report.schema <= report.supported


def _state_file(report: StateReport, folder: Path) -> Finding:
    if report.fault:
        status, what, remedy = _FAULTS[report.fault]
        return Finding(
            "state file", status, f"The state file in {folder} {what} ({report.trouble[:200]}).", remedy
        )
    if report.schema is None:
        return Finding("state file", "ok", f"There is none in {folder} yet; it is made at the first call.")
    if report.schema > report.supported:
        what = f"The state file is of a newer version (schema {report.schema}, not {report.supported})."
        remedy = "Update gpt-image-2-mcp, or set GPT_IMAGE_2_STATE_DIR to another folder."
        return Finding("state file", "fail", what, remedy)
    later = "" if report.schema == report.supported else " It is brought up to date at the next start."
    return Finding("state file", "ok", f"The state file in {folder} is whole.{later}")


def _unfinished(report: StateReport, now: datetime) -> Finding:
    if report.since and now - report.since > _STALE:
        what = (
            f"{report.unfinished} calls are not finished, the oldest since {report.since:%Y-%m-%d %H:%M} UTC."
        )
        remedy = "The next server that starts goes on with them; see `gpt-image-2-mcp operations`."
        return Finding("operations", "warn", what, remedy)
    return Finding("operations", "ok", f"{report.unfinished} calls are under way.")


def _lost(report: StateReport) -> Finding:
    if not report.lost:
        return Finding("outcomes", "ok", "Of every call it is known what came of it.")
    what = (
        f"Of {report.lost} calls it is not known what came of them; they stay charged, and are not repeated."
    )
    remedy = "See `gpt-image-2-mcp operations`, and compare with OpenAI's usage page."
    return Finding("outcomes", "warn", what, remedy)


def look_at_budgets(spent: Spending) -> Iterator[Finding]:
    """What is left of each budget."""
    limited = [period for period in spent.periods if period.limit is not None]
    if spent.call_limit is not None:
        yield Finding("budget of a call", "ok", f"A call may cost {usd(spent.call_limit)}.")
    for period in limited:
        yield _budget(period)
    if not limited and spent.call_limit is None:
        yield Finding("budgets", "ok", "No budget is set, so nothing limits what is spent.")


def _budget(period: Period) -> Finding:
    left, limit = period.left or 0, period.limit or 0
    name = f"budget {_PURSES.get(period.purse, period.purse)}"
    what = f"{usd(left)} of {usd(limit)} are left."
    if left:
        return Finding(name, "ok", what)
    renews = f" It renews at {period.renews:%Y-%m-%d %H:%M} UTC." if period.renews else ""
    variable = f"GPT_IMAGE_2_BUDGET_{period.purse.upper()}_USD"
    return Finding(name, "warn", f"{what} Calls are refused.", f"Wait, or raise {variable}.{renews}")
