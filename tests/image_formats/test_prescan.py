"""Inputs judged before anything decodes them, and cleaned without encoding them anew."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.image_formats.layout import Scan
from gpt_image_2_mcp.image_formats.prescan import cleaned, prescan
from gpt_image_2_mcp.sizes import Size
from tests.image_formats.bombs import BOMBS
from tests.image_formats.samples import (
    PNG_SIGNATURE,
    XMP,
    drawn,
    exif,
    moving,
    png,
    profile,
    saved,
    stills,
    texts,
)
from tests.image_formats.test_headers import SIGNATURES, pillows_view
from tests.image_formats.test_kinds import NAMED, zipped

PASSWD = b"root:x:0:0:root:/root:/bin/bash\n" * 20


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        prescan(data, "cat.png")
    assert caught.value.hint.endswith("nothing was sent.")
    assert caught.value.message.startswith("cat.png ")
    return caught.value.message


def judged(data: bytes) -> Scan | InputError:
    try:
        return prescan(data, "it")
    except InputError as error:
        return error


def clean(data: bytes) -> bytes:
    return cleaned(data, prescan(data, "it"))


def shown(data: bytes) -> tuple[str, tuple[int, int], bytes]:
    """What a viewer shows: the pixels, upright."""
    with Image.open(BytesIO(data)) as image:
        image.load()
        upright = ImageOps.exif_transpose(image)
        mode = "RGBA" if upright.has_transparency_data else upright.mode
        return mode, upright.size, upright.convert(mode).tobytes()


@pytest.mark.parametrize(("name", "data"), NAMED)
def test_a_file_of_another_kind_is_refused_by_its_name(name: str, data: bytes) -> None:
    assert refusal(data) == f"cat.png is not a PNG, JPEG or WebP picture but {name}."


def test_a_file_of_no_known_kind_is_refused_too() -> None:
    assert refusal(b"\1\2\3\4" * 50) == "cat.png is not a PNG, JPEG or WebP picture."


@pytest.mark.parametrize(
    ("magic", "format_"),
    [
        (PNG_SIGNATURE, "PNG"),
        (PNG_SIGNATURE + b"\0\0\0\rIHDR", "PNG"),
        (png()[:33] + b"\0\0\2\x80IDAT", "PNG"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", "JPEG"),
        (b"RIFF\x80\2\0\0WEBP", "WebP"),
        (b"RIFF\x80\2\0\0WEBPVP8L\x74\2\0\0", "WebP"),
        (b"RIFF\x80\2\0\0WEBPVP8 \x74\2\0\0", "WebP"),
    ],
)
def test_a_text_that_begins_like_a_picture_is_refused(magic: bytes, format_: str) -> None:
    said = refusal(magic + PASSWD)

    assert format_ in said
    assert "root" not in said


def test_a_png_whose_line_ends_were_converted_is_refused_as_that() -> None:
    assert refusal(png().replace(b"\r\n", b"\n")) == (
        "cat.png is a damaged PNG (its line ends were converted)."
    )


@pytest.mark.parametrize("name", list(moving()))
def test_moving_pictures_are_refused_as_such(name: str) -> None:
    assert ("animated" in refusal(moving()[name])) == (not name.startswith("gif"))


@pytest.mark.parametrize("name", list(BOMBS))
def test_a_bomb_is_refused_by_its_header_in_little_memory(name: str) -> None:
    make, said = BOMBS[name]
    data = make()

    tracemalloc.start()
    message = refusal(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert said in message
    assert peak < 1024 * 1024


def test_a_picture_that_is_an_archive_as_well_is_refused() -> None:
    for picture in (stills()["png rgb"], stills()["jpeg"], stills()["webp lossy"]):
        assert refusal(picture + zipped()) == (
            "cat.png is a picture with a ZIP archive or office document behind it."
        )


@pytest.mark.parametrize("name", list(stills()))
def test_every_still_picture_passes_as_pillow_sees_it(name: str) -> None:
    assert prescan(stills()[name], "it").header == pillows_view(stills()[name])


@pytest.mark.parametrize("name", list(stills()))
def test_a_cleaned_picture_looks_the_same(name: str) -> None:
    assert shown(clean(stills()[name])) == shown(stills()[name])


@pytest.mark.parametrize("name", list(stills()))
def test_nothing_of_the_metadata_is_left(name: str) -> None:
    data = clean(stills()[name] + b"SECRET behind the end")

    assert b"SECRET" not in data
    with Image.open(BytesIO(data)) as image:
        image.load()
        assert set(image.getexif()) <= {0x0112}
        assert not set(image.info) & {"comment", "xmp", "XML:com.adobe.xmp", "parameters", "photoshop", "mp"}


@pytest.mark.parametrize("name", list(stills()))
def test_what_is_clean_stays_as_it_is(name: str) -> None:
    once = clean(stills()[name])

    assert clean(once) is once  # nor is it copied
    assert clean(once + b"SECRET behind the end") == once


@pytest.mark.parametrize("name", ["png with everything", "jpeg with everything", "webp with everything"])
def test_a_colour_profile_is_kept(name: str) -> None:
    with Image.open(BytesIO(clean(stills()[name]))) as image:
        assert image.info["icc_profile"] == profile()


def test_the_samples_would_show_what_is_left() -> None:
    for name in ("png with everything", "jpeg with everything", "webp with everything"):
        assert stills()[name].count(b"SECRET") > 3
        assert prescan(stills()[name], "it").orientation == 6


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_shown_the_same_way_up(format_: str, orientation: int) -> None:
    data = saved(drawn("RGB"), format_, exif=exif(orientation))
    scan = prescan(data, "it")

    assert scan.size_as_shown == Size(*shown(data)[1])
    assert shown(cleaned(data, scan)) == shown(data)


def test_an_upright_picture_has_no_exif_left() -> None:
    for format_, mark in (("PNG", b"eXIf"), ("JPEG", b"Exif"), ("WEBP", b"EXIF")):
        data = saved(drawn("RGB"), format_, exif=exif(1))
        assert mark in data
        assert mark not in clean(data)


SAVED: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "PNG": [
        (m, {"optimize": o}) for m in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") for o in (False, True)
    ],
    "JPEG": [
        (m, {"progressive": p, "quality": q, "subsampling": s})
        for m in ("L", "RGB", "CMYK")
        for p in (False, True)
        for q in (5, 100)
        for s in (0, 2)
    ],
    "WEBP": [(m, {"lossless": x, "quality": 40}) for m in ("RGB", "RGBA") for x in (False, True)],
}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_picture_that_pillow_writes_looks_the_same_without_its_metadata(data: st.DataObject) -> None:
    format_ = data.draw(st.sampled_from(sorted(SAVED)))
    mode, options = data.draw(st.sampled_from(SAVED[format_]))
    width, height = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 70))
    more: dict[str, dict[str, Any]] = {
        "profile": {"icc_profile": profile()},
        "exif": {"exif": exif(data.draw(st.integers(1, 8)))},
        "xmp": {"xmp": XMP} if format_ != "PNG" else {"pnginfo": texts()},
    }
    for name in data.draw(st.sets(st.sampled_from(sorted(more)))):
        options = options | more[name]
    image = drawn("L", width, height).convert(mode) if mode == "I;16" else drawn(mode, width, height)
    picture = saved(image, format_, **options)

    result = clean(picture + data.draw(st.sampled_from([b"", b"SECRET", b"\0" * 99])))

    assert shown(result) == shown(picture)
    assert b"SECRET" not in result
    assert clean(result) == result


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=400))
def test_any_bytes_are_judged_without_another_error(signature: bytes, rest: bytes) -> None:
    data = signature + rest
    scan = judged(data)

    assert scan.message.startswith("it ") if isinstance(scan, InputError) else scan.end <= len(data)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.large_base_example])
@given(
    st.sampled_from(list(stills())), st.integers(0, 3000), st.binary(min_size=1, max_size=8), st.booleans()
)
def test_a_damaged_picture_is_refused_or_becomes_a_clean_one(
    name: str, at: int, noise: bytes, inserted: bool
) -> None:
    data = bytearray(stills()[name])
    at %= len(data)
    data[at : at if inserted else at + len(noise)] = noise
    scan = judged(bytes(data))
    if isinstance(scan, InputError):
        assert "nothing was sent" in scan.hint
    else:
        once = cleaned(bytes(data), scan)
        assert clean(once) == once
