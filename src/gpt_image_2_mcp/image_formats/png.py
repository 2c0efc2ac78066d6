"""PNG chunks: W3C PNG, third edition, sections 5 and 11."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gpt_image_2_mcp.capabilities import (
    MAX_CHUNKS,
    MAX_PIXEL_CHUNKS,
    MAX_TEXT_BYTES,
    MAX_UNPACKED_BYTES,
)
from gpt_image_2_mcp.image_formats import exif, icc, inflating
from gpt_image_2_mcp.image_formats.layout import (
    ImageHeader,
    Part,
    Scan,
    animated,
    checked_size,
    damaged,
    overloaded,
    pretender,
    put_together,
    torn,
)
from gpt_image_2_mcp.sizes import Size

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER_END: Final = 33

# Colour type: samples a pixel, and the depths it may have (table 7 of the standard).
_COLOURS: Final = {
    0: (1, (1, 2, 4, 8, 16)),
    2: (3, (8, 16)),
    3: (1, (1, 2, 4, 8)),
    4: (2, (8, 16)),
    6: (4, (8, 16)),
}
_CRITICAL_AFTER_IHDR: Final = frozenset({b"PLTE", b"IDAT", b"IEND"})
_TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})

# What makes the look, and the longest content it has: a longer one would hide something.
_KEPT: Final = {
    b"IHDR": 13,
    b"PLTE": 768,
    b"tRNS": 256,
    b"gAMA": 4,
    b"cHRM": 32,
    b"sRGB": 1,
    b"cICP": 4,
    b"mDCV": 24,
    b"cLLI": 8,
    b"sBIT": 4,
    b"bKGD": 6,
    b"pHYs": 9,
}
_PROFILE_NAME: Final = b"profile\0\0"
_END: Final = b"\0\0\0\0IEND\xaeB`\x82"

# Deflate makes at most 1032 bytes of one.
_MAX_RATIO: Final = 1032


@dataclass(frozen=True, slots=True)
class _Frame:
    size: Size
    depth: int
    colour: int

    @property
    def raw_bytes(self) -> int:
        """The least that the pixels unpack to."""
        return self.size.pixels * self.depth * _COLOURS[self.colour][0] // 8


def read_header(data: bytes) -> ImageHeader | None:
    """The header in a file's first bytes; None when it is torn or empty."""
    if len(data) < _HEADER_END or data[12:16] != b"IHDR":
        return None
    size = Size(*struct.unpack_from(">II", data, 16))
    has_alpha = data[25] in (4, 6) or b"tRNS" in _kinds_before_pixels(data)
    return ImageHeader("png", size, has_alpha) if size.pixels else None


def _kinds_before_pixels(data: bytes) -> Iterator[bytes]:
    position = _HEADER_END
    for _ in range(MAX_CHUNKS):
        kind = data[position + 4 : position + 8]
        if len(kind) < 4 or kind in (b"IDAT", b"IEND"):
            return
        yield kind
        position += 12 + int.from_bytes(data[position : position + 4], "big")


def scan(data: bytes) -> Scan:
    frame = _frame(data)
    before, pixels, after = _in_thirds(_chunks(data))
    _check_pixels(data, frame, before, pixels)
    _check_texts(data, [part for part in (*before, *after) if part.kind in _TEXTS])
    _check_frames(data, before)
    _check_profile(data, before)
    has_alpha = frame.colour in (4, 6) or any(part.kind == b"tRNS" and _is_kept(part) for part in before)
    header = ImageHeader("png", frame.size, has_alpha)
    return Scan(header, _orientation(data, (*before, *after)), (*before, pixels), after[-1].end)


def _frame(data: bytes) -> _Frame:
    if len(data) < _HEADER_END:
        raise torn("PNG")
    width, height, depth, colour, compression, filter_, interlace = struct.unpack_from(">IIBBBBB", data, 16)
    if (
        data[8:16] != b"\0\0\0\rIHDR"
        or data[29:33] != zlib.crc32(data[12:29]).to_bytes(4, "big")
        or depth not in _COLOURS.get(colour, (0, ()))[1]
        or (compression, filter_) != (0, 0)
        or interlace > 1
    ):
        raise pretender("PNG")
    return _Frame(checked_size(width, height), depth, colour)


def _chunks(data: bytes) -> Iterator[Part]:
    """The chunks up to IEND, each run of IDAT as one."""
    part = _chunk(data, len(SIGNATURE))
    while part.kind != b"IEND":
        yield part
        part = _chunk(data, part.end)
        if part.kind == b"IDAT":
            part = _run(data, part)
        elif not part.kind[0] & 0x20 and part.kind not in _CRITICAL_AFTER_IHDR:
            raise damaged("PNG", "it has a chunk that no PNG has there")
    yield part


def _chunk(data: bytes, start: int) -> Part:
    if start + 12 > len(data):
        raise torn("PNG")
    length, kind = struct.unpack_from(">I4s", data, start)
    if not kind.isalpha():
        raise damaged("PNG", "its chunks do not follow one another")
    if start + 12 + length > len(data):
        raise torn("PNG")
    return Part(kind, start, start + 8, start + 8 + length, start + 12 + length)


def _run(data: bytes, first: Part) -> Part:
    """The run of IDAT that `first` begins; its content has the heads of the further chunks in it."""
    start, end, count = first.start, first.end, 1
    read_head = struct.Struct(">I4s").unpack_from
    while end + 12 <= len(data):
        length, kind = read_head(data, end)
        if kind != b"IDAT":
            break
        end += 12 + length
        count += 1
        if count > MAX_PIXEL_CHUNKS + (end - start) // 1024:
            raise overloaded("its pixels in thousands of tiny pieces")
    if end > len(data):
        raise torn("PNG")
    return Part(b"IDAT", start, first.body, end - 4, end)


def _in_thirds(chunks: Iterator[Part]) -> tuple[list[Part], Part, list[Part]]:
    """What comes before the pixels, the pixels, and what comes after them."""
    before: list[Part] = []
    for part in chunks:
        if part.kind == b"IDAT":
            return before, part, _behind_pixels(chunks)
        if len(before) > MAX_CHUNKS:
            raise overloaded(f"more than {MAX_CHUNKS} chunks before its pixels")
        before.append(part)
    raise damaged("PNG", "it has no pixels")


def _behind_pixels(chunks: Iterator[Part]) -> list[Part]:
    found: list[Part] = []
    for part in chunks:
        found.append(part)
        if len(found) > MAX_CHUNKS:
            raise overloaded(f"more than {MAX_CHUNKS} chunks behind its pixels")
        if part.kind == b"IDAT":
            raise damaged("PNG", "its pixels are in several places")
    return found


def _check_pixels(data: bytes, frame: _Frame, before: list[Part], pixels: Part) -> None:
    if not inflating.begins_a_stream(_first_pixels(data, pixels)):
        raise pretender("PNG")
    if len(pixels) * _MAX_RATIO < frame.raw_bytes:
        raise damaged("PNG", f"it holds fewer pixels than the {frame.size} it claims")
    palettes = [len(part) for part in before if part.kind == b"PLTE"]
    if len(palettes) > 1 or (frame.colour == 3 and not palettes) or any(n % 3 or n > 768 for n in palettes):
        raise damaged("PNG", "its palette is wrong")


def _first_pixels(data: bytes, run: Part) -> bytes:
    """The first bytes of the pixels' stream, which may begin in chunks of a byte or of none."""
    head, position = b"", run.start
    while len(head) < 16 and position < run.end:
        length = int.from_bytes(data[position : position + 4], "big")
        head += data[position + 8 : position + 8 + min(length, 64)]
        position += 12 + length
    return head


def _check_texts(data: bytes, texts: list[Part]) -> None:
    if sum(map(len, texts)) > MAX_TEXT_BYTES:
        raise overloaded(f"more than {MAX_TEXT_BYTES >> 20} MB of text in it")
    unpacked = 0
    for part in texts:
        start = _packed_start(data, part)
        unpacked += inflating.inflated_length(data, start, part.body_end, MAX_UNPACKED_BYTES - unpacked)
        if unpacked > MAX_UNPACKED_BYTES:
            raise overloaded("more than 1 MB of packed text in it")


def _packed_start(data: bytes, part: Part) -> int:
    """Where the packed part of a text begins; its end where nothing is packed."""
    keyword_end = data.find(b"\0", part.body, part.body_end)
    if keyword_end < 0 or part.kind == b"tEXt":
        return part.body_end
    if part.kind == b"zTXt":
        return keyword_end + 2
    language_end = data.find(b"\0", keyword_end + 3, part.body_end)
    translated_end = data.find(b"\0", language_end + 1, part.body_end)
    is_packed = data[keyword_end + 1] == 1 and 0 <= language_end < translated_end
    return translated_end + 1 if is_packed else part.body_end


def _check_frames(data: bytes, before: list[Part]) -> None:
    for part in before:
        if part.kind == b"acTL" and part.content(data, 4) != b"\0\0\0\1":
            raise animated("PNG")


def _check_profile(data: bytes, before: list[Part]) -> None:
    part = _profile(before)
    if part:
        icc.check_length(len(part))
        start = _profile_start(data, part)
        if inflating.inflated_length(data, start, part.body_end, MAX_UNPACKED_BYTES) > MAX_UNPACKED_BYTES:
            raise overloaded("a packed colour profile of more than 1 MB")


def _profile(parts: Iterable[Part]) -> Part | None:
    return next((part for part in parts if part.kind == b"iCCP"), None)


def _profile_start(data: bytes, part: Part) -> int:
    name_end = data.find(b"\0", part.body, part.body_end)
    return part.body_end if name_end < 0 else name_end + 2


def _orientation(data: bytes, parts: Iterable[Part]) -> int:
    blocks = (part.content(data, exif.READ_BYTES) for part in parts if part.kind == b"eXIf")
    return exif.orientation(next(blocks, b""))


def cleaned(data: bytes, scan: Scan) -> bytes:
    *before, pixels = scan.parts
    profile = _profile(before)
    block = exif.minimal(scan.orientation)
    pieces: list[Part | bytes] = [SIGNATURE]
    for part in before:
        if part is profile:
            pieces.append(_neutral_profile(data, part))
        elif _is_kept(part):
            pieces.append(part)
    if block:
        pieces.append(_made_chunk(b"eXIf", block))
    return put_together(data, scan.end, [*pieces, pixels, _END])


def _is_kept(part: Part) -> bool:
    return len(part) <= _KEPT.get(part.kind, -1)


def _neutral_profile(data: bytes, part: Part) -> bytes:
    """The profile packed anew, under a name that tells nothing; empty when it is none."""
    packed = inflating.pieces(data, _profile_start(data, part), part.body_end)
    profile = icc.genuine(b"".join(packed))
    return _made_chunk(b"iCCP", _PROFILE_NAME + zlib.compress(profile)) if profile else b""


def _made_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
