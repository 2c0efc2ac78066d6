from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from gpt_image_2_mcp import pictures
from gpt_image_2_mcp.capabilities import Size
from gpt_image_2_mcp.errors import UndecodablePicture
from gpt_image_2_mcp.pictures import Preview, has_clear_pixels, preview
from tests.support.pictures import mask, noise, opened, picture


def made(source: Path | bytes, budget: int = 100_000, **options: Any) -> Preview:
    found = preview(source, budget, **options)
    assert found is not None
    return found


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


# Previews


@pytest.mark.parametrize(("webp", "format_"), [(True, "WEBP"), (False, "JPEG")])
def test_a_preview_is_as_large_as_the_picture_where_that_fits(webp: bool, format_: str) -> None:
    found = made(picture(640, 400), webp=webp)
    image = opened(found.data)
    assert (image.format, image.size, found.size) == (format_, (640, 400), Size(640, 400))
    assert found.mime_type == f"image/{format_.lower()}"


@pytest.mark.parametrize("webp", [True, False])
@pytest.mark.parametrize("budget", [4_000, 40_000, 400_000])
def test_a_preview_uses_most_of_its_budget_and_never_exceeds_it(webp: bool, budget: int) -> None:
    found = made(noise(1200, 800), budget, webp=webp)
    assert 0.7 * budget <= len(found.data) <= budget
    assert opened(found.data).size == (found.size.width, found.size.height)
    assert found.size.width / found.size.height == pytest.approx(1.5, rel=0.02)


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    budget=st.integers(500, 20_000),
    webp=st.booleans(),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
)
@settings(max_examples=150, deadline=None)
def test_pictures_of_any_shape_and_mode_stay_within_any_budget(
    width: int, height: int, budget: int, webp: bool, mode: str
) -> None:
    drawn = Image.effect_noise((width, height), 80)
    drawn = drawn.convert("I").convert("I;16") if mode == "I;16" else drawn.convert(mode)
    found = preview(encoded(drawn, "PNG"), budget, webp=webp)
    if found is not None:
        assert len(found.data) <= budget
        assert opened(found.data).size == (found.size.width, found.size.height)
        assert found.size.width <= width
        assert found.size.height <= height


def test_where_not_even_a_stamp_fits_there_is_no_preview() -> None:
    assert preview(picture(640, 400), 20) is None


def test_the_longest_edge_is_kept_within_bounds() -> None:
    assert made(picture(1000, 500), max_edge=400).size == Size(400, 200)
    assert made(picture(2, 1000), max_edge=100).size == Size(1, 100)
    assert made(picture(300, 200), max_edge=400).size == Size(300, 200)


def half_clear() -> Image.Image:
    image = Image.new("RGBA", (200, 100), (200, 30, 30, 255))
    image.paste((0, 0, 0, 0), (0, 0, 100, 100))
    return image


def test_webp_keeps_transparency() -> None:
    image = opened(made(encoded(half_clear(), "PNG")).data)
    assert image.mode == "RGBA"
    assert image.getpixel((50, 50)) == (0, 0, 0, 0)
    red, _, _, alpha = image.getpixel((150, 50))  # type: ignore[misc]
    assert red > 180
    assert alpha == 255


def test_jpeg_shows_transparency_as_chequers() -> None:
    image = opened(made(encoded(half_clear(), "PNG"), webp=False).data)
    clear = {image.getpixel((x, y))[0] // 40 for x in range(4, 90, 8) for y in range(4, 90, 8)}  # type: ignore[index]
    assert clear == {5, 6}
    red, green, _ = image.getpixel((150, 50))  # type: ignore[misc]
    assert red > 180
    assert green < 60


def test_a_palette_with_a_transparent_colour_counts_as_transparency() -> None:
    drawn = half_clear().quantize(8)
    assert drawn.mode == "P"
    assert opened(made(encoded(drawn, "PNG")).data).mode == "RGBA"


def test_sixteen_bits_of_grey_are_not_clipped_to_white() -> None:
    ramp = Image.frombytes("I;16", (256, 8), b"".join(struct.pack("<H", x * 256) for x in range(256)) * 8)
    image = opened(made(encoded(ramp, "PNG")).data).convert("L")
    assert [int(image.getpixel((x, 4))) // 16 for x in (8, 136, 248)] == [0, 8, 15]  # type: ignore[arg-type]


def test_a_jpeg_of_inks_becomes_light() -> None:
    image = opened(made(encoded(Image.new("CMYK", (64, 64), (0, 0, 0, 0)), "JPEG")).data)
    assert image.getpixel((9, 9)) == (255, 255, 255)


def test_of_an_animation_the_first_frame_is_shown() -> None:
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    for format_ in ("GIF", "WEBP", "PNG"):
        moving = encoded(frames[0], format_, save_all=True, append_images=frames[1:], duration=50)
        red, _, blue = opened(made(moving).data).convert("RGB").getpixel((9, 9))  # type: ignore[misc]
        assert red > 200 > blue


def test_a_photograph_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert made(encoded(Image.new("RGB", (400, 300)), "JPEG", exif=exif)).size == Size(300, 400)


def test_a_preview_carries_no_notes_of_the_camera() -> None:
    exif = Image.Exif()
    exif[0x010F] = "SECRET-MAKER"
    data = encoded(Image.new("RGB", (400, 300)), "JPEG", exif=exif, comment=b"SECRET-MAKER")
    for webp in (True, False):
        assert b"SECRET" not in made(data, webp=webp).data


def test_a_small_colour_profile_goes_along_and_a_large_one_does_not() -> None:
    image = Image.new("RGB", (64, 64))
    for size, kept in ((500, True), (5000, False)):
        data = encoded(image, "PNG", icc_profile=b"p" * size)
        assert (opened(made(data).data).info.get("icc_profile") is not None) == kept


def test_a_file_is_read_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(640, 400))
    assert made(tmp_path / "a.png").size == Size(640, 400)
    with pytest.raises(UndecodablePicture, match="No such file"):
        preview(tmp_path / "b.png", 1000)


# What is not decoded


@pytest.mark.parametrize(
    "data", [b"", b"<svg/>", b"%PDF-1.7", picture(format_="BMP"), b"\x89PNG\r\n\x1a\nroot:x:0:0"]
)
def test_what_is_no_picture_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(UndecodablePicture, match="no PNG, JPEG, WebP or GIF"):
        preview(data, 10_000)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_a_torn_picture_is_refused(format_: Any) -> None:
    data = noise(300, 200, format_)
    with pytest.raises(UndecodablePicture, match=r"cannot be decoded \(it is damaged\)"):
        preview(data[: len(data) // 2], 10_000)


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size: Size, *chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", size.width, size.height, 8, 2, 0, 0, 0))
    rows = (b"\0" + bytes(3 * size.width)) * size.height if size.pixels < 1000 else b"\0" * 1000
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + body + chunk(b"IEND")


TINY = Size(8, 8)


def test_the_pictures_that_the_bombs_are_made_from_are_sound() -> None:
    assert made(png(TINY)).size == TINY


@pytest.mark.parametrize(
    "bomb",
    [
        png(Size(16_000, 11_000)),
        encoded(Image.new("1", (9000, 9000)), "PNG"),
        png(TINY, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(8_000_000), 0))),
        png(TINY, *[chunk(b"tEXt", b"a\0" + bytes(500_000))] * 10),
        png(TINY, *[chunk(b"prVt")] * 150_000),
    ],
    ids=["pixels", "pixels of one bit", "inflating text", "much text", "many chunks"],
)
def test_a_bomb_is_refused_before_it_is_decoded(bomb: bytes) -> None:
    preview(picture(), 10_000)  # loads Pillow
    tracemalloc.start()
    try:
        with pytest.raises(UndecodablePicture, match=r"too many pixels|more text or chunks"):
            preview(bomb, 10_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_number_of_pixels_is_the_callers_to_bound() -> None:
    with pytest.raises(UndecodablePicture, match=r"too many pixels to decode \(64x48\)"):
        preview(picture(), 10_000, max_pixels=64 * 48 - 1)
    assert made(picture(), max_pixels=64 * 48).size == Size(64, 48)


@given(
    format_=st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.floats(0.1, 1),
)
@settings(max_examples=400, deadline=None)
def test_damaged_bytes_give_a_preview_or_the_one_error(
    format_: Any, changes: list[tuple[float, int]], cut: float
) -> None:
    data = bytearray(picture(40, 30, format_))
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    with suppress(UndecodablePicture):
        found = preview(bytes(data[: int(len(data) * cut)]), 10_000)
        assert found is None or len(found.data) <= 10_000


# Masks


def test_a_mask_with_a_clear_pixel_is_told_from_one_without() -> None:
    assert has_clear_pixels(mask())
    assert not has_clear_pixels(encoded(Image.new("RGBA", (64, 48), (0, 0, 0, 255)), "PNG"))
    assert not has_clear_pixels(encoded(Image.new("RGBA", (64, 48), (0, 0, 0, 1)), "PNG"))
    one = Image.new("RGBA", (64, 48), (9, 9, 9, 255))
    one.putpixel((63, 47), (0, 0, 0, 0))
    assert has_clear_pixels(encoded(one, "PNG"))


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_masks_in_grey_and_with_a_palette_are_understood(mode: str) -> None:
    clear = opened(mask()).convert("LA") if mode == "LA" else opened(mask()).quantize(4)
    assert has_clear_pixels(encoded(clear, "PNG"))


def test_a_picture_without_transparency_lets_nothing_through() -> None:
    assert not has_clear_pixels(picture())


def test_a_mask_that_cannot_be_decoded_is_an_error() -> None:
    with pytest.raises(UndecodablePicture):
        has_clear_pixels(os.urandom(100))


def test_what_can_only_be_decoded_whole_has_a_lower_bound_than_a_photograph() -> None:
    buffer = BytesIO()
    Image.new("1", (8000, 4200)).save(buffer, "PNG")
    with pytest.raises(UndecodablePicture, match=r"too many pixels to decode \(8000x4200\)"):
        preview(buffer.getvalue(), 100_000)


@pytest.mark.parametrize("webp", [True, False])
def test_a_picture_that_needs_little_of_its_budget_is_encoded_finely(
    webp: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sky = opened(noise(40, 30)).resize((800, 600), Image.Resampling.BICUBIC).convert("RGB")
    buffer = BytesIO()
    sky.save(buffer, "PNG")

    def off_by(budget: int) -> float:
        made = preview(buffer.getvalue(), budget, webp=webp)
        assert made is not None
        assert made.size == Size(800, 600)
        assert len(made.data) <= budget
        return sum(ImageStat.Stat(ImageChops.difference(sky, opened(made.data).convert("RGB"))).rms)

    fine = off_by(500_000)
    monkeypatch.setattr(pictures, "_DEARER", 1_000_000)
    assert fine < 0.8 * off_by(500_000)
