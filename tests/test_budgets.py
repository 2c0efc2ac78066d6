"""Windows of time, and the verdict on one more call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.budgets import (
    TABLE,
    Allowance,
    Budgets,
    Period,
    Scope,
    Tally,
    Window,
    check_fits,
    check_known,
    day_of,
    month_of,
    usd,
)
from gpt_image_2_mcp.errors import BudgetExceeded

MIDNIGHT = datetime(2026, 11, 28, tzinfo=UTC)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
micro = st.integers(0, 10**12)


def refused(price: int, budgets: Budgets, *allowances: Allowance) -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as caught:
        check_fits(price, budgets, allowances)
    return caught.value


# Limits


def test_every_limit_is_a_setting() -> None:
    assert tuple(setting.scope for setting in TABLE) == get_args(Scope)
    assert [setting.name for setting in TABLE][:2] == [
        "GPT_IMAGE_2_BUDGET_CALL_USD",
        "GPT_IMAGE_2_BUDGET_SESSION_USD",
    ]


@pytest.mark.parametrize("scope", get_args(Scope))
def test_a_limit_of_nothing_is_a_limit(scope: Scope) -> None:
    assert not Budgets()
    assert Budgets(**{scope: 0})


def test_a_sessions_limit_holds_for_the_servers_run_and_for_the_edit_session_of_a_turn() -> None:
    budgets = Budgets(session=5, day=7)
    assert dict(budgets.purses(turn=False)) == {"session": 5, "day": 7}
    assert dict(budgets.purses(turn=True)) == {"session": 5, "turns": 5, "day": 7}


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (200_500, "$0.2005"),
        (5_000_000, "$5.00"),
        (1_234_567_890_000, "$1,234,567.89"),
    ],
)
def test_money_is_written_exactly(amount: int, text: str) -> None:
    assert usd(amount) == text


@given(one=micro, other=micro)
def test_amounts_that_differ_never_look_alike(one: int, other: int) -> None:
    assert (usd(one) == usd(other)) is (one == other)


# Windows


@given(moment=moments)
def test_a_moment_is_in_its_day_and_in_its_month(moment: datetime) -> None:
    day, month = day_of(moment), month_of(moment)
    assert month.begins <= day.begins <= moment < day.renews <= month.renews
    assert day.renews - day.begins == timedelta(hours=24)
    assert (month.renews.day, month.begins.day) == (1, 1)
    assert day_of(day.renews).begins == day.renews
    assert month_of(month.renews).begins == month.renews


def test_the_day_is_that_of_utc_wherever_the_clock_hangs() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert day_of(datetime(2026, 11, 28, 8, 59, tzinfo=tokyo)) == Window(
        MIDNIGHT - timedelta(days=1), MIDNIGHT
    )
    assert day_of(datetime(2026, 11, 28, 9, 0, tzinfo=tokyo)).begins == MIDNIGHT


def test_december_is_followed_by_january() -> None:
    assert month_of(datetime(2026, 12, 31, 23, 59, tzinfo=UTC)).renews == datetime(2027, 1, 1, tzinfo=UTC)


# The verdict


@given(price=micro, call=st.none() | micro, limits=st.lists(st.tuples(micro, micro), max_size=4))
def test_a_call_passes_exactly_when_it_fits_into_every_limit(
    price: int, call: int | None, limits: list[tuple[int, int]]
) -> None:
    allowances = [Allowance("day", limit, charged) for limit, charged in limits]
    rooms = [max(limit - charged, 0) for limit, charged in limits] + ([] if call is None else [call])
    if all(price <= room for room in rooms):
        check_fits(price, Budgets(call=call), allowances)
    else:
        assert refused(price, Budgets(call=call), *allowances).room == min(rooms)


def test_a_refusal_says_the_price_what_is_left_and_when_it_renews() -> None:
    error = refused(210_945, Budgets(day=5_000_000), Allowance("day", 5_000_000, 4_900_000, MIDNIGHT))
    assert error.message == (
        "The call can cost $0.210945, and $0.10 of the day's $5.00 is left until 2026-11-28 00:00 UTC."
    )
    assert error.remedy == "wait until 2026-11-28 00:00 UTC, or have GPT_IMAGE_2_BUDGET_DAY_USD raised"
    error.advise("Call again with quality=low")
    assert str(error).endswith(f"Call again with quality=low, or {error.remedy}; nothing was sent.")


def test_a_refusal_names_every_limit_that_is_passed_and_no_other() -> None:
    error = refused(
        300,
        Budgets(call=200),
        Allowance("session", 1000, 900),
        Allowance("turns", 1000, 1000),
        Allowance("month", 9000, 0, MIDNIGHT),
        Allowance("total", 10_000, 9_800),
    )
    assert error.message == (
        "The call can cost $0.0003, and one call may cost $0.0002, and $0.0001 of this server run's $0.001 "
        "is left, and $0.00 of this edit session's $0.001 is left, and $0.0002 of the total $0.01 is left."
    )
    assert error.remedy == (
        "have GPT_IMAGE_2_BUDGET_CALL_USD, GPT_IMAGE_2_BUDGET_SESSION_USD, GPT_IMAGE_2_BUDGET_TOTAL_USD "
        "raised"
    )
    assert error.room == 0


@pytest.mark.parametrize(
    "allowances",
    [
        [Allowance("day", 200, 0, MIDNIGHT)],
        [Allowance("day", 400, 200, MIDNIGHT), Allowance("total", 500, 400)],
    ],
    ids=["more than a whole day", "the total too"],
)
def test_nobody_is_told_to_wait_for_what_waiting_does_not_bring(allowances: list[Allowance]) -> None:
    assert "wait" not in refused(300, Budgets(), *allowances).remedy


def test_of_two_windows_the_later_one_is_waited_for() -> None:
    month = datetime(2026, 12, 1, tzinfo=UTC)
    error = refused(300, Budgets(), Allowance("day", 400, 200, MIDNIGHT), Allowance("month", 400, 200, month))
    assert error.remedy.startswith("wait until 2026-12-01 00:00 UTC, or have")


def test_what_was_charged_beyond_a_limit_leaves_nothing_and_not_less() -> None:
    assert Allowance("day", 100, 250).left == 0
    assert Period("day", MIDNIGHT, Tally(spent=200, reserved=30, unknown=20), 100).left == 0
    assert Period("day", MIDNIGHT, Tally()).left is None


def test_a_call_without_a_price_is_refused_where_anything_is_limited_and_only_there() -> None:
    check_known(None, "new", Budgets())
    check_known(1, "new", Budgets(total=0))
    with pytest.raises(BudgetExceeded, match="What a call with new costs is not known") as caught:
        check_known(None, "new", Budgets(month=1, call=1))
    assert caught.value.room is None
    assert caught.value.remedy == (
        "have GPT_IMAGE_2_BUDGET_CALL_USD, GPT_IMAGE_2_BUDGET_MONTH_USD taken away"
    )
