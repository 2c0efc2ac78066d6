"""Sandbox pictures: exact, repeatable, and true to their inputs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from gpt_image_2_mcp.sandbox.encode import encode
from gpt_image_2_mcp.sandbox.paint import (
    Commission,
    Materials,
    coarse,
    nearest_fixed_size,
    paint,
    paint_edit,
    paint_frames,
)

SIZE = (320, 256)


def _commission(prompt: str = "a fox", **changes: object) -> Commission:
    return Commission(**{"seed": 0, "prompt": prompt, "size": SIZE} | changes)  # type: ignore[arg-type]


def _circle(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask


def _differs(one: Image.Image, other: Image.Image) -> bool:
    return ImageChops.difference(one, other).getbbox() is not None


def test_the_same_commission_gives_the_same_pixels() -> None:
    assert not _differs(paint(_commission()), paint(_commission()))


@pytest.mark.parametrize("change", [{"seed": 1}, {"prompt": "a hare"}, {"index": 1}])
def test_another_seed_prompt_or_number_gives_another_picture(change: dict[str, object]) -> None:
    assert _differs(paint(_commission()), paint(_commission(**change)))  # type: ignore[arg-type]


legal_edges = st.integers(16, 60).map(lambda value: value * 16)


@settings(max_examples=12, deadline=None)
@given(width=legal_edges, height=legal_edges, prompt=st.text(max_size=60))
def test_any_size_and_any_prompt_gives_a_picture_of_exactly_that_size(
    width: int, height: int, prompt: str
) -> None:
    picture = paint(_commission(prompt, size=(width, height)))
    assert picture.size == (width, height)
    assert picture.mode == "RGB"


def test_a_transparent_picture_has_corners_one_can_see_through_and_an_opaque_middle() -> None:
    alpha = paint(_commission(transparent=True)).getchannel("A")
    assert alpha.getpixel((0, 0)) == 0
    assert alpha.getpixel((160, 128)) == 255


@pytest.mark.parametrize(
    "prompt",
    ["", "\u65e5\u672c\u8a9e\u3067", "\N{FOX FACE}\u200d", "\ud800", "a\x00\nb", "w" * 32_000, "word " * 900],
)
def test_prompts_the_font_cannot_draw_do_no_harm(prompt: str) -> None:
    assert paint(_commission(prompt)).size == SIZE


def test_an_edit_changes_its_input_and_is_repeatable() -> None:
    source = paint(_commission())
    edited = paint_edit(_commission("make it dusk"), Materials((source,)))
    assert _differs(source, edited)
    assert not _differs(edited, paint_edit(_commission("make it dusk"), Materials((source,))))
    assert _differs(edited, paint_edit(_commission("make it dawn"), Materials((source,))))


def test_an_edit_keeps_the_shapes_of_its_input() -> None:
    source = Image.new("RGB", SIZE, (20, 20, 20))
    source.paste((240, 240, 240), (160, 60, 320, 180))
    edited = paint_edit(_commission("warmer"), Materials((source,))).convert("L")
    left = edited.crop((10, 140, 150, 180)).resize((1, 1)).getpixel((0, 0))
    right = edited.crop((170, 140, 310, 180)).resize((1, 1)).getpixel((0, 0))
    assert isinstance(left, int)
    assert isinstance(right, int)
    assert right > left + 60


def test_further_inputs_are_seen_in_the_edit() -> None:
    source, other = paint(_commission()), Image.new("RGBA", (40, 90), (255, 0, 255, 255))
    edited = paint_edit(_commission("with a hat"), Materials((source, other, other)))
    colours = edited.getcolors(SIZE[0] * SIZE[1])
    assert colours is not None
    assert (255, 0, 255) in {colour for _, colour in colours}


def test_sixteen_inputs_fit() -> None:
    source = paint(_commission())
    assert paint_edit(_commission(), Materials((source,) * 16)).size == SIZE


def test_a_masked_edit_leaves_every_pixel_outside_the_mask_as_it_was() -> None:
    source = paint(_commission())
    mask = _circle(SIZE, (60, 40, 260, 220))
    edited = paint_edit(_commission("a portal"), Materials((source, source), mask))
    black = Image.new("RGB", SIZE)
    outside = ImageChops.invert(mask)
    assert not _differs(Image.composite(source, black, outside), Image.composite(edited, black, outside))
    assert _differs(Image.composite(source, black, mask), Image.composite(edited, black, mask))


def test_a_masked_edit_of_another_size_changes_the_scaled_area_only() -> None:
    source = Image.new("RGB", (64, 64), (10, 120, 200))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    edited = paint_edit(_commission(size=(256, 256)), Materials((source,), mask))
    assert edited.crop((128, 0, 256, 256)).getcolors() == [(128 * 256, (10, 120, 200))]
    assert edited.getpixel((20, 20)) != (10, 120, 200)


def test_an_empty_mask_changes_nothing_and_a_tiny_one_carries_no_band() -> None:
    source = paint(_commission())
    nothing = paint_edit(_commission(), Materials((source,), Image.new("L", SIZE)))
    assert not _differs(source, nothing)
    dot = _circle(SIZE, (100, 100, 108, 108))
    assert _differs(source, paint_edit(_commission(), Materials((source, source), dot)))


def test_markup_is_laid_over_the_picture() -> None:
    source = paint(_commission())
    markup = Image.new("RGBA", SIZE)
    markup.paste((255, 0, 0, 255), (100, 40, 140, 80))
    edited = paint_edit(_commission(), Materials((source,), markup=markup))
    assert edited.getpixel((120, 60)) == (255, 0, 0)


def test_a_transparent_input_is_laid_on_white_unless_transparency_is_wanted() -> None:
    clear = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    mask = _circle(SIZE, (0, 0, 20, 20))
    assert paint_edit(_commission(), Materials((clear,), mask)).getpixel((200, 20)) == (255, 255, 255)
    kept = paint_edit(_commission(transparent=True), Materials((clear,)))
    assert kept.getchannel("A").getextrema() == (0, 0)


def test_frames_of_a_film_differ() -> None:
    first, second, third = paint_frames(_commission(), 3)
    assert _differs(first, second)
    assert _differs(second, third)
    edited = paint_frames(_commission(), 2, Materials((first,)))
    assert _differs(*edited)


def test_an_unfinished_picture_comes_closer_step_by_step() -> None:
    picture = paint(_commission())
    sizes = [len(encode(coarse(picture, step, 3), "png")) for step in range(3)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("given_size", "chosen"),
    [
        ((800, 800), (1024, 1024)),
        ((1920, 1080), (1536, 1024)),
        ((1080, 1920), (1024, 1536)),
        ((1100, 1000), (1024, 1024)),
    ],
)
def test_auto_takes_the_standard_size_of_the_closest_shape(
    given_size: tuple[int, int], chosen: tuple[int, int]
) -> None:
    assert nearest_fixed_size(given_size) == chosen
