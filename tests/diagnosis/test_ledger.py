"""What is told of the state file, the calls in it, and budgets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gpt_image_2_mcp.budgets import Period, Spending, Tally
from gpt_image_2_mcp.diagnosis.findings import Finding
from gpt_image_2_mcp.diagnosis.ledger import look_at_budgets, look_at_state
from gpt_image_2_mcp.reports import Fault, StateReport

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def told(report: StateReport) -> dict[str, Finding]:
    return {finding.name: finding for finding in look_at_state(report, Path("/state"), NOW)}


@pytest.mark.parametrize(
    ("fault", "status", "remedy"),
    [
        ("damaged", "fail", "Move state.sqlite3 away"),
        ("unusable", "fail", "GPT_IMAGE_2_STATE_DIR"),
        ("passing", "warn", "Run it again"),
    ],
)
def test_a_file_is_moved_away_only_when_it_is_damaged(fault: Fault, status: str, remedy: str) -> None:
    (found,) = told(StateReport(3, 3, fault, "what SQLite says")).values()
    assert (found.status, "(what SQLite says)" in found.what) == (status, True)
    assert found.remedy.startswith(remedy) or remedy in found.remedy


def test_a_file_that_is_older_is_fine_and_one_that_is_newer_is_not() -> None:
    assert "brought up to date" in told(StateReport(2, 3))["state file"].what
    assert told(StateReport(4, 3))["state file"].status == "fail"
    assert set(told(StateReport(None, 3))) == {"state file"}


def test_calls_that_are_just_under_way_are_fine() -> None:
    for minutes, status in ((1, "ok"), (16, "warn")):
        report = StateReport(3, 3, unfinished=2, since=NOW - timedelta(minutes=minutes))
        assert told(report)["operations"].status == status


def spending(*periods: Period, call: int | None = None) -> list[Finding]:
    return list(look_at_budgets(Spending(periods, call, "model", NOW, ())))


def test_what_is_left_of_each_budget_is_told() -> None:
    day = Period("day", NOW, Tally(spent=5_000_000), 5_000_000, NOW + timedelta(hours=12))
    total = Period("total", None, Tally(spent=5_000_000), 9_000_000)
    found = {each.name: each for each in spending(day, total, call=250_000)}
    assert found["budget today"].what == "$0.00 of $5.00 are left. Calls are refused."
    assert found["budget today"].remedy == (
        "Wait, or raise GPT_IMAGE_2_BUDGET_DAY_USD. It renews at 2026-11-23 00:00 UTC."
    )
    assert found["budget in all"] == Finding("budget in all", "ok", "$4.00 of $9.00 are left.")
    assert found["budget of a call"].what == "A call may cost $0.25."


def test_where_there_is_no_budget_it_is_said_that_nothing_limits_it() -> None:
    (found,) = spending(Period("total", None, Tally()))
    assert (found.name, found.status) == ("budgets", "ok")
