"""Size rules against brute force, and against what third parties met."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.sizes import FixedSizes, FlexibleSizes, Size, sheet

FLEXIBLE = FlexibleSizes()
FIXED = FixedSizes((Size(1024, 1024), Size(1536, 1024), Size(1024, 1536)))
edges = st.integers(1, 10_000)
grid_edges = st.integers(1, 260).map(lambda n: n * 16)


def legal_by_the_published_rule(size: Size) -> bool:
    """OpenAI's guide, in its own words and not in ours."""
    width, height = size.width, size.height
    return (
        width % 16 == 0
        and height % 16 == 0
        and max(width, height) <= 3840
        and max(width, height) / min(width, height) <= 3
        and 655_360 <= width * height <= 8_294_400
    )


LEGAL = [
    size
    for size in (Size(w, h) for w in range(16, 3841, 16) for h in range(16, 3841, 16))
    if legal_by_the_published_rule(size)
]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.builds(Size, edges, edges), st.builds(Size, grid_edges, grid_edges)))
@example(Size(2880, 2880))
@example(Size(3840, 2160))
@example(Size(3840, 1280))
@example(Size(1024, 640))
def test_a_size_is_refused_exactly_when_the_published_rule_refuses_it(size: Size) -> None:
    assert (FLEXIBLE.violation(size) is None) == legal_by_the_published_rule(size)


@settings(max_examples=40, deadline=None)
@given(st.builds(Size, edges, edges))
@example(Size(1, 1))
@example(Size(999_999, 1))
@example(Size(1, 999_999))
@example(Size(999_999, 999_999))
@example(Size(1032, 1032))
@example(Size(1920, 1080))
def test_the_nearest_size_is_legal_and_no_legal_one_is_nearer(size: Size) -> None:
    nearest = FLEXIBLE.nearest(size)
    best = min(size.distance(legal) for legal in LEGAL)

    assert legal_by_the_published_rule(nearest)
    assert size.distance(nearest) == best
    assert nearest.pixels == max(legal.pixels for legal in LEGAL if size.distance(legal) == best)


def test_a_legal_size_is_its_own_nearest() -> None:
    assert [s for s in LEGAL[::97] if FLEXIBLE.nearest(s) != s] == []


@pytest.mark.parametrize(
    ("size", "rule"),
    [
        ("1920x1080", "both edges must be multiples of 16"),
        ("1000x1000", "both edges must be multiples of 16"),
        ("4096x2048", "the longest edge must be at most 3840 pixels"),
        ("1024x4096", "the longest edge must be at most 3840 pixels"),
        ("3840x1264", "the ratio of the edges must be within 1:3 and 3:1"),
        ("512x2048", "the ratio of the edges must be within 1:3 and 3:1"),
        ("512x512", "width times height must be between 655,360 and 8,294,400 pixels"),
        ("3840x2880", "width times height must be between 655,360 and 8,294,400 pixels"),
    ],
)
def test_the_broken_rule_is_named(size: str, rule: str) -> None:
    parsed = Size.parse(size)

    assert parsed is not None
    assert FLEXIBLE.violation(parsed) == rule


def test_a_fixed_model_names_its_sizes_and_offers_the_nearest() -> None:
    assert FIXED.violation(Size(1536, 1024)) is None
    assert FIXED.violation(Size(1280, 720)) == "this model makes only 1024x1024, 1536x1024, 1024x1536"
    assert FIXED.nearest(Size(1920, 1080)) == Size(1536, 1024)
    assert FIXED.nearest(Size(100, 2000)) == Size(1024, 1536)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 999_999), st.integers(1, 999_999))
def test_a_size_is_read_back_from_its_text(width: int, height: int) -> None:
    assert Size.parse(str(Size(width, height))) == Size(width, height)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "auto",
        "1024",
        "1024x",
        "x1024",
        "01024x1024",
        "0x0",
        "1024X1024",
        "-1x1",
        "1e3x1",
        " 1x1",
        "1x1\n",
    ],
)
def test_other_forms_are_no_size(text: str) -> None:
    assert Size.parse(text) is None


@pytest.mark.parametrize("text", ["1\u0660\u0662\u0664x1024", "10000000x1", "1x10000000"])
def test_foreign_digits_and_endless_edges_are_no_size(text: str) -> None:
    assert Size.parse(text) is None


def test_frames_lie_on_a_sheet_that_obeys_the_rule() -> None:
    """Frame sizes that third parties met as limits (docs.apiyi.com, 2026-11-09), and one that was refused."""
    largest = {2: 960, 9: 960, 10: 816, 12: 816, 13: 720, 16: 720}
    for frames, edge in largest.items():
        rule = FLEXIBLE.of_frames(frames)
        assert rule.violation(Size(edge, edge)) is None
        assert rule.violation(Size(edge + 16, edge + 16)) is not None
    assert FLEXIBLE.of_frames(6).violation(Size(1024, 1024)) == (
        "the width must be at most 960 and the height at most 1920 pixels"
    )
    assert {sheet(n) for n in range(2, 9)} == {(4, 2)}


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 16), st.builds(Size, grid_edges, grid_edges))
def test_a_frame_is_legal_exactly_when_its_sheet_is(frames: int, size: Size) -> None:
    columns, rows = sheet(frames)
    wide, tall = size.width * columns, size.height * rows
    legal = (
        max(wide, tall) <= 3840
        and max(size.width, size.height) <= 3 * min(size.width, size.height)
        and 655_360 <= wide * tall <= 8_294_400
    )
    rule = FLEXIBLE.of_frames(frames)
    assert (rule.violation(size) is None) == legal
    assert rule.violation(rule.nearest(size)) is None
