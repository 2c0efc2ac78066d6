"""Options and masks checked against the model before anything is sent."""

from __future__ import annotations

from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.capabilities import (
    MAX_MASK_BYTES,
    MODELS,
    PIXEL_FORMATS,
    Model,
    Quality,
)
from gpt_image_2_mcp.checks import check_mask, check_options
from gpt_image_2_mcp.errors import InputError, InvalidRequest
from gpt_image_2_mcp.models import InputImage
from gpt_image_2_mcp.requests import RenderOptions, parse_arguments
from gpt_image_2_mcp.sizes import Size
from tests.support.pictures import mask as mask_bytes
from tests.support.pictures import picture

TODAY = date(2026, 11, 22)
END_OF_1 = date(2026, 12, 1)


def options(model: str = "gpt-image-2", **set_: object) -> RenderOptions:
    return parse_arguments(RenderOptions, {"model": model, **set_})


def refusal(chosen: RenderOptions, today: date = TODAY) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check_options(chosen, today)
    return caught.value


def image(data: bytes, size: Size, mime_type: str = "image/png", *, has_alpha: bool = False) -> InputImage:
    return InputImage(data, "image.png", mime_type, size, has_alpha, mark="")


def test_an_illegal_size_is_refused_with_the_rule_and_the_nearest_size() -> None:
    error = refusal(options(size="1920x1080"))

    assert error.message == (
        "`size` 1920x1080 is not legal for gpt-image-2: both edges must be multiples of 16."
    )
    assert error.hint == "The nearest legal size is 1920x1088; nothing was sent."


def test_a_fixed_model_names_the_sizes_it_makes() -> None:
    error = refusal(options("gpt-image-1.5", size="2048x2048"))

    assert "this model makes only 1024x1024, 1536x1024, 1024x1536" in error.message
    assert "The nearest legal size is 1" in error.hint


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.builds(Size, st.integers(1, 5000), st.integers(1, 5000)),
)
def test_every_size_that_is_offered_instead_passes(model: Model, size: Size) -> None:
    chosen = options(model.id, size=str(size))
    if model.sizes.violation(size) is None:
        check_options(chosen, TODAY)
        return
    offered = refusal(chosen).hint.removeprefix("The nearest legal size is ").split(";")[0]

    check_options(options(model.id, size=offered), TODAY)


@pytest.mark.parametrize("size", ["auto", None, "1024x1024", "1536x1024", "1024x1536"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_the_presets_and_auto_pass_on_every_model(model: Model, size: str | None) -> None:
    check_options(options(model.id, size=size), TODAY)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_model_gets_exactly_its_own_qualities(model: Model) -> None:
    for quality in get_args(Quality):
        chosen = options(model.id, quality=quality)
        if quality in ("xhigh", "max") and not model.id.startswith(("gpt-image-2.5", "gpt-image-2.6")):
            assert refusal(chosen).message == (
                f"`quality` {quality} is not offered by {model.id}, only low, medium, high, auto."
            )
        else:
            check_options(chosen, TODAY)


@pytest.mark.parametrize(
    ("model", "gone"),
    [("dall-e-2", "2026-05-12"), ("dall-e-3", "2026-05-12"), ("gpt-image-1", "2026-10-23")],
)
def test_a_retired_model_is_refused_with_its_date_and_a_replacement(model: str, gone: str) -> None:
    error = refusal(options(model))

    assert error.message == f"OpenAI shut {model} down on {gone}."
    assert "gpt-image-2" in error.hint


@pytest.mark.parametrize(
    "model", ["gpt-image-1.5", "gpt-image-1.5-2025-12-16", "chatgpt-image-latest", "gpt-image-1-mini"]
)
def test_an_announced_end_counts_from_its_day(model: str) -> None:
    check_options(options(model), END_OF_1 - timedelta(days=1))

    for day in (END_OF_1, END_OF_1 + timedelta(days=400)):
        assert "2026-12-01" in refusal(options(model), day).message


def test_the_default_model_outlives_any_day() -> None:
    check_options(options(), date(2099, 1, 1))


def test_an_unknown_model_is_left_to_the_api() -> None:
    check_options(options("gpt-image-3", size="5000x5000", quality="max"), TODAY)


def test_transparency_cannot_be_saved_as_jpeg_on_any_model() -> None:
    for model in ("gpt-image-2", "gpt-image-3"):
        error = refusal(options(model, background="transparent", output_format="jpeg"))
        assert error.message == "`background` transparent cannot be saved as jpeg."


@pytest.mark.parametrize("format_", [None, "png", "webp"])
def test_transparency_passes_with_png_and_webp(format_: str | None) -> None:
    check_options(options(background="transparent", output_format=format_), TODAY)


@pytest.mark.parametrize("background", [None, "auto", "opaque"])
@pytest.mark.parametrize("format_", PIXEL_FORMATS)
def test_other_backgrounds_pass_with_every_format(format_: str, background: str | None) -> None:
    check_options(options(background=background, output_format=format_), TODAY)


@pytest.mark.parametrize("format_", [None, "png"])
@pytest.mark.parametrize("compression", [0, 50, 99])
def test_compression_does_not_apply_to_png(format_: str | None, compression: int) -> None:
    error = refusal(options(output_format=format_, output_compression=compression))

    assert error.message == "`output_compression` does not apply to png."
    assert "jpeg or webp" in error.hint


@pytest.mark.parametrize("format_", ["jpeg", "webp"])
def test_compression_applies_to_jpeg_and_webp(format_: str) -> None:
    check_options(options(output_format=format_, output_compression=0), TODAY)


def test_the_default_compression_may_be_said_with_png() -> None:
    check_options(options(output_format="png", output_compression=100), TODAY)


@pytest.mark.parametrize("partial_images", [1, 3])
def test_partial_pictures_come_with_one_picture_only(partial_images: int) -> None:
    error = refusal(options(partial_images=partial_images, n=3))

    assert error.message == "`partial_images` come with one picture, and `n` is 3."
    assert "nothing was sent" in error.hint


@pytest.mark.parametrize(("partial_images", "n"), [(3, 1), (3, None), (0, 3), (None, 3)])
def test_one_picture_may_have_partial_ones_and_several_may_have_none(
    partial_images: int | None, n: int | None
) -> None:
    check_options(options(partial_images=partial_images, n=n), TODAY)


def test_a_png_with_alpha_as_large_as_the_picture_is_a_mask() -> None:
    check_mask(
        image(mask_bytes(), Size(64, 48), has_alpha=True), image(picture(), Size(64, 48), "image/jpeg")
    )


@pytest.mark.parametrize(("mime_type", "has_alpha"), [("image/png", False), ("image/webp", True)])
def test_a_mask_without_alpha_or_of_another_format_is_refused(mime_type: str, has_alpha: bool) -> None:
    with pytest.raises(InputError, match=r"^The mask is not a PNG with an alpha channel") as caught:
        check_mask(image(b"", Size(64, 48), mime_type, has_alpha=has_alpha), image(picture(), Size(64, 48)))
    assert "transparent pixels mark what to change" in caught.value.hint


@pytest.mark.parametrize("size", [Size(48, 64), Size(64, 49), Size(65, 48)])
def test_a_mask_of_another_size_is_refused_with_both_sizes(size: Size) -> None:
    with pytest.raises(InputError, match=f"^The mask is {size} while the first image is 64x48"):
        check_mask(image(b"", size, has_alpha=True), image(picture(), Size(64, 48)))


def test_a_mask_must_be_smaller_than_four_megabytes() -> None:
    first = image(picture(), Size(64, 48))
    largest = mask_bytes() + bytes(MAX_MASK_BYTES - len(mask_bytes()))
    check_mask(image(largest, Size(64, 48), has_alpha=True), first)

    with pytest.raises(InputError, match=r"^The mask is not smaller than 4 MB"):
        check_mask(image(largest + b"\0", Size(64, 48), has_alpha=True), first)
    assert MAX_MASK_BYTES + 1 == 4 * 2**20


def test_a_mask_without_a_clear_pixel_would_change_nothing_and_is_refused() -> None:
    first = image(picture(), Size(64, 48))
    with pytest.raises(InputError, match=r"^The mask has not one fully transparent pixel") as caught:
        check_mask(image(picture(mode="RGBA"), Size(64, 48), has_alpha=True), first)
    assert "nothing was sent" in caught.value.hint


def test_a_mask_that_cannot_be_decoded_is_refused() -> None:
    first = image(picture(), Size(64, 48))
    with pytest.raises(InputError, match=r"^The mask cannot be decoded"):
        check_mask(image(mask_bytes()[:-40], Size(64, 48), has_alpha=True), first)
