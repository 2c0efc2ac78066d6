"""WebP files walked, judged and cleaned."""

from __future__ import annotations

import struct

import pytest

from gpt_image_2_mcp.image_formats import exif, webp
from gpt_image_2_mcp.image_formats.layout import Unfit
from gpt_image_2_mcp.sizes import Size
from tests.image_formats.samples import drawn, profile, saved, stills, vp8x, webp_chunk
from tests.image_formats.samples import webp as made

PROFILE, ALPHA, EXIF, XMP, MOVES = 0x20, 0x10, 0x08, 0x04, 0x02
LOSSLESS = webp_chunk(b"VP8L", b"\x2f" + struct.pack("<I", 7 | 5 << 14) + b"\x88\x88\x08")
LOSSY = webp_chunk(b"VP8 ", b"\x30\1\0\x9d\x01\x2a" + struct.pack("<HH", 8, 6) + bytes(12))
PLAIN = saved(drawn("RGB"), "WEBP")


def problem(data: bytes) -> str:
    with pytest.raises(Unfit) as caught:
        webp.scan(data)
    assert caught.value.hint.endswith("; nothing was sent.")
    return caught.value.problem


def cleaned(data: bytes) -> bytes:
    return webp.cleaned(data, webp.scan(data))


@pytest.mark.parametrize("data", [PLAIN, made(LOSSLESS), made(LOSSY), made(vp8x(8, 6), LOSSLESS)])
def test_a_plain_picture_stays_as_it_is(data: bytes) -> None:
    assert cleaned(data) == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"RIFF\0\0\0\0WEBP", "breaks off"),
        (made(LOSSLESS)[:-1], "breaks off"),
        (made(vp8x(8, 6)), "no pixels of the 8x6 it claims"),
        (made(vp8x(8, 7), LOSSLESS), "no pixels of the 8x7 it claims"),
        (made(vp8x(8, 6), webp_chunk(b"VP8L", b"\x2f")), "no pixels of the 8x6 it claims"),
        (made(webp_chunk(b"VP8X", b"short"), LOSSLESS), "breaks off"),
        (made(webp_chunk(b"root:x:0:0:root:/root")), "begins like a WebP but is none"),
        (made(webp_chunk(b"VP8L", b"root:x:0:0")), "begins like a WebP but is none"),
        (made(webp_chunk(b"VP8L", b"\x2f\xff\xff\xff\xff")), "begins like a WebP but is none"),
        (made(webp_chunk(b"VP8 ", b"root:x:0:0")), "begins like a WebP but is none"),
        (made(webp_chunk(b"VP8 ", LOSSY[8:].replace(b"\x30", b"\x31", 1))), "begins like a WebP but is none"),
        (made(webp_chunk(b"VP8 ", LOSSY[8:14] + bytes(20))), "nothing in it"),
        (made(vp8x(8, 6), b"VP8L\xff\0\0\0" + LOSSLESS[8:]), "its chunks are longer than the file"),
        (made(vp8x(8, 6, MOVES), LOSSLESS), "an animated WebP"),
        (made(vp8x(8, 6), webp_chunk(b"ANMF", bytes(16))), "no pixels of the 8x6 it claims"),
        (made(vp8x(16_385, 6)), "no edge may be over"),
        (made(vp8x(10_000, 10_000)), "over the 67,108,864 pixels"),
        (made(vp8x(8, 6), webp_chunk(b"UNKN") * 512, LOSSLESS), "more than 512 chunks"),
    ],
)
def test_what_is_no_whole_still_webp_is_refused(data: bytes, said: str) -> None:
    assert said in problem(data)


def test_a_file_that_breaks_off_anywhere_is_refused() -> None:
    data = stills()["webp with everything"]

    for cut in range(12, len(data), max(1, len(data) // 400)):
        assert problem(data[:cut]) == "is a WebP that breaks off before its end"


def test_a_file_without_its_last_padding_is_whole() -> None:
    body = b"WEBP" + webp_chunk(b"VP8L", LOSSLESS[8:] + b"\x01")[:-1]
    data = b"RIFF" + struct.pack("<I", len(body)) + body

    assert cleaned(data) == made(webp_chunk(b"VP8L", LOSSLESS[8:] + b"\x01"))


def test_a_padding_hides_nothing() -> None:
    data = made(webp_chunk(b"VP8L", LOSSLESS[8:] + b"\x01"))

    assert cleaned(data) is data
    assert cleaned(data[:-1] + b"!") == data


@pytest.mark.parametrize("kind", [b"XMP ", b"EXIF", b"ICCP", b"C2PA", b"UNKN", b"ANIM", b"ALPH"])
def test_a_simple_picture_is_its_pixels_alone(kind: bytes) -> None:
    assert cleaned(made(LOSSLESS, webp_chunk(kind, b"SECRET!")) + b"SECRET") == made(LOSSLESS)


def test_an_extended_picture_loses_all_but_look_and_orientation() -> None:
    given = made(
        vp8x(8, 6, PROFILE | ALPHA | EXIF | XMP | 0xC1),
        webp_chunk(b"ICCP", profile() + b"SECRET"),
        webp_chunk(b"UNKN", b"SECRET"),
        webp_chunk(b"ALPH", b"alpha"),
        LOSSY,
        webp_chunk(b"EXIF", exif.PREFIX + exif.minimal(6) + b"SECRET"),
        webp_chunk(b"XMP ", b"SECRET"),
    )

    assert cleaned(given) == made(
        vp8x(8, 6, PROFILE | ALPHA | EXIF),
        webp_chunk(b"ICCP", profile()),
        webp_chunk(b"ALPH", b"alpha"),
        LOSSY,
        webp_chunk(b"EXIF", exif.minimal(6)),
    )
    assert webp.scan(given).size_as_shown == Size(6, 8)


def test_chunks_that_the_head_does_not_announce_are_not_looked_at() -> None:
    chunks = (webp_chunk(b"ICCP", profile()), LOSSLESS, webp_chunk(b"EXIF", exif.minimal(6)))

    assert cleaned(made(vp8x(8, 6), *chunks)) == made(vp8x(8, 6), LOSSLESS)
    assert webp.scan(made(vp8x(8, 6), *chunks)).orientation == 1


def test_what_is_no_profile_goes_with_its_flag() -> None:
    given = made(vp8x(8, 6, PROFILE), webp_chunk(b"ICCP", b"SECRET" * 40), LOSSLESS)

    assert cleaned(given) == made(vp8x(8, 6), LOSSLESS)
