"""JPEG files walked, judged and cleaned."""

from __future__ import annotations

import struct

import pytest

from gpt_image_2_mcp.image_formats import exif, jpeg
from gpt_image_2_mcp.image_formats.layout import Unfit
from gpt_image_2_mcp.sizes import Size
from tests.image_formats.samples import EOI, SOI, after_soi, drawn, profile, saved, segment, stills

PLAIN = saved(drawn("RGB"), "JPEG")
JFIF = PLAIN[2:20]
TABLE = segment(0xDB, bytes(65))
SCAN = segment(0xDA, b"\1\1\0\0\0\0") + b"\x12\xff\0\x34\xff\xd3\x56"


def frame(width: int = 8, height: int = 8, kind: int = 0xC0, components: int = 1) -> bytes:
    return segment(kind, struct.pack(">BHHB", 8, height, width, components) + b"\1\x11\0" * components)


def made(*segments: bytes) -> bytes:
    return b"".join([SOI, TABLE, *segments, EOI])


def problem(data: bytes) -> str:
    with pytest.raises(Unfit) as caught:
        jpeg.scan(data)
    assert caught.value.hint.endswith("; nothing was sent.")
    return caught.value.problem


def cleaned(data: bytes) -> bytes:
    return jpeg.cleaned(data, jpeg.scan(data))


def slices(data: bytes, *numbers: tuple[int, int]) -> bytes:
    """The profile in as many slices, numbered so."""
    each = -(-len(data) // len(numbers))
    return b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes(number) + data[i * each : (i + 1) * each])
        for i, number in enumerate(numbers)
    )


def test_a_plain_picture_stays_as_it_is() -> None:
    assert cleaned(PLAIN) == PLAIN
    assert cleaned(made(frame(), SCAN)) == made(frame(), SCAN)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (SOI + b"\xff", "breaks off"),
        (SOI + b"\xffroot:x:0:0:root:/root:/bin/bash\n" * 9, "breaks off"),
        (SOI + b"\xff\xe0\0\x04ABroot:x:0:0:root:/root", "do not follow one another"),
        (SOI + b"\xff\xe0\0\1AB" + bytes(90), "a segment that no JPEG has there"),
        (SOI + SOI + bytes(90), "a segment that no JPEG has there"),
        (made(), "begins like a JPEG but is none"),
        (made(frame()), "begins like a JPEG but is none"),
        (made(SCAN), "begins like a JPEG but is none"),
        (made(SCAN, frame()), "begins like a JPEG but is none"),
        (made(frame(), frame(), SCAN), "its frame is wrong"),
        (made(segment(0xC0, b"\x08\0\x08\0\x08\x03\1\x11\0"), SCAN), "its frame is wrong"),
        (made(segment(0xC0, b"\x08\0"), SCAN), "its frame is too short"),
        (made(frame(kind=0xC3), SCAN), "lossless or hierarchical"),
        (made(frame(0, 8), SCAN), "0x8 pixels: there is nothing in it"),
        (made(frame(8, 20_000), SCAN), "no edge may be over"),
        (made(frame(10_000, 10_000), SCAN), "over the 67,108,864 pixels"),
        (made(frame(), SCAN)[:-2], "breaks off"),
        (made(frame(), SCAN)[:-1], "breaks off"),
        (made(frame(), b"\xff\xda\x7f\xff"), "breaks off"),
        (made(frame(), SCAN * 65), "more than 64 scans"),
        (made(segment(0xFE) * 1024, frame(), SCAN), "more than 1024 segments"),
    ],
)
def test_what_is_no_whole_jpeg_is_refused(data: bytes, said: str) -> None:
    assert said in problem(data)


def test_a_file_that_breaks_off_anywhere_is_refused() -> None:
    data = stills()["jpeg with everything"]

    for cut in range(3, len(data), max(1, len(data) // 400)):
        assert problem(data[:cut]) == "is a JPEG that breaks off before its end"


@pytest.mark.parametrize("kind", [0xC0, 0xC1, 0xC2, 0xC9, 0xCA])
def test_frames_that_decoders_read_pass(kind: int) -> None:
    scan = jpeg.scan(made(frame(40, 30, kind), SCAN))

    assert (scan.header.format, scan.header.size, scan.orientation) == ("jpeg", Size(40, 30), 1)


@pytest.mark.parametrize(
    "extra",
    [
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0SECRET"),
        segment(0xE1, b"SECRET"),
        segment(0xE0, b"JFXX\0\x10SECRET thumbnail"),
        segment(0xE0, b"JFIF\0too short"[:13]),
        segment(0xEE, b"Adobe"),
        segment(0xE2, b"MPF\0SECRET"),
        segment(0xE2, b"ICC_PROFILE\0\1\1SECRET"),
        segment(0xE5, b"SECRET"),
        segment(0xEB, b"JP\0\1SECRET c2pa"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04SECRET iptc"),
        segment(0xEE, b"SECRET, not Adobe"),
        segment(0xFE, b"SECRET comment"),
        segment(0xF5, b"SECRET"),
        b"\xff\x01",
    ],
)
def test_what_does_not_make_the_look_goes(extra: bytes) -> None:
    assert cleaned(PLAIN[:20] + extra + PLAIN[20:]) == PLAIN
    assert cleaned(PLAIN[:-2] + extra + PLAIN[-2:]) == PLAIN


def test_what_comes_behind_the_end_goes() -> None:
    assert cleaned(PLAIN + b"SECRET") == PLAIN


def test_a_thumbnail_in_the_jfif_segment_goes() -> None:
    with_thumbnail = segment(0xE0, JFIF[4:16] + b"\2\1SECRET")

    assert cleaned(SOI + with_thumbnail + PLAIN[20:]) == PLAIN


def test_adobes_segment_is_kept_up_to_its_length() -> None:
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0\2")
    long = segment(0xEE, b"Adobe\0\x64\0\0\0\0\2SECRET")

    assert cleaned(made(long, frame(), SCAN)) == SOI + adobe + made(frame(), SCAN)[2:]


def test_several_scans_stay_and_what_stands_between_them_goes() -> None:
    tables = segment(0xC4, bytes(20)) + segment(0xDD, b"\0\1")
    wanted = made(frame(8, 8, 0xC2), SCAN, tables, SCAN, segment(0xDC, b"\0\x08"), SCAN)
    given = made(
        frame(8, 8, 0xC2), SCAN, tables, segment(0xFE, b"SECRET"), SCAN, segment(0xDC, b"\0\x08"), SCAN
    )

    assert cleaned(given) == wanted


def test_the_orientation_is_kept_alone() -> None:
    block = segment(0xE1, exif.PREFIX + exif.minimal(8) + b"SECRET")
    wanted = segment(0xE1, exif.PREFIX + exif.minimal(8))

    assert cleaned(PLAIN[:20] + block * 2 + PLAIN[20:]) == PLAIN[:20] + wanted + PLAIN[20:]
    assert cleaned(after_soi(segment(0xE1, exif.PREFIX + b"SECRET"), PLAIN)) == PLAIN


def test_a_profile_is_put_together_from_slices_in_any_order() -> None:
    wanted = PLAIN[:20] + slices(profile(), (1, 1)) + PLAIN[20:]

    for numbers in ([(1, 1)], [(1, 3), (2, 3), (3, 3)]):
        assert cleaned(after_soi(slices(profile(), *numbers), PLAIN)) == wanted
    second_first = slices(profile()[200:], (2, 2)) + slices(profile()[:200], (1, 2))
    assert cleaned(after_soi(second_first, PLAIN)) == wanted


def test_a_long_profile_is_cut_into_slices() -> None:
    long = (200_000).to_bytes(4, "big") + profile()[4:] + bytes(200_000 - len(profile()))
    given = after_soi(slices(long, (1, 4), (2, 4), (3, 4), (4, 4)), PLAIN)

    assert jpeg.cleaned(cleaned(given), jpeg.scan(cleaned(given))) == cleaned(given)
    assert cleaned(given).count(b"ICC_PROFILE\0") == 4


@pytest.mark.parametrize("numbers", [[(1, 2), (1, 2)], [(1, 2), (3, 2)], [(0, 2), (1, 2)], [(1, 3), (2, 3)]])
def test_a_profile_of_which_a_slice_is_missing_goes(numbers: list[tuple[int, int]]) -> None:
    assert cleaned(after_soi(slices(profile(), *numbers), PLAIN)) == PLAIN


def test_more_slices_than_can_be_numbered_are_no_profile() -> None:
    assert cleaned(after_soi(segment(0xE2, b"ICC_PROFILE\0\1\1") * 300, PLAIN)) == PLAIN
