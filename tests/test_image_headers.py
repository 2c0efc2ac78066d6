"""Headers read without decoding, against what Pillow sees."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from gpt_image_2_mcp.capabilities import Size
from gpt_image_2_mcp.image_headers import ImageHeader, read_header

SOI, FILL = b"\xff\xd8", b"\xff"


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def drawn(mode: str, width: int = 31, height: int = 17) -> Image.Image:
    """A picture with some of everything, half transparent where its mode can be."""
    image = Image.new("RGBA", (width, height), (10, 200, 90, 255))
    image.paste((200, 20, 30, 100), (0, 0, width // 2 + 1, height // 2 + 1))
    return image if mode == "RGBA" else image.convert(mode)


def palette(*, transparent: bool) -> bytes:
    image = drawn("P")
    return saved(image, "PNG", transparency=0) if transparent else saved(image, "PNG")


def exif() -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = 6
    data[0x010E] = "a description " * 500
    return data


def animated(format_: str, mode: str) -> bytes:
    frames = [drawn(mode), Image.new(mode, (31, 17), "red")]
    return saved(frames[0], format_, save_all=True, append_images=frames[1:], duration=50)


def after_soi(extra: bytes, picture: bytes) -> bytes:
    assert picture.startswith(SOI)
    return SOI + extra + picture[2:]


@cache
def samples() -> dict[str, bytes]:
    jpeg = saved(drawn("RGB"), "JPEG")
    return {
        "png rgb": saved(drawn("RGB"), "PNG"),
        "png rgba": saved(drawn("RGBA"), "PNG"),
        "png grey": saved(drawn("L"), "PNG"),
        "png grey alpha": saved(drawn("LA"), "PNG"),
        "png bits": saved(drawn("1"), "PNG"),
        "png 16 bits": saved(drawn("L").convert("I;16"), "PNG"),
        "png palette": palette(transparent=False),
        "png palette with transparency": palette(transparent=True),
        "png rgb with a transparent colour": saved(drawn("RGB"), "PNG", transparency=(10, 200, 90)),
        "png grey with a transparent shade": saved(drawn("L"), "PNG", transparency=7),
        "png with text, profile and resolution": saved(
            drawn("RGB"), "PNG", dpi=(300, 300), icc_profile=b"p" * 3000, exif=exif()
        ),
        "apng": animated("PNG", "RGBA"),
        "jpeg": jpeg,
        "jpeg grey": saved(drawn("L"), "JPEG"),
        "jpeg cmyk": saved(drawn("RGB").convert("CMYK"), "JPEG"),
        "jpeg progressive": saved(drawn("RGB"), "JPEG", progressive=True),
        "jpeg with exif, profile and comment": saved(
            drawn("RGB"), "JPEG", exif=exif(), icc_profile=b"p" * 100_000, comment=b"c" * 60_000
        ),
        "jpeg with restart markers": saved(drawn("RGB"), "JPEG", restart_marker_blocks=1),
        "jpeg with fill bytes": after_soi(FILL * 5, jpeg),
        "webp lossy": saved(drawn("RGB"), "WEBP", quality=50),
        "webp lossy with alpha": saved(drawn("RGBA"), "WEBP", quality=50),
        "webp lossless": saved(drawn("RGB"), "WEBP", lossless=True),
        "webp lossless with alpha": saved(drawn("RGBA"), "WEBP", lossless=True),
        "webp with exif": saved(drawn("RGB"), "WEBP", exif=exif()),
        "webp animated": animated("WEBP", "RGB"),
        "webp animated with alpha": animated("WEBP", "RGBA"),
        "gif": saved(drawn("P"), "GIF"),
        "gif animated": animated("GIF", "P"),
    }


def pillows_view(data: bytes) -> ImageHeader:
    with Image.open(BytesIO(data)) as image:
        format_ = (image.format or "").lower()
        alpha = image.has_transparency_data and format_ != "gif"
        return ImageHeader(format_, Size(*image.size), alpha)


@pytest.mark.parametrize("name", list(samples()))
def test_a_header_says_what_pillow_says(name: str) -> None:
    data = samples()[name]

    assert read_header(data) == pillows_view(data)


def test_the_samples_cover_every_format_with_and_without_alpha() -> None:
    seen = {(h.format, h.has_alpha) for h in map(pillows_view, samples().values())}

    assert seen == {
        ("png", False),
        ("png", True),
        ("jpeg", False),
        ("webp", False),
        ("webp", True),
        ("gif", False),
    }


def test_mime_types_follow_the_format() -> None:
    types = {h.format: h.mime_type for h in map(read_header, samples().values()) if h}

    assert types == {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from(["RGB", "RGBA", "L"]),
    st.sampled_from(["PNG", "JPEG", "WEBP", "GIF"]),
    st.booleans(),
)
@example(1, 1, "RGBA", "WEBP", True)
@example(1, 1, "RGB", "WEBP", False)
@example(16_383, 1, "RGB", "WEBP", True)
@example(1, 16_383, "RGB", "WEBP", False)
@example(65_500, 1, "L", "JPEG", False)
@example(65_535, 1, "L", "GIF", False)
@example(70_000, 1, "L", "PNG", False)
def test_sizes_of_all_formats_are_read(
    width: int, height: int, mode: str, format_: str, lossless: bool
) -> None:
    image = drawn("RGB" if format_ == "JPEG" and mode == "RGBA" else mode, width, height)
    data = saved(image, format_, **({"lossless": lossless} if format_ == "WEBP" else {}))

    assert read_header(data) == pillows_view(data)


@pytest.mark.parametrize("name", list(samples()))
def test_a_torn_picture_gives_the_same_size_or_nothing(name: str) -> None:
    data = samples()[name]
    whole = read_header(data)
    assert whole is not None

    cuts = range(min(len(data), 1500))
    seen = [header for header in (read_header(data[:cut]) for cut in cuts) if header]

    assert {(h.format, h.size) for h in seen} <= {(whole.format, whole.size)}
    assert read_header(data[:9]) is None


SIGNATURES = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"GIF87a"]
SIGNATURES += [b"RIFF\0\0\0\0WEBP" + kind + bytes(4) for kind in (b"VP8X", b"VP8L", b"VP8 ")]
SIGNATURES += [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=300))
def test_any_bytes_are_read_without_an_error(signature: bytes, rest: bytes) -> None:
    header = read_header(signature + rest)

    assert header is None or (header.size.width > 0 and header.size.height > 0)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.large_base_example])
@given(st.sampled_from(list(samples())), st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_a_damaged_picture_is_read_without_an_error(name: str, at: int, noise: bytes) -> None:
    data = bytearray(samples()[name])
    data[at : at + len(noise)] = noise

    header = read_header(bytes(data))

    assert header is None or (header.size.width > 0 and header.size.height > 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BM" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"II*\0" + bytes(100),
        b"RIFF\0\0\0\0WAVE" + bytes(100),
        b"root:x:0:0:root:/root:/bin/bash\n" * 10,
    ],
)
def test_other_files_have_no_header(data: bytes) -> None:
    assert read_header(data) is None


def test_markers_without_a_length_are_stepped_over() -> None:
    jpeg = samples()["jpeg"]

    assert read_header(after_soi(b"\xff\x01\xff\xd0\xff\xd7", jpeg)) == read_header(jpeg)


def test_an_empty_picture_has_no_header() -> None:
    assert read_header(b"GIF89a" + bytes(4)) is None
    assert read_header(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17)) is None


def test_a_jpeg_is_not_searched_without_end() -> None:
    """50 MB of fill bytes or empty segments would otherwise hold the event loop for many seconds."""
    jpeg = samples()["jpeg"]

    assert read_header(after_soi(b"\xff\xe0\0\2" * 1000, jpeg)) == read_header(jpeg)
    assert read_header(after_soi(b"\xff\xe0\0\2" * 20_000, jpeg)) is None
    assert read_header(after_soi(FILL * 20_000, jpeg)) is None


def test_a_png_is_not_searched_without_end() -> None:
    png = samples()["png rgb with a transparent colour"]
    empty = b"\0\0\0\0tEXt" + bytes(4)

    few, many = (
        read_header(png[:33] + empty * 100 + png[33:]),
        read_header(png[:33] + empty * 2000 + png[33:]),
    )

    assert few == read_header(png)
    assert many is not None
    assert not many.has_alpha
