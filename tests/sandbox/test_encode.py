"""Encoded pictures: what they say they are, and the note they carry."""

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from gpt_image_2_mcp.sandbox.encode import draw_svg, encode, encode_gif
from gpt_image_2_mcp.sandbox.label import SANDBOX_LINE
from gpt_image_2_mcp.sandbox.paint import Commission, paint, paint_frames

COMMISSION = Commission(0, "a fox", (256, 160))


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_png_says_it_comes_from_the_sandbox() -> None:
    assert _opened(encode(paint(COMMISSION), "png")).info["Comment"] == SANDBOX_LINE


def test_a_jpeg_says_it_comes_from_the_sandbox() -> None:
    opened = _opened(encode(paint(COMMISSION), "jpeg"))
    assert (opened.format, opened.info["comment"].decode()) == ("JPEG", SANDBOX_LINE)


def test_a_webp_says_it_comes_from_the_sandbox() -> None:
    opened = _opened(encode(paint(COMMISSION), "webp"))
    assert (opened.format, opened.getexif()[0x010E]) == ("WEBP", SANDBOX_LINE)


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
def test_a_lower_compression_value_gives_a_smaller_file(output_format: str) -> None:
    picture = paint(COMMISSION)
    assert len(encode(picture, output_format, 0)) < len(encode(picture, output_format, 100))


def test_a_transparent_webp_keeps_its_alpha() -> None:
    picture = paint(Commission(0, "a fox", (256, 160), transparent=True))
    assert _opened(encode(picture, "webp")).convert("RGBA").getchannel("A").getextrema() == (0, 255)


def test_a_gif_has_its_frames_durations_and_repeats_for_ever() -> None:
    opened = _opened(encode_gif(paint_frames(COMMISSION, 5), 120))
    assert opened.n_frames == 5  # type: ignore[attr-defined]
    assert (opened.info["duration"], opened.info["loop"]) == (120, 0)


@pytest.mark.parametrize("prompt", ["a fox", "<b> & \x00 \ud800 \u65e5"])
def test_an_svg_is_a_well_formed_document_of_the_size(prompt: str) -> None:
    root = ElementTree.fromstring(draw_svg(Commission(0, prompt, (512, 512))))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.get("width"), root.get("height")) == ("512", "512")
    assert SANDBOX_LINE in "".join(root.itertext())
