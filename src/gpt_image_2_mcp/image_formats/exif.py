"""The one thing in EXIF that changes how a picture looks: its orientation. EXIF 3.0 section 4.6."""

from __future__ import annotations

import struct
from typing import Final

PREFIX: Final = b"Exif\0\0"
READ_BYTES: Final = 64 * 1024
"""How much of an EXIF block is looked at; a JPEG segment cannot hold more."""

_ORIENTATION: Final = 0x0112
_MAX_ENTRIES: Final = 512
# SHORT as the standard has it, and LONG, which some programs write and Pillow reads.
_VALUES: Final = {3: "H", 4: "I"}


def orientation(block: bytes) -> int:
    """The orientation that a TIFF block tells, 1 to 8; 1 where it tells none or cannot be read."""
    tiff = block.removeprefix(PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        return _among(tiff, order, first + 2, min(count, _MAX_ENTRIES))
    except struct.error:  # an offset or an entry lies outside the block
        return 1


def _among(tiff: bytes, order: str, start: int, count: int) -> int:
    for entry in range(start, start + 12 * count, 12):
        tag, type_, values = struct.unpack_from(f"{order}HHI", tiff, entry)
        if tag == _ORIENTATION and values == 1 and type_ in _VALUES:
            (value,) = struct.unpack_from(order + _VALUES[type_], tiff, entry + 8)
            return value if 1 <= value <= 8 else 1
    return 1


def minimal(orientation: int) -> bytes:
    """A TIFF block that tells the orientation and nothing else; empty for 1, which is what no block means."""
    if orientation == 1:
        return b""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)
