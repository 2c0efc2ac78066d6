"""The table of models against the published facts."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from gpt_image_2_mcp.capabilities import (
    DEFAULT_MODEL,
    MODELS,
    RETIRED,
    Model,
    facts_of,
    find_model,
    models_with,
    replacement,
    shutdown_date,
)


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
