from __future__ import annotations

import pytest
from benchmarks.rows import BARE, GOALS, OTHER, OURS, Comparison, Row

ROW = Row("a call", "ms", "ratio", 0.6, 0.2, 0.1)


def test_a_ratio_is_taken_within_each_round_and_then_the_middle_one() -> None:
    rounds = [{OURS: {"a call": ours}, OTHER: {"a call": other}} for ours, other in ((1, 2), (9, 10), (2, 8))]
    found = Comparison.of(ROW, rounds)
    assert found
    assert (found.ratio, found.spread) == (0.5, (0.25, 0.9))
    assert found.medians == {OURS: 2, OTHER: 8}


@pytest.mark.parametrize(
    ("ours", "verdict"), [(0.05, "stretch"), (0.2, "goal"), (0.6, "passes"), (0.7, "REFUSED")]
)
def test_a_verdict_names_the_best_that_was_reached(ours: float, verdict: str) -> None:
    found = Comparison.of(ROW, [{OURS: {"a call": ours}, OTHER: {"a call": 1.0}}])
    assert found
    assert found.verdict == verdict


def test_without_another_server_there_is_no_ratio_and_no_verdict() -> None:
    found = Comparison.of(ROW, [{OURS: {"a call": 3.0}, BARE: {"another": 1.0}}])
    assert found
    assert (found.ratio, found.spread, found.verdict) == (None, None, "")
    assert found.as_json()["medians"] == {OURS: 3.0}


def test_a_row_that_nobody_measured_is_left_out() -> None:
    assert Comparison.of(ROW, [{OURS: {"another": 1.0}}]) is None


def test_what_is_refused_is_worse_than_the_goal_and_that_than_the_stretch() -> None:
    for row in GOALS:
        limits = [limit for limit in (row.stretch, row.goal, row.refuse) if limit is not None]
        assert limits == sorted(limits)
