"""The band's text: cut, wrapped, and without characters the font lacks."""

import pytest
from PIL import Image, ImageFont

from gpt_image_2_mcp.sandbox.label import UNDRAWABLE, band_box, draw_band, drawable, type_at, wrapped

FACE = type_at(20)


def test_text_the_font_has_is_kept_on_one_line() -> None:
    assert drawable("a  fox\nin spring", FACE) == "a fox in spring"


def test_accents_and_typographic_marks_the_font_lacks_become_plain() -> None:
    assert drawable("\u00e9t\u00e9 \u2014 2 \u00d7 2", FACE) == "ete - 2 x 2"


def test_a_run_of_characters_the_font_lacks_becomes_one_ellipsis() -> None:
    assert drawable("fox \u65e5\u672c \u8a9e end", FACE) == "fox \N{HORIZONTAL ELLIPSIS} end"


@pytest.mark.parametrize("text", ["", "   ", "\u65e5\u672c\u8a9e", "\N{FOX FACE}"])
def test_a_prompt_with_nothing_drawable_is_said_to_be_so(text: str) -> None:
    assert drawable(text, FACE) == UNDRAWABLE


def test_lines_are_no_wider_than_they_may_be() -> None:
    font = ImageFont.load_default(20)
    lines = wrapped("one two three four five six seven eight nine ten eleven", font, 150, 2)
    assert len(lines) == 2
    assert lines[1].endswith("...")
    assert all(font.getlength(line) <= 150 for line in lines)


def test_a_word_wider_than_the_line_is_cut() -> None:
    font = ImageFont.load_default(20)
    (line,) = wrapped("w" * 300, font, 120, 2)
    assert line.endswith("...")
    assert font.getlength(line) <= 120


def test_a_band_depends_on_its_box_and_covers_an_older_one() -> None:
    one, other = Image.new("RGB", (400, 300), "white"), Image.new("RGB", (400, 300), "white")
    draw_band(one, "short", (0, 0, 400, 300))
    draw_band(other, "word " * 200, (0, 0, 400, 300))
    tops = [
        next(y for y in range(300) if picture.getpixel((1, y)) != (255, 255, 255)) for picture in (one, other)
    ]
    assert tops[0] == tops[1]


def test_a_box_too_small_to_read_gets_no_band() -> None:
    picture = Image.new("RGB", (400, 300), "white")
    draw_band(picture, "text", (0, 0, 100, 300))
    assert picture.getcolors() == [(400 * 300, (255, 255, 255))]


def test_the_band_lies_at_the_foot_of_a_rectangular_mask() -> None:
    mask = Image.new("L", (400, 300))
    mask.paste(255, (40, 60, 360, 260))
    found = band_box(mask)
    assert found is not None
    assert found[:3] == (40, 60, 360)
    assert abs(found[3] - 260) <= 4


def test_the_band_keeps_to_the_wide_part_of_a_mask() -> None:
    mask = Image.new("L", (400, 400))
    mask.paste(255, (0, 0, 400, 200))
    mask.paste(255, (180, 200, 220, 400))
    found = band_box(mask)
    assert found is not None
    assert found[0] == 0
    assert found[2] == 400
    assert found[3] <= 208


def test_a_mask_with_holes_everywhere_leaves_no_room_for_a_band() -> None:
    mask = Image.effect_noise((64, 64), 200).point(lambda value: 255 if value > 128 else 0)
    found = band_box(mask)
    assert found is not None
    assert found[2] - found[0] < 20


def test_an_empty_mask_has_no_place_for_a_band() -> None:
    assert band_box(Image.new("L", (64, 64))) is None
