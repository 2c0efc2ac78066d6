"""Headers read without decoding, against what Pillow sees."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from gpt_image_2_mcp.image_formats.headers import read_header
from gpt_image_2_mcp.image_formats.layout import ImageHeader
from gpt_image_2_mcp.sizes import Size
from tests.image_formats.samples import after_soi, drawn, samples, saved

FILL = b"\xff"


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
    assert read_header(after_soi(FILL * 20_000, jpeg)) == read_header(jpeg)
    assert read_header(after_soi(FILL * 200_000, jpeg)) is None


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
