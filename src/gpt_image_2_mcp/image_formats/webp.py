"""WebP chunks: RFC 9649; VP8 frame headers: RFC 6386 section 9.1."""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable, Iterator
from typing import Final

from gpt_image_2_mcp.capabilities import MAX_CHUNKS
from gpt_image_2_mcp.image_formats import exif, icc
from gpt_image_2_mcp.image_formats.layout import (
    ImageHeader,
    Part,
    Scan,
    Unfit,
    animated,
    checked_size,
    damaged,
    overloaded,
    pretender,
    put_together,
    torn,
)
from gpt_image_2_mcp.sizes import Size

_FIRST: Final = 12
_CHUNK_HEAD: Final = 8
_HEADER_BYTES: Final = 10
"""Of VP8X and of VP8, of which the lossless one needs 5."""
_HAS_PROFILE, _HAS_ALPHA, _HAS_EXIF, _IS_ANIMATED = 0x20, 0x10, 0x08, 0x02
_PIXELS: Final = frozenset({b"VP8 ", b"VP8L"})


def is_webp(data: bytes) -> bool:
    return data.startswith(b"RIFF") and data.startswith(b"WEBP", 8)


def read_header(data: bytes) -> ImageHeader | None:
    """The header in a file's first bytes; None when it is torn or empty."""
    try:
        header = _header(data, _chunk(data, _FIRST))
    except (Unfit, struct.error):
        return None
    return header if header.size.pixels else None


def _chunk(data: bytes, start: int) -> Part:
    kind, length = struct.unpack_from("<4sI", data, start)
    body = start + _CHUNK_HEAD
    return Part(kind, start, body, body + length, body + length + length % 2)


def _header(data: bytes, part: Part) -> ImageHeader:
    """What VP8X or a bitstream says of itself. Raises struct.error where it breaks off."""
    content = part.content(data, _HEADER_BYTES)
    if part.kind == b"VP8X":
        flags, width, width_high, height, height_high = struct.unpack_from("<B3xHBHB", content)
        size = Size(width + (width_high << 16) + 1, height + (height_high << 16) + 1)
        return ImageHeader("webp", size, bool(flags & _HAS_ALPHA))
    if part.kind == b"VP8L":
        mark, bits = struct.unpack_from("<BI", content)
        if mark == 0x2F and not bits >> 29:
            size = Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
            return ImageHeader("webp", size, bool(bits >> 28 & 1))
    if part.kind == b"VP8 ":
        mark, start_code, width, height = struct.unpack_from("<B2x3sHH", content)
        if not mark & 1 and start_code == b"\x9d\x01\x2a":
            return ImageHeader("webp", Size(width & 0x3FFF, height & 0x3FFF), has_alpha=False)
    raise pretender("WebP")


def scan(data: bytes) -> Scan:
    try:
        (length,) = struct.unpack_from("<I", data, 4)
        first = _chunk(data, _FIRST)
        header = _header(data, first)
    except struct.error:
        raise torn("WebP") from None
    checked_size(header.size.width, header.size.height)
    if _flags(data, (first,)) & _IS_ANIMATED:
        raise animated("WebP")
    end = _CHUNK_HEAD + length
    if end > len(data):
        raise torn("WebP")
    parts = tuple(_chunks(data, end))
    _check_pixels(data, parts, header)
    icc.check_length(len(_flagged(data, parts, b"ICCP", _HAS_PROFILE)))
    block = _flagged(data, parts, b"EXIF", _HAS_EXIF)[: exif.READ_BYTES]
    return Scan(header, exif.orientation(bytes(block)), parts, end)


def _chunks(data: bytes, end: int) -> Iterator[Part]:
    position = _FIRST
    for _ in range(MAX_CHUNKS):
        if position + _CHUNK_HEAD > end:
            return
        part = _chunk(data, position)
        if part.body_end > end:
            raise damaged("WebP", "its chunks are longer than the file")
        yield part
        position = part.end
    raise overloaded(f"more than {MAX_CHUNKS} chunks")


def _check_pixels(data: bytes, parts: tuple[Part, ...], header: ImageHeader) -> None:
    pixels = _first(parts, _PIXELS)
    try:
        if pixels and _header(data, pixels).size == header.size:
            return
    except struct.error:
        pass
    raise damaged("WebP", f"it has no pixels of the {header.size} it claims")


def _first(parts: Iterable[Part], kinds: Container[bytes]) -> Part | None:
    return next((part for part in parts if part.kind in kinds), None)


def _flags(data: bytes, parts: tuple[Part, ...]) -> int:
    return data[parts[0].body] if parts[0].kind == b"VP8X" else 0


def _flagged(data: bytes, parts: tuple[Part, ...], kind: bytes, flag: int) -> memoryview:
    """The content of the first chunk of a kind; empty when VP8X does not say that there is one, as decoders
    then pass it over.
    """
    part = _first(parts, {kind}) if _flags(data, parts) & flag else None
    return memoryview(data)[part.body : part.body_end] if part else memoryview(b"")


def cleaned(data: bytes, scan: Scan) -> bytes:
    pixels = _first(scan.parts, _PIXELS)
    assert pixels is not None  # noqa: S101 - the scan found them
    chunks = [_kept(data, pixels, scan.end)]
    if scan.parts[0].kind == b"VP8X":
        chunks = _extended(data, scan, chunks)
    length = sum(chunk.end - chunk.start if isinstance(chunk, Part) else len(chunk) for chunk in chunks)
    head = b"RIFF" + struct.pack("<I", len(b"WEBP") + length) + b"WEBP"
    return put_together(data, scan.end, [head, *chunks])


def _extended(data: bytes, scan: Scan, pixels: list[Part | bytes]) -> list[Part | bytes]:
    profile = icc.genuine(bytes(_flagged(data, scan.parts, b"ICCP", _HAS_PROFILE)))
    alpha = _first(scan.parts, {b"ALPH"})
    block = exif.minimal(scan.orientation)
    flags = _flags(data, scan.parts) & _HAS_ALPHA
    flags |= (_HAS_PROFILE if profile else 0) | (_HAS_EXIF if block else 0)
    canvas = scan.parts[0].content(data)[4:10]
    return [
        _made_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + canvas),
        *([_made_chunk(b"ICCP", profile)] if profile else []),
        *([_kept(data, alpha, scan.end)] if alpha else []),
        *pixels,
        *([_made_chunk(b"EXIF", block)] if block else []),
    ]


def _kept(data: bytes, part: Part, end: int) -> Part | bytes:
    """The chunk as it stands, if what fills it up to an even length is there and hides nothing."""
    filled = part.end <= end and data[part.body_end : part.end] in (b"", b"\0")
    return part if filled else _made_chunk(part.kind, part.content(data))


def _made_chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
