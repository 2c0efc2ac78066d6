"""What a caller is told of the ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from gpt_image_2_mcp.budgets import Period, Rest, Spending, Tally
from gpt_image_2_mcp.outcomes import spending
from gpt_image_2_mcp.results import SpendingResult

DAY, NEXT = datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)


def told(total: Tally, *groups: tuple[str, Tally], rest: Rest | None = None) -> SpendingResult:
    periods = (
        Period("day", DAY, Tally(2, spent=52_700, reserved=210_945, unknown=1), 5_000_000, NEXT),
        Period("total", None, total),
    )
    return spending(Spending(periods, 500_000, "project", DAY, groups, rest or Rest()), sandbox=False)


def test_amounts_are_told_in_dollars_and_moments_in_utc() -> None:
    result = told(Tally(2, spent=52_700, reserved=210_945, unknown=1))
    assert result.periods[0].model_dump() == {
        "period": "day",
        "since": "2026-11-22T00:00:00.000Z",
        "renews_at": "2026-11-23T00:00:00.000Z",
        "calls": 2,
        "spent_usd": 0.0527,
        "reserved_usd": 0.210945,
        "unknown_usd": 0.000001,
        "limit_usd": 5.0,
        "left_usd": 4.736354,
    }
    total = result.periods[1]
    assert (total.since, total.renews_at, total.limit_usd, total.left_usd) == (None, None, None, None)
    assert result.call_limit_usd == 0.5


def test_a_result_says_only_what_there_is_to_say() -> None:
    assert list(told(Tally()).model_dump()) == ["periods", "groups", "by", "since", "call_limit_usd"]


def test_what_the_sums_do_not_show_is_said() -> None:
    assert told(Tally(9, spent=50, estimated=20, unpriced=2)).note == (
        "$0.00002 of what was spent is the most it can be: the API reported no usage. "
        "2 call(s) of models without a known price are in no sum."
    )


def test_of_many_groups_the_first_are_told_and_the_rest_are_summed_up() -> None:
    groups = [(f"/p/{number}", Tally(1, spent=number * 10_000)) for number in (5, 4)]
    result = told(Tally(), *groups, rest=Rest(3, 60_000))
    assert [group.name for group in result.groups] == ["/p/5", "/p/4"]
    assert result.note == "3 more not listed: $0.06."


def test_calls_from_before_projects_were_recorded_are_called_so() -> None:
    assert [group.name for group in told(Tally(), ("", Tally(1))).groups] == ["not recorded"]
