from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFilter, ImageStat

from gpt_image_2_mcp import copies
from gpt_image_2_mcp.errors import UndecodablePicture
from gpt_image_2_mcp.pictures import (
    MAX_MEASURED_PIXELS,
    Preview,
    has_clear_pixels,
    painted_mask,
    pixels,
    preview,
    transparency,
)
from gpt_image_2_mcp.sandbox.paint import Commission, paint
from gpt_image_2_mcp.sizes import Size
from tests.support.boards import LIGHT, WHITE, Tone, board, with_subject
from tests.support.pictures import mask, noise, opened, picture


def made(source: Path | bytes, budget: int = 100_000, **options: Any) -> Preview:
    found = preview(source, budget, **options)
    assert found is not None
    return found


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


# Pixels


@pytest.mark.parametrize(
    ("width", "height", "shown"), [(640, 400, (64, 40)), (400, 640, (25, 40)), (30, 20, (30, 20))]
)
def test_pixels_are_as_many_as_fit_and_no_more_than_there_are(
    width: int, height: int, shown: tuple[int, int]
) -> None:
    found = pixels(picture(width, height, color="red"), Size(64, 40))
    assert found.size == Size(*shown)
    assert found.rgb == bytes((255, 0, 0)) * found.size.pixels


def test_what_is_transparent_is_shown_as_chequers() -> None:
    found = pixels(encoded(Image.new("RGBA", (64, 64)), "PNG"), Size(64, 64))
    assert set(found.rgb) == {0xCC, 0xFF}


def test_a_photograph_is_shown_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = pixels(encoded(Image.new("RGB", (64, 32)), "JPEG", exif=exif), Size(64, 64))
    assert found.size == Size(32, 64)


@pytest.mark.parametrize("data", [b"", b"<svg/>", noise(60, 60)[:5000]])
def test_what_cannot_be_decoded_has_no_pixels(data: bytes) -> None:
    with pytest.raises(UndecodablePicture):
        pixels(data, Size(64, 64))


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


@pytest.mark.parametrize("look", [has_clear_pixels, painted_mask])
def test_a_mask_that_cannot_be_decoded_is_an_error(look: Callable[[bytes], object]) -> None:
    with pytest.raises(UndecodablePicture):
        look(os.urandom(100))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_a_mask_is_painted_white_where_it_is_clear_and_black_where_it_is_not(mode: str) -> None:
    clear = opened(mask()).quantize(4) if mode == "P" else opened(mask()).convert(mode)
    painted = opened(painted_mask(encoded(clear, "PNG")))
    assert (painted.format, painted.mode, painted.size) == ("PNG", "L", (64, 48))
    assert [painted.getpixel(at) for at in ((0, 0), (31, 47), (32, 0), (63, 47))] == [255, 255, 0, 0]


def test_a_picture_without_transparency_is_painted_black() -> None:
    assert opened(painted_mask(picture())).getextrema() == (0, 0)


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
    monkeypatch.setattr(copies, "_DEARER", 1_000_000)
    assert fine < 0.8 * off_by(500_000)


# Transparency


def test_what_of_a_picture_is_clear_and_see_through_is_measured() -> None:
    image = Image.new("RGBA", (100, 100), (200, 30, 30, 255))
    image.paste((0, 0, 0, 0), (0, 0, 100, 40))
    image.paste((200, 30, 30, 128), (0, 40, 100, 50))
    found = transparency(encoded(image, "PNG"))
    assert (found.clear, found.see_through, found.chequered) == (0.4, 0.5, False)
    assert not found.is_opaque
    assert found.has_clear_parts


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_a_cut_out_by_the_sandbox_is_one(format_: str) -> None:
    found = transparency(encoded(paint(Commission(7, "a fox", (320, 240), transparent=True)), format_))
    assert 0.05 < found.clear < 0.4
    assert not found.is_opaque


def test_a_palette_with_a_clear_colour_is_measured_as_it_is_shown() -> None:
    drawn = half_clear().quantize(8)
    assert transparency(encoded(drawn, "PNG")).clear == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "data",
    [
        picture(),
        picture(mode="RGBA"),
        picture(mode="L"),
        picture(mode="P"),
        picture(format_="JPEG"),
        picture(format_="GIF"),
        picture(1, 1),
        noise(300, 200),
    ],
)
def test_what_has_no_transparent_pixel_is_opaque(data: bytes) -> None:
    found = transparency(data)
    assert (found.clear, found.see_through, found.chequered) == (0, 0, False)
    assert found.is_opaque


def test_a_stray_clear_pixel_makes_no_background() -> None:
    image = Image.new("RGBA", (100, 100), "teal")
    image.putpixel((0, 0), (0, 0, 0, 0))
    found = transparency(encoded(image, "PNG"))
    assert found.is_opaque
    assert not found.has_clear_parts


def test_a_veil_is_neither_opaque_nor_clear() -> None:
    found = transparency(encoded(Image.new("RGBA", (100, 100), (9, 9, 9, 120)), "PNG"))
    assert not found.is_opaque
    assert not found.has_clear_parts


TONES: dict[str, tuple[Tone, Tone]] = {
    "white and grey": (LIGHT, WHITE),
    "white and nearly white": ((240, 240, 240), WHITE),
    "greys": ((102, 102, 102), (153, 153, 153)),
    "bluish": ((200, 208, 224), (232, 238, 248)),
}


@pytest.mark.parametrize(("dark", "light"), TONES.values(), ids=TONES)
@pytest.mark.parametrize(
    ("width", "height", "tile"),
    [(1024, 1024, 8), (1024, 1024, 42.67), (1024, 1536, 64), (480, 480, 20), (96, 64, 4)],
)
def test_painted_chequers_behind_a_subject_are_seen(
    width: int, height: int, tile: float, dark: Tone, light: Tone
) -> None:
    found = transparency(encoded(with_subject(board(width, height, tile, dark, light, shift=3)), "PNG"))
    assert found.is_opaque
    assert found.chequered


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_painted_chequers_are_seen_in_whatever_mode_the_file_has(mode: str) -> None:
    assert transparency(encoded(with_subject(board(512, 512, 16)).convert(mode), "PNG")).chequered


@pytest.mark.parametrize("tile", [12, 30, 64])
def test_soft_edges_and_the_noise_of_a_jpeg_hide_no_chequers(tile: int) -> None:
    soft = with_subject(board(1024, 1024, tile)).filter(ImageFilter.GaussianBlur(1.5))
    assert transparency(encoded(soft, "JPEG", quality=50)).chequered


def test_chequers_of_a_picture_of_4k_are_seen() -> None:
    assert transparency(encoded(with_subject(board(3840, 2160, 96)), "JPEG")).chequered


def cloth_in_the_middle() -> Image.Image:
    image = Image.new("RGB", (512, 512), (90, 120, 60))
    image.paste(board(300, 300, 20), (106, 106))
    return image


def cloth_at_the_foot() -> Image.Image:
    image = Image.new("RGB", (512, 512), (120, 160, 220))
    image.paste(board(512, 300, 20), (0, 212))
    return image


def floor_on_one_side() -> Image.Image:
    image = Image.new("RGB", (512, 512), (120, 160, 220))
    image.paste(board(200, 512, 20), (0, 0))
    return image


def two_kinds() -> Image.Image:
    image = board(512, 512, 20)
    image.paste(board(256, 512, 8, (60, 60, 60)), (256, 0))
    return image


@pytest.mark.parametrize(
    "image",
    [
        cloth_in_the_middle(),
        cloth_at_the_foot(),
        floor_on_one_side(),
        two_kinds(),
        board(512, 512, 20, (200, 20, 30)),
        paint(Commission(7, "a fox", (512, 512))),
        Image.linear_gradient("L").resize((512, 512)),
        Image.radial_gradient("L"),
    ],
    ids=["middle", "foot", "side", "two kinds", "red cloth", "landscape", "gradient", "rings"],
)
def test_chequers_that_are_the_subject_are_no_painted_background(image: Image.Image) -> None:
    found = transparency(encoded(image, "PNG"))
    assert found.is_opaque
    assert not found.chequered


def test_behind_true_transparency_nobody_looks_for_painted_chequers() -> None:
    image = with_subject(board(512, 512, 16)).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 200, 512, 260))
    assert not transparency(encoded(image, "PNG")).chequered


@given(
    width=st.integers(1, 200),
    height=st.integers(1, 200),
    seed=st.integers(0, 2**32),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]),
)
@settings(max_examples=100, deadline=None)
def test_noise_of_any_shape_and_mode_is_measured_and_is_no_chequers(
    width: int, height: int, seed: int, mode: str
) -> None:
    # Of coarse grain, so that chance has large tiles to lay.
    drawn = Image.frombytes("RGBA", (width, height), Random(seed).randbytes(4 * width * height))
    drawn = drawn.resize((3 * width, 3 * height), Image.Resampling.NEAREST)
    drawn = drawn.convert("I").convert("I;16") if mode == "I;16" else drawn.convert(mode)
    found = transparency(encoded(drawn, "PNG"))
    assert 0 <= found.clear <= found.see_through <= 1
    assert not found.chequered


@pytest.mark.parametrize("data", [b"", b"<svg/>", picture()[:60], noise(60, 60)[:5000], b"GIF89a\1\0\1\0"])
def test_what_cannot_be_decoded_cannot_be_measured(data: bytes) -> None:
    with pytest.raises(UndecodablePicture):
        transparency(data)


def test_a_picture_of_too_many_pixels_is_not_measured() -> None:
    wide = encoded(Image.new("1", (MAX_MEASURED_PIXELS // 4096 + 1, 4096)), "PNG")
    with pytest.raises(UndecodablePicture, match="too many pixels"):
        transparency(wide)


def test_a_picture_of_4k_is_measured_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.new("RGBA", (3840, 2160)), "PNG"))
    tracemalloc.start()
    assert transparency(path).clear == 1
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000, "besides the pixels, which Pillow holds where this does not look"
