"""What the models can do: the size rules against brute force, the table against the published facts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.capabilities import (
    DEFAULT_MODEL,
    MODELS,
    RETIRED,
    FixedSizes,
    FlexibleSizes,
    Model,
    Size,
    facts_of,
    find_model,
    models_with,
    replacement,
    sheet,
    shutdown_date,
)

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


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_model_is_found_by_its_id_and_by_its_snapshots(model: Model) -> None:
    assert all(find_model(name) is model for name in (model.id, *model.snapshots))


def test_the_table_has_every_published_model_and_snapshot() -> None:
    assert {name for model in MODELS for name in (model.id, *model.snapshots)} == {
        "gpt-image-2",
        "gpt-image-2-2026-04-21",
        "gpt-image-2.5-flare",
        "gpt-image-2.5-flare-2026-09-08",
        "gpt-image-2.5-sunburst",
        "gpt-image-2.5-sunburst-2026-09-08",
        "gpt-image-2.6-flare",
        "gpt-image-2.6-sunburst",
        "gpt-image-1.5",
        "gpt-image-1.5-2025-12-16",
        "chatgpt-image-latest",
        "gpt-image-1-mini",
    }
    assert find_model("gpt-image-3") is None


PRICES = """
gpt-image-2.6-sunburst 5.00 1.25 8.00 2.00 30.00 0
gpt-image-2.6-flare    5.00 1.25 8.00 2.00 30.00 0
gpt-image-2.5-sunburst 5.00 1.25 8.00 2.00 30.00 0
gpt-image-2.5-flare    5.00 1.25 8.00 2.00 30.00 0
gpt-image-2            5.00 1.25 8.00 2.00 30.00 0
gpt-image-1.5          5.00 1.25 8.00 2.00 32.00 10.00
chatgpt-image-latest   5.00 1.25 8.00 2.00 32.00 10.00
gpt-image-1-mini       2.00 0.20 2.50 0.25 8.00 0
"""


@pytest.mark.parametrize("row", PRICES.strip().splitlines())
def test_prices_are_the_published_ones(row: str) -> None:
    """OpenAI's model pages, read 2026-11-22: text in, cached, image in, cached, image out, text out."""
    id_, *figures = row.split()
    model = find_model(id_)

    assert model is not None
    p = model.prices
    ours = [p.text_in, p.text_cached, p.image_in, p.image_cached, p.image_out, p.text_out]
    assert ours == list(map(Decimal, figures))


def test_only_the_newer_models_have_the_two_higher_qualities() -> None:
    with_max = {model.id for model in MODELS if "max" in model.qualities and "xhigh" in model.qualities}

    assert with_max == {
        "gpt-image-2.5-flare",
        "gpt-image-2.5-sunburst",
        "gpt-image-2.6-flare",
        "gpt-image-2.6-sunburst",
    }


@pytest.mark.parametrize(
    ("id_", "gone"),
    [
        ("gpt-image-1.5", date(2026, 12, 1)),
        ("gpt-image-1.5-2025-12-16", date(2026, 12, 1)),
        ("chatgpt-image-latest", date(2026, 12, 1)),
        ("gpt-image-1-mini", date(2026, 12, 1)),
        ("gpt-image-1", date(2026, 10, 23)),
        ("dall-e-2", date(2026, 5, 12)),
        ("dall-e-3", date(2026, 5, 12)),
        ("gpt-image-2", None),
        ("gpt-image-2.6-flare", None),
        ("somebody-elses-model", None),
    ],
)
def test_the_end_of_a_model_is_known(id_: str, gone: date | None) -> None:
    assert shutdown_date(id_) == gone


def test_the_default_and_every_replacement_have_no_announced_end() -> None:
    assert shutdown_date(DEFAULT_MODEL) is None
    named = {replacement(id_) for id_ in (*RETIRED, *(model.id for model in MODELS))}
    assert named == {DEFAULT_MODEL, "gpt-image-2.6-flare"}
    assert {shutdown_date(id_) for id_ in named} == {None}
    assert not set(RETIRED) & {model.id for model in MODELS}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_every_fact_of_a_model_has_a_source(model: Model) -> None:
    for name in facts_of(model):
        source = model.source_of(name)
        assert source.where
        assert date(2026, 1, 1) < source.read <= date(2026, 11, 27)
        assert source.confidence in ("documented", "reported", "unknown")


def test_what_nobody_knows_of_2_6_is_marked_so() -> None:
    model = find_model("gpt-image-2.6-sunburst")

    assert model is not None
    assert model.source_of("tokens").confidence == "reported"
    assert model.source_of("input_tokens").confidence == "unknown"
    assert model.source_of("prices").confidence == "documented"


def test_models_are_named_that_can_and_are_served() -> None:
    today, later = date(2026, 11, 27), date(2026, 12, 1)

    def faithful(model: Model) -> bool:
        return "high" in model.input_fidelity

    assert models_with(faithful, today) == ("gpt-image-1.5",)
    assert models_with(faithful, later) == ()


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
