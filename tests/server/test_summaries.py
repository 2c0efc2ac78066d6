"""Results in words."""

from __future__ import annotations

from datetime import UTC, datetime

from gpt_image_2_mcp.budgets import Period, Spending, Tally
from gpt_image_2_mcp.outcomes import spending
from gpt_image_2_mcp.results import WorkingResult
from gpt_image_2_mcp.server.summaries import summarize

DAY, NEXT = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)


def said(spent: Spending, *, sandbox: bool = False) -> list[str]:
    return summarize(spending(spent, sandbox=sandbox)).splitlines()


def test_what_was_spent_is_said_with_every_fact_of_the_structured_content() -> None:
    periods = (
        Period("session", None, Tally(), 1_000_000),
        Period("day", DAY, Tally(3, spent=52_700, reserved=210_945, unknown=1), 5_000_000, NEXT),
        Period("month", MONTH, Tally(3, spent=52_700)),
        Period("total", None, Tally(4, spent=99, unpriced=1)),
    )
    groups = (("gpt-image-2", Tally(3, spent=52_700)),)
    assert said(Spending(periods, 500_000, "model", MONTH, groups)) == [
        "Spent (days and months of UTC):",
        "- This server run: 0 call(s), $0.00 spent; $1.00 of $1.00 left",
        "- Today: 3 call(s), $0.0527 spent, $0.210945 reserved for calls under way, "
        "$0.000001 for calls of unknown outcome; $4.736354 of $5.00 left, whole again at 2026-11-23T00:00Z",
        "- This month: 3 call(s), $0.0527 spent",
        "- In total: 4 call(s), $0.000099 spent",
        "- One call may cost $0.50",
        "By model since 2026-11-01:",
        "- gpt-image-2: 3 call(s), $0.0527 spent",
        "Note: 1 call(s) of models without a known price are in no sum.",
    ]


def test_nothing_is_said_of_what_there_is_not() -> None:
    nothing = Spending((Period("total", None, Tally()),), None, "day", MONTH, ())
    assert said(nothing) == ["Spent (days and months of UTC):", "- In total: 0 call(s), $0.00 spent"]


def test_a_sandbox_says_that_nothing_was_billed() -> None:
    nothing = Spending((Period("total", None, Tally()),), None, "day", MONTH, ())
    assert said(nothing, sandbox=True)[-1] == "Sandbox: nothing of this was billed"


def test_a_project_with_a_line_break_in_its_name_stays_on_its_line() -> None:
    odd = Spending((Period("total", None, Tally()),), None, "project", MONTH, (("/a\nb", Tally(1)),))
    assert len(said(odd)) == 4


def test_how_long_a_picture_takes_is_said_only_where_it_is_a_second() -> None:
    quick, slow = (
        summarize(WorkingResult(operation_id="a", elapsed_seconds=50, expected_seconds=usual))
        for usual in (0.2, 48)
    )
    assert "usually" not in quick
    assert "usually takes about 48 s" in slow
