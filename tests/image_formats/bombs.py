"""Files that are small to send and large to open: each must be refused by its header."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from typing import Final

from tests.image_formats.samples import (
    EOI,
    SOI,
    chunk,
    ihdr,
    png,
    segment,
    vp8x,
    webp,
    webp_chunk,
    with_control_chunk,
)

MB: Final = 1024 * 1024
_SOS: Final = segment(0xDA, b"\1\1\0\0\0\0")


def packed(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def packed_words(size: int) -> bytes:
    """So many bytes that pack as well as text does."""
    rolls = random.Random(size)
    words = [rolls.randbytes(6).hex().encode() for _ in range(300)]
    return zlib.compress(b" ".join(rolls.choices(words, k=size // 12)), 9)


def frame(width: int, height: int, kind: int = 0xC0) -> bytes:
    return segment(kind, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0")


def jpeg(*segments: bytes) -> bytes:
    return b"".join([SOI, segment(0xDB, bytes(65)), *segments, EOI])


def profile_segments(size: int) -> bytes:
    count = size // 65_000
    return b"".join(
        segment(0xE2, b"ICC_PROFILE\0" + bytes([i % 255, 255]) + bytes(65_000)) for i in range(count)
    )


def _bits() -> bytes:
    return png(head=ihdr(10_000, 10_000, 1, 0), pixels=chunk(b"IDAT", packed(10_000 * 1251)))


def _scans() -> bytes:
    return jpeg(frame(8192, 8192, 0xC2), (_SOS + bytes(16)) * 1000)


def _frames() -> bytes:
    frames = webp_chunk(b"ANMF", bytes(16) + webp_chunk(b"VP8L", b"\x2f" + bytes(8))) * 1000
    return webp(vp8x(64, 64, 0x02), webp_chunk(b"ANIM", bytes(6)), frames)


BOMBS: Final[dict[str, tuple[Callable[[], bytes], str]]] = {
    # name: (how it is made, what the refusal says)
    "png of 100 megapixels in bits": (_bits, "67,108,864 pixels"),
    "png of 65,000 x 65,000": (lambda: png(head=ihdr(65_000, 65_000)), "no edge may be over 16,384"),
    "png of the largest edges": (lambda: png(head=ihdr(2**31 - 1, 2**31 - 1)), "no edge may be over"),
    "png of no pixels": (lambda: png(head=ihdr(0, 48)), "nothing in it"),
    "png that claims 64 megapixels": (lambda: png(head=ihdr(8192, 8192)), "fewer pixels than"),
    "png of a million chunks": (lambda: png(chunk(b"tEXt") * 10**6), "512 chunks before"),
    "png of a million chunks of pixels": (
        lambda: png(pixels=chunk(b"IDAT", packed(52)) + chunk(b"IDAT") * 10**6),
        "tiny pieces",
    ),
    "png of a million chunks behind": (
        lambda: png(pixels=chunk(b"IDAT", packed(52)) + chunk(b"tEXt") * 10**6),
        "512 chunks behind",
    ),
    "png of 200 packed texts of 1 MB": (
        lambda: png(chunk(b"zTXt", b"k\0\0" + packed(MB)) * 200),
        "over 100 times",
    ),
    "png of packed international texts": (
        lambda: png(chunk(b"iTXt", b"k\0\1\0en\0k\0" + packed(MB)) * 200),
        "over 100 times",
    ),
    "png of 6 MB of packed words": (
        lambda: png(chunk(b"zTXt", b"k\0\0" + packed_words(6 * MB))),
        "1 MB of packed text",
    ),
    "png of 45 MB of text": (lambda: png(chunk(b"tEXt", b"k\0" + bytes(45 * MB))), "4 MB of text"),
    "png of a packed profile of 60 MB": (
        lambda: png(chunk(b"iCCP", b"p\0\0" + packed(60 * MB))),
        "over 100 times",
    ),
    "png of a packed profile of 6 MB of words": (
        lambda: png(chunk(b"iCCP", b"p\0\0" + packed_words(6 * MB))),
        "profile of more than 1 MB",
    ),
    "png of a profile of 45 MB": (lambda: png(chunk(b"iCCP", b"p\0\0" + bytes(45 * MB))), "profile of"),
    "png of 1000 frames": (lambda: with_control_chunk(png(), 1000), "an animated PNG"),
    "jpeg of 176 megapixels": (lambda: jpeg(frame(16_000, 11_000), _SOS + bytes(300)), "67,108,864 pixels"),
    "jpeg of 65,535 x 65,535": (lambda: jpeg(frame(65_535, 65_535), _SOS), "no edge may be over"),
    "jpeg of no height": (lambda: jpeg(frame(48, 0), _SOS), "nothing in it"),
    "jpeg of 1000 scans": (_scans, "more than 64 scans"),
    "jpeg of a million segments": (lambda: jpeg(segment(0xFE) * 10**6), "1024 segments"),
    "jpeg of a million bare markers": (lambda: jpeg(b"\xff\xd0" * 10**6), "1024 segments"),
    "jpeg of 45 MB of fill bytes": (lambda: jpeg(b"\xff" * (45 * MB)), "breaks off"),
    "jpeg of a profile of 45 MB": (
        lambda: jpeg(profile_segments(45 * MB), frame(8, 8), _SOS),
        "profile of more than 4 MB",
    ),
    "webp of the largest canvas": (lambda: webp(vp8x(2**24, 2**24)), "no edge may be over"),
    "webp of 100 megapixels": (lambda: webp(vp8x(10_000, 10_000)), "67,108,864 pixels"),
    "webp of 1000 frames": (_frames, "an animated WebP"),
    "webp of a million chunks": (lambda: webp(vp8x(8, 8), webp_chunk(b"UNKN") * 10**6), "512 chunks"),
    "webp of a profile of 45 MB": (
        lambda: webp(
            vp8x(8, 8, 0x20),
            webp_chunk(b"ICCP", bytes(45 * MB)),
            webp_chunk(b"VP8L", b"\x2f" + ((7 << 14) | 7).to_bytes(4, "little")),
        ),
        "profile of more than 4 MB",
    ),
    "png behind which archives begin a thousand times": (
        lambda: png() + b"\7" + struct.pack("<4s18x", b"PK\5\6") * 2900 + b"%PDF-1.7",
        "a PDF document behind it",
    ),
}
