"""JPEG segments: ITU T.81 annex B, JFIF 1.02, Adobe TN 5116 for APP14, ICC.1:2022 annex B.4 for APP2."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Final

from gpt_image_2_mcp.capabilities import MAX_JPEG_SCANS, MAX_JPEG_SEGMENTS
from gpt_image_2_mcp.image_formats import exif, icc
from gpt_image_2_mcp.image_formats.layout import (
    ImageHeader,
    Part,
    Scan,
    Unfit,
    checked_size,
    damaged,
    overloaded,
    pretender,
    put_together,
    torn,
)
from gpt_image_2_mcp.sizes import Size

SIGNATURE: Final = b"\xff\xd8\xff"
_SOI, _EOI, _SOS, _APP0, _APP1, _APP2, _APP14 = b"\xd8", b"\xd9", b"\xda", b"\xe0", b"\xe1", b"\xe2", b"\xee"

# SOF0-SOF15 without DHT (C4), JPG (C8) and DAC (CC), which share the range.
_FRAMES: Final = frozenset(bytes([m]) for m in range(0xC0, 0xD0) if m not in (0xC4, 0xC8, 0xCC))
# Baseline, extended and progressive, with either coder: lossless and hierarchical ones hardly anybody reads.
_READABLE_FRAMES: Final = frozenset({b"\xc0", b"\xc1", b"\xc2", b"\xc9", b"\xca"})
_TABLES: Final = frozenset({b"\xc4", b"\xcc", b"\xdb", b"\xdc", b"\xdd"})
_KEPT: Final = _READABLE_FRAMES | _TABLES | {_SOS}
_BARE: Final = frozenset({_EOI, *(bytes([m]) for m in (0x01, *range(0xD0, 0xD8)))})

# Entropy-coded data goes on over stuffed zeros and restart markers, and ends before any other marker.
_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_NO_FILL: Final = re.compile(rb"[^\xff]")
_WINDOW: Final = 4 * 1024 * 1024
_MAX_FILL: Final = 64 * 1024

_JFIF: Final = b"JFIF\0"
_JFIF_BYTES: Final = 12
"""Up to the size of its thumbnail."""
_ADOBE: Final = b"Adobe"
_ADOBE_BYTES: Final = 12
_ICC: Final = b"ICC_PROFILE\0"
_ICC_HEAD: Final = len(_ICC) + 2
_ICC_SLICE: Final = 65_533 - _ICC_HEAD


def read_header(data: bytes) -> ImageHeader | None:
    """The header in a file's first bytes; None when it is torn or empty."""
    position = len(_SOI) + 1
    try:
        for _ in range(MAX_JPEG_SEGMENTS):
            part = _segment(data, position)
            if part.kind in _FRAMES:
                return _header(_size(data, part))
            position = part.end
    except Unfit:
        pass
    return None


def _header(size: Size) -> ImageHeader | None:
    return ImageHeader("jpeg", size, has_alpha=False) if size.pixels else None


def _size(data: bytes, frame: Part) -> Size:
    if len(frame) < 6:
        raise damaged("JPEG", "its frame is too short")
    height, width = struct.unpack_from(">HH", data, frame.body + 1)
    return Size(width, height)


def scan(data: bytes) -> Scan:
    parts: list[Part] = []
    size = None
    for part in _segments(data):
        if part.kind in _FRAMES:
            size = _frame_size(data, part, size)
        elif part.kind == _SOS and not size:
            raise pretender("JPEG")
        parts.append(part)
    head = list(_head(parts))
    if size is None or len(head) == len(parts):
        raise pretender("JPEG")
    icc.check_length(sum(len(part) - _ICC_HEAD for part in _applications(data, head, _APP2, _ICC)))
    header = ImageHeader("jpeg", size, has_alpha=False)
    return Scan(header, _orientation(data, head), tuple(parts), parts[-1].end)


def _segments(data: bytes) -> Iterator[Part]:
    """The segments from SOI to EOI; that of a scan has its entropy-coded data behind its content."""
    position, scans = len(_SOI) + 1, 0
    for _ in range(MAX_JPEG_SEGMENTS):
        part = _segment(data, position)
        if part.kind == _SOS:
            scans += 1
            if scans > MAX_JPEG_SCANS:
                raise overloaded(f"more than {MAX_JPEG_SCANS} scans")
            part = replace(part, end=_entropy_end(data, part.end))
        yield part
        if part.kind == _EOI:
            return
        position = part.end
    raise overloaded(f"more than {MAX_JPEG_SEGMENTS} segments")


def _segment(data: bytes, position: int) -> Part:
    mark = _NO_FILL.search(data, position, position + _MAX_FILL)
    if mark is None:
        raise torn("JPEG")
    if mark.start() == position:
        raise damaged("JPEG", "its segments do not follow one another")
    kind, start, body = mark[0], mark.start() - 1, mark.end()
    if kind in _BARE:
        return Part(kind, start, body, body, body)
    length = int.from_bytes(data[body : body + 2], "big")
    if body + max(length, 2) > len(data):
        raise torn("JPEG")
    if kind in (b"\0", _SOI) or length < 2:
        raise damaged("JPEG", "it has a segment that no JPEG has there")
    return Part(kind, start, body + 2, body + length, body + length)


def _entropy_end(data: bytes, position: int) -> int:
    # In windows, so that other threads have their turn: a search holds the interpreter.
    for start in range(position, len(data), _WINDOW):
        found = _NEXT_MARKER.search(data, start, start + _WINDOW + 1)
        if found:
            return found.start()
    raise torn("JPEG")


def _frame_size(data: bytes, frame: Part, before: Size | None) -> Size:
    if frame.kind not in _READABLE_FRAMES:
        raise Unfit("is a lossless or hierarchical JPEG, which hardly any program reads")
    size = _size(data, frame)
    if before or len(frame) != 6 + 3 * data[frame.body + 5]:
        raise damaged("JPEG", "its frame is wrong")
    return checked_size(size.width, size.height)


def _head(parts: Iterable[Part]) -> Iterator[Part]:
    """What comes before the first scan; only there decoders look for what the whole picture needs."""
    return takewhile(lambda part: part.kind != _SOS, parts)


def _applications(data: bytes, parts: Iterable[Part], kind: bytes, name: bytes, least: int = 0) -> list[Part]:
    return [
        part
        for part in parts
        if part.kind == kind and len(part) >= least and data.startswith(name, part.body, part.body_end)
    ]


def _orientation(data: bytes, head: list[Part]) -> int:
    blocks = _applications(data, head, _APP1, exif.PREFIX)
    return exif.orientation(blocks[0].content(data)) if blocks else 1


def cleaned(data: bytes, scan: Scan) -> bytes:
    head = list(_head(scan.parts))
    jfif = _applications(data, head, _APP0, _JFIF, _JFIF_BYTES + 2)[:1]
    adobe = _applications(data, head, _APP14, _ADOBE, _ADOBE_BYTES)
    block = exif.minimal(scan.orientation)
    pieces: list[Part | bytes] = [
        b"\xff" + _SOI,
        *(_made_segment(_APP0, part.content(data, _JFIF_BYTES) + b"\0\0") for part in jfif),
        *([_made_segment(_APP1, exif.PREFIX + block)] if block else []),
        *_profile_segments(icc.genuine(_profile(data, head))),
        *(_made_segment(_APP14, part.content(data, _ADOBE_BYTES)) for part in adobe),
        *(part for part in scan.parts if part.kind in _KEPT),
        b"\xff" + _EOI,
    ]
    return put_together(data, scan.end, pieces)


def _made_segment(kind: bytes, content: bytes) -> bytes:
    return b"\xff" + kind + struct.pack(">H", len(content) + 2) + content


def _profile(data: bytes, head: list[Part]) -> bytes:
    """The profile put together; empty when a slice of it is missing or there twice."""
    slices = [part.content(data)[len(_ICC) :] for part in _applications(data, head, _APP2, _ICC)]
    slices.sort(key=lambda slice_: slice_[:1])
    if [tuple(slice_[:2]) for slice_ in slices] != [(i, len(slices)) for i in range(1, len(slices) + 1)]:
        return b""
    return b"".join(slice_[2:] for slice_ in slices)


def _profile_segments(profile: bytes) -> Iterator[bytes]:
    starts = range(0, len(profile), _ICC_SLICE)
    for number, start in enumerate(starts, 1):
        head = _ICC + bytes([number, len(starts)])
        yield _made_segment(_APP2, head + profile[start : start + _ICC_SLICE])
