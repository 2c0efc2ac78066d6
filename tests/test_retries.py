"""When a call may be sent again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator

import pytest

from gpt_image_2_mcp.errors import (
    ImageServerError,
    ModerationBlocked,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    Rejected,
    Unreachable,
    Unsendable,
    UpstreamError,
    UpstreamFailure,
)
from gpt_image_2_mcp.retries import LONGEST_LIMITED_S, LONGEST_WAIT_S, MAX_RETRIES, RetryPolicy, Tries

longest = RetryPolicy(draw=lambda _low, high: high)


def tree(top: type[UpstreamError]) -> Iterator[type[UpstreamError]]:
    yield top
    for child in top.__subclasses__():
        yield from tree(child)


ALL = sorted(set(tree(UpstreamError)), key=lambda kind: kind.__name__)
SENT_AGAIN = {Unreachable, RateLimited}
NEVER = {QuotaExhausted, ModerationBlocked}
each_class = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)


def error(
    kind: type[UpstreamError], *, should_retry: bool | None = None, retry_after: float | None = None
) -> UpstreamError:
    made = kind("No.")
    made.should_retry, made.retry_after = should_retry, retry_after
    return made


@each_class
def test_of_all_errors_only_an_unsent_call_and_a_rate_limit_are_sent_again(kind: type[UpstreamError]) -> None:
    assert (longest.wait_before_next(error(kind), Tries()) is not None) == (kind in SENT_AGAIN)


@each_class
def test_what_the_api_advises_against_is_never_sent_again(kind: type[UpstreamError]) -> None:
    assert longest.wait_before_next(error(kind, should_retry=False), Tries()) is None


@each_class
def test_what_the_api_says_was_refused_before_work_is_sent_again_save_money_and_moderation(
    kind: type[UpstreamError],
) -> None:
    wait = longest.wait_before_next(error(kind, should_retry=True), Tries())
    assert (wait is not None) == (kind not in NEVER)


@each_class
def test_a_wait_alone_makes_nothing_safe_to_send_again(kind: type[UpstreamError]) -> None:
    wait = longest.wait_before_next(error(kind, retry_after=1.0), Tries())
    assert wait == (1.0 if kind in SENT_AGAIN else None)


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind is not RateLimited])
def test_nothing_is_sent_a_fourth_time_save_after_a_rate_limit(kind: type[UpstreamError]) -> None:
    assert MAX_RETRIES == 2
    for before in range(2, 10):
        tried = Tries(posts=before + 5, limited=5)
        assert longest.wait_before_next(error(kind, should_retry=True), tried) is None


def refused_for_ever(policy: RetryPolicy, retry_after: float | None) -> list[float]:
    """The waits of a call that meets nothing but rate limits."""
    tries, waits = Tries(), list[float]()
    limit = RateLimited("Slow.", retry_after=retry_after)
    while (wait := policy.wait_before_next(limit, tries)) is not None:
        tries = tries.after(limit, wait)
        waits.append(wait)
    assert tries.posts == tries.limited == len(waits)
    assert tries.failed == 0
    return waits


@pytest.mark.parametrize("named", [None, 0.0, 2.0, 12.0, 60.0])
@pytest.mark.parametrize("draw", [min, max])
def test_a_rate_limit_is_waited_out_for_a_quarter_of_an_hour_and_no_longer(
    named: float | None, draw: Callable[[float, float], float]
) -> None:
    waits = refused_for_ever(RetryPolicy(draw=draw), named)
    assert LONGEST_LIMITED_S - 60 <= sum(waits) <= LONGEST_LIMITED_S == 900
    assert len(waits) <= 100
    assert all(wait >= (named or 0) for wait in waits)


def test_an_api_that_names_no_wait_is_given_more_rest_each_time() -> None:
    assert refused_for_ever(longest, None)[:7] == [1, 2, 4, 8, 16, 20, 20]
    assert refused_for_ever(longest, 3.0)[:7] == [3, 3, 4, 8, 16, 20, 20]


def test_waits_for_a_rate_limit_leave_the_tries_after_other_failures_as_they_are() -> None:
    unsent, limit = Unreachable("No."), RateLimited("Slow.", retry_after=7.0)
    tries = Tries().after(limit, 7.0).after(unsent, 1.0).after(limit, 7.0)
    assert (tries.posts, tries.failed, tries.limited_s, tries.wait_s) == (3, 1, 14.0, 7.0)
    assert longest.wait_before_next(unsent, tries) == 2.0
    assert longest.wait_before_next(unsent, tries.after(unsent, 2.0)) is None
    assert longest.wait_before_next(limit, tries.after(unsent, 2.0)) == 7.0


@pytest.mark.parametrize("kind", sorted(tree(OutcomeUnknown), key=repr))
def test_what_may_have_been_billed_is_never_sent_again_of_our_own_accord(kind: type[UpstreamError]) -> None:
    assert longest.wait_before_next(error(kind), Tries()) is None


@pytest.mark.parametrize(
    ("named", "waited"),
    [
        (0.0, 0.0),
        (0.25, 0.25),
        (3.0, 3.0),
        (LONGEST_WAIT_S, 60.0),
        (LONGEST_WAIT_S + 0.001, None),
        (1e9, None),
    ],
)
def test_a_wait_that_is_named_is_kept_to_the_second_and_given_up_over_a_minute(
    named: float, waited: float | None
) -> None:
    for attempt in range(MAX_RETRIES):
        limited = Tries(posts=attempt, limited=attempt)
        assert longest.wait_before_next(RateLimited("Slow.", retry_after=named), limited) == waited
        failure = error(UpstreamFailure, should_retry=True, retry_after=named)
        assert longest.wait_before_next(failure, Tries(attempt)) == waited


@pytest.mark.parametrize("draw", [min, max])
def test_a_wait_that_is_not_named_is_drawn_from_a_range_that_doubles(
    draw: Callable[[float, float], float],
) -> None:
    policy = RetryPolicy(draw=draw)
    waits = [policy.wait_before_next(Unreachable("No."), Tries(attempt)) for attempt in range(MAX_RETRIES)]
    assert waits == ([0.0, 0.0] if draw is min else [1.0, 2.0])


def test_waits_are_random_unless_told_otherwise() -> None:
    waits = {RetryPolicy().wait_before_next(Unreachable("No."), Tries(1)) for _ in range(20)}
    assert len(waits) > 1
    assert all(wait is not None and 0 <= wait <= 2 for wait in waits)


def test_an_address_that_will_still_be_wrong_is_not_tried_again() -> None:
    assert issubclass(Unsendable, Unreachable)
    assert longest.wait_before_next(Unsendable("TLS."), Tries()) is None


def test_every_upstream_error_can_be_made_from_a_message_alone() -> None:
    """So that the tables above cover the whole tree."""
    for kind in ALL:
        required = [
            name
            for name, parameter in inspect.signature(kind).parameters.items()
            if parameter.default is inspect.Parameter.empty
        ]
        assert required == ["message"]
    assert {Rejected, OutcomeUnknown} < set(ALL)
    assert ImageServerError not in ALL
