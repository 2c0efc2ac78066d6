"""Cheaper settings: they fit, they pass the checks, and they are the nearest there are."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import Any, get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.alternatives import MOST, advice, alternatives
from gpt_image_2_mcp.capabilities import MODELS, Quality
from gpt_image_2_mcp.checks import check_options
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.models import ImageJob
from gpt_image_2_mcp.pricing import upper_bound
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.sizes import SIZE_PRESETS

TODAY = date(2026, 11, 27)
SIZES = (*SIZE_PRESETS, "auto", "3840x2160", "1024x640")


def job(**options: Any) -> ImageJob:
    return ImageJob("generate", "a fox", RenderOptions(**{"model": "gpt-image-2", **options}))


def offered(room: int, **options: Any) -> list[dict[str, Any]]:
    return [dict(found.changes) for found in alternatives(job(**options), room, TODAY)]


@st.composite
def jobs(draw: st.DrawFn) -> ImageJob:
    options = {
        "model": draw(st.sampled_from([model.id for model in MODELS])),
        "quality": draw(st.none() | st.sampled_from(get_args(Quality))),
        "size": draw(st.none() | st.sampled_from(SIZES)),
        "n": draw(st.none() | st.integers(1, 10)),
        "partial_images": draw(st.none() | st.integers(0, 3)),
        "output_format": draw(st.sampled_from(["png", "gif", "svg"])),
    }
    if options["output_format"] == "gif":
        options["frame_count"] = draw(st.none() | st.integers(2, 16))
    made = job(**options)
    try:
        check_options(made.options, TODAY)
    except InvalidRequest:
        assume(False)
    return made


@settings(deadline=None)
@given(asked=jobs(), room=st.integers(0, 3_000_000))
def test_what_is_offered_fits_costs_what_is_said_and_passes_the_checks(asked: ImageJob, room: int) -> None:
    found = alternatives(asked, room, TODAY)
    assert len(found) <= MOST
    for each in found:
        options = asked.options.model_copy(update=dict(each.changes))
        check_options(options, TODAY)
        assert each.price == upper_bound(ImageJob("generate", "a fox", options))
        assert each.price <= room
        assert each.price < (upper_bound(asked) or 0)
    keys = [set(each.changes) for each in found]
    assert not any(one < other for one in keys for other in keys)


@settings(deadline=None)
@given(asked=jobs(), room=st.integers(0, 3_000_000))
def test_nothing_is_offered_only_where_the_cheapest_settings_do_not_fit(asked: ImageJob, room: int) -> None:
    assume((upper_bound(asked) or 0) > room)
    if alternatives(asked, room, TODAY):
        return
    for size in (asked.options.size, *SIZE_PRESETS):
        cheapest = {"quality": "low", "n": 1, "partial_images": 0, "size": size}
        options = asked.options.model_copy(update=cheapest)
        with suppress(InvalidRequest):  # a GIF's frames may not be that large
            check_options(options, TODAY)
            assert (upper_bound(ImageJob("generate", "a fox", options)) or 0) > room


def test_the_nearest_quality_that_fits_is_offered() -> None:
    assert offered(100_000, quality="high", size="1024x1024") == [{"quality": "medium"}]
    assert offered(50_000, quality="high", size="1024x1024") == [{"quality": "low"}]
    assert offered(150_000, quality="max", size="1024x1024", model="gpt-image-2.5-flare") == [
        {"quality": "xhigh"}
    ]


def test_a_larger_size_is_offered_where_nothing_else_is_cheaper() -> None:
    assert offered(6_000, quality="low", size="1024x1024") == [{"size": "1536x1024"}]
    assert offered(200_000, quality="high", size="1024x1024") == [{"quality": "medium"}]


def test_fewer_pictures_are_offered_as_many_as_fit() -> None:
    assert {"n": 3} in offered(170_000, quality="medium", size="1024x1024", n=10)


def test_pictures_in_the_making_are_left_out_where_that_is_enough() -> None:
    assert offered(10_000, quality="low", size="1024x1024", partial_images=3) == [{"partial_images": 0}]


def test_a_film_is_offered_with_fewer_frames() -> None:
    film: dict[str, Any] = {"model": "gpt-image-2.6-flare", "output_format": "gif", "size": "512x512"}
    most = upper_bound(job(**film, frame_count=16, quality="low"))
    assert most is not None
    assert offered(most - 1, **film, frame_count=16, quality="low") == [{"frame_count": 9}]
    assert offered(1000, **film, frame_count=8, quality="low") == []


def test_two_options_are_changed_where_one_is_not_enough() -> None:
    assert offered(7_000, quality="high", size="3840x2160") == [{"quality": "low", "size": "1024x1024"}]


def test_a_model_with_few_sizes_is_offered_those() -> None:
    assert {"size": "1024x1024"} in offered(140_000, model="gpt-image-1.5", size="1536x1024", quality="high")


def test_the_advice_says_what_to_set_and_what_it_costs_then() -> None:
    assert advice(job(quality="high", size="1024x1024"), 100_000, TODAY) == (
        "Call again with quality=medium (at most $0.052865)"
    )
    two = advice(job(quality="high", n=4), 300_000, TODAY)
    assert " or size=1024x1024 and n=1 (at most $0.2" in two


def test_the_advice_says_so_where_nothing_fits() -> None:
    assert advice(job(), 100, TODAY).startswith("No setting of this call fits")


@pytest.mark.parametrize("today", [TODAY, date(2026, 12, 1)])
def test_without_a_price_the_models_that_have_one_and_still_live_are_named(today: date) -> None:
    said = advice(job(model="some-new-model", quality="xhigh"), None, today)
    assert said.startswith("Name a model whose price is known (gpt-image-2.5-flare, ")
    assert ("gpt-image-1.5" in advice(job(model="some-new-model"), None, today)) is (today == TODAY)


def test_where_no_model_has_a_price_none_is_named() -> None:
    elsewhere = replace(job(), openai_prices=False)
    assert advice(elsewhere, None, TODAY) == "Do without it"
