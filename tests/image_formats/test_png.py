"""PNG files walked, judged and cleaned."""

from __future__ import annotations

import random
import struct
import zlib

import pytest

from gpt_image_2_mcp.image_formats import exif, png
from gpt_image_2_mcp.image_formats.layout import Unfit
from gpt_image_2_mcp.sizes import Size
from tests.image_formats.samples import PNG_SIGNATURE, chunk, ihdr, profile, stills
from tests.image_formats.samples import png as made

PIXELS = zlib.compress(bytes(4 * 13))
PLAIN = made()


def problem(data: bytes) -> str:
    with pytest.raises(Unfit) as caught:
        png.scan(data)
    assert caught.value.hint.endswith("; nothing was sent.")
    return caught.value.problem


def kinds(data: bytes) -> list[bytes]:
    """The kinds of the chunks, IDAT and IEND left out."""
    return [part.kind for part in png.scan(data).parts[:-1]]


def cleaned(*chunks: bytes) -> bytes:
    data = made(*chunks)
    return png.cleaned(data, png.scan(data))


def test_a_plain_picture_stays_as_it_is() -> None:
    assert cleaned() == PLAIN


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"root:x:0:0:root:/root:/bin/bash\n" * 3, "begins like a PNG but is none"),
        (chunk(b"CgBI", bytes(4)) + ihdr(4, 4), "begins like a PNG but is none"),
        (ihdr(4, 4)[:-1] + b"\0", "begins like a PNG but is none"),
        (ihdr(4, 4, depth=3), "begins like a PNG but is none"),
        (ihdr(4, 4, depth=4, colour=2), "begins like a PNG but is none"),
        (ihdr(4, 4, colour=7), "begins like a PNG but is none"),
        (ihdr(4, 4, interlace=2), "begins like a PNG but is none"),
        (ihdr(0, 4), "is 0x4 pixels: there is nothing in it"),
        (ihdr(16_385, 1), "is 16385x1 pixels, and no edge may be over 16,384"),
        (ihdr(8193, 8192), "is 8193x8192, over the 67,108,864 pixels of an input"),
        (ihdr(4, 4) * 2, "is a damaged PNG (it has a chunk that no PNG has there)"),
        (ihdr(4, 4, colour=3), "is a damaged PNG (its palette is wrong)"),
        (ihdr(400, 400), "is a damaged PNG (it holds fewer pixels than the 400x400 it claims)"),
    ],
)
def test_a_wrong_head_is_refused(head: bytes, said: str) -> None:
    assert problem(made(head=head)) == said


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([chunk(b"PLTE", bytes(4))], "its palette is wrong"),
        ([chunk(b"PLTE", bytes(771))], "its palette is wrong"),
        ([chunk(b"PLTE", bytes(3))] * 2, "its palette is wrong"),
        ([chunk(b"EVIL")], "a chunk that no PNG has there"),
        ([chunk(b"a1b2")], "its chunks do not follow one another"),
        ([chunk(b"tEXt") + b"\0"], "its chunks do not follow one another"),
        ([b"\x7f\xff\xff\xfftEXt"], "breaks off before its end"),
        ([chunk(b"acTL", struct.pack(">II", 2, 0))], "an animated PNG"),
        ([chunk(b"acTL")], "an animated PNG"),
    ],
)
def test_wrong_chunks_are_refused(chunks: list[bytes], said: str) -> None:
    assert said in problem(made(*chunks))


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (b"", "it has no pixels"),
        (chunk(b"IDAT"), "begins like a PNG but is none"),
        (chunk(b"IDAT", b"root:x:0:0:root:/root:/bin/bash\n" * 9), "begins like a PNG but is none"),
        (
            chunk(b"IDAT", PIXELS) + chunk(b"tEXt") + chunk(b"IDAT", PIXELS),
            "its pixels are in several places",
        ),
        (chunk(b"IDAT", PIXELS) + b"\0\1\0\0IDAT" + bytes(90), "breaks off before its end"),
    ],
)
def test_wrong_pixels_are_refused(pixels: bytes, said: str) -> None:
    assert said in problem(made(pixels=pixels))


def test_a_file_that_breaks_off_anywhere_is_refused() -> None:
    data = stills()["png with everything"]

    for cut in range(8, len(data), max(1, len(data) // 400)):
        assert problem(data[:cut]) in (
            "is a PNG that breaks off before its end",
            "begins like a PNG but is none",
        )


def test_pixels_may_begin_in_crumbs_and_be_in_many_chunks() -> None:
    crumbs = b"".join(chunk(b"IDAT", PIXELS[i : i + 1]) for i in range(len(PIXELS)))
    data = made(pixels=chunk(b"IDAT") + crumbs)

    assert png.cleaned(data, png.scan(data)) == data


def test_512_chunks_are_allowed_before_the_pixels_and_behind_them() -> None:
    crowded = made(*[chunk(b"tEXt", b"k\0v")] * 511, pixels=chunk(b"IDAT", PIXELS) + chunk(b"tEXt") * 511)

    assert png.cleaned(crowded, png.scan(crowded)) == PLAIN
    assert "512 chunks before" in problem(made(*[chunk(b"tEXt")] * 513))
    assert "512 chunks behind" in problem(made(pixels=chunk(b"IDAT", PIXELS) + chunk(b"tEXt") * 513))


@pytest.mark.parametrize(
    "kept",
    [
        chunk(b"gAMA", bytes(4)),
        chunk(b"cHRM", bytes(32)),
        chunk(b"sRGB", b"\0"),
        chunk(b"cICP", b"\1\x0d\0\1"),
        chunk(b"mDCV", bytes(24)),
        chunk(b"cLLI", bytes(8)),
        chunk(b"sBIT", b"\x08\x08\x08"),
        chunk(b"bKGD", bytes(6)),
        chunk(b"pHYs", bytes(9)),
        chunk(b"tRNS", bytes(6)),
        chunk(b"PLTE", bytes(768)),
    ],
)
def test_what_makes_the_look_is_kept_and_what_hides_behind_its_name_is_not(kept: bytes) -> None:
    assert cleaned(kept) == made(kept)
    if kept[4:8] != b"PLTE":
        assert cleaned(chunk(kept[4:8], b"SECRET" * 200)) == PLAIN


@pytest.mark.parametrize(
    "kind",
    [b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"caBX", b"iDOT", b"hIST", b"sPLT", b"prVt", b"fcTL"],
)
def test_what_does_not_make_the_look_goes(kind: bytes) -> None:
    assert cleaned(chunk(kind, b"SECRET\0\0SECRET")) == PLAIN
    behind = made(pixels=chunk(b"IDAT", PIXELS) + chunk(kind, b"SECRET"))
    assert png.cleaned(behind, png.scan(behind)) == PLAIN


def test_a_profile_loses_its_name_and_what_is_no_profile_goes() -> None:
    real = zlib.compress(profile() + b"SECRET") + b"SECRET"
    data = cleaned(chunk(b"iCCP", b"Gran's monitor\0\0" + real), chunk(b"iCCP", b"second\0\0" + real))

    assert data == made(chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile())))
    assert cleaned(chunk(b"iCCP", b"x\0\0" + zlib.compress(b"SECRET" * 90))) == PLAIN
    assert cleaned(chunk(b"iCCP", b"no end of the name")) == PLAIN
    assert cleaned(chunk(b"iCCP", b"x\0\0no stream")) == PLAIN


def test_the_orientation_is_kept_alone_wherever_it_stands() -> None:
    block = exif.minimal(6)
    before = made(chunk(b"eXIf", block))
    behind = made(pixels=chunk(b"IDAT", PIXELS) + chunk(b"eXIf", block))

    for data in (before, behind):
        scan = png.scan(data)
        assert (scan.header.size, scan.orientation) == (Size(4, 4), 6)
        assert png.cleaned(data, scan) == before


def test_transparency_is_told_only_where_it_is_kept() -> None:
    for length, has_alpha in ((6, True), (256, True), (257, False)):
        data = made(chunk(b"tRNS", bytes(length)))
        assert png.scan(data).header.has_alpha == has_alpha
        assert (b"tRNS" in png.cleaned(data, png.scan(data))) == has_alpha


def test_an_animation_of_one_frame_is_a_still_picture() -> None:
    assert cleaned(chunk(b"acTL", struct.pack(">II", 1, 0)), chunk(b"fcTL", bytes(26))) == PLAIN


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"tEXt", b"no end of the keyword"),
        chunk(b"zTXt", b"k\0\0no stream"),
        chunk(b"zTXt", b"k\0"),
        chunk(b"iTXt", b"k\0\1\0no end of the language"),
        chunk(b"iTXt", b"k\0\1\0en\0no end of the translation"),
        chunk(b"iTXt", b"k\0"),
        chunk(b"iTXt", b""),
    ],
)
def test_a_damaged_text_does_no_harm(text: bytes) -> None:
    assert cleaned(text) == PLAIN


def test_4_mb_of_text_are_allowed_in_all() -> None:
    text = chunk(b"tEXt", bytes(1024 * 1024))

    assert cleaned(*[text] * 4) == PLAIN
    assert "more than 4 MB of text" in problem(made(*[text] * 4, chunk(b"tEXt", b"k")))


def test_1_mb_of_unpacked_text_is_allowed_in_all() -> None:
    noise = random.Random(5).randbytes(256 * 1024)
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(noise))

    assert cleaned(*[text] * 4) == PLAIN
    assert "more than 1 MB of packed text" in problem(made(*[text] * 4, chunk(b"zTXt", b"k\0\0" + PIXELS)))


def test_a_packed_profile_may_be_1_mb() -> None:
    noise = random.Random(5).randbytes(1024 * 1024)
    longer = made(chunk(b"iCCP", b"p\0\0" + zlib.compress(noise + b"1")))

    assert cleaned(chunk(b"iCCP", b"p\0\0" + zlib.compress(noise))) == PLAIN
    assert "profile of more than 1 MB" in problem(longer)


def test_the_parts_are_the_chunks_up_to_the_pixels() -> None:
    assert kinds(made(chunk(b"gAMA", bytes(4)), chunk(b"tEXt"))) == [b"IHDR", b"gAMA", b"tEXt"]
    assert PLAIN.startswith(PNG_SIGNATURE)
