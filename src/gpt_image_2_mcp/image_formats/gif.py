"""GIF, which a model may answer with and which is no input: its head and its frames. GIF89a, 1990."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from gpt_image_2_mcp.image_formats.layout import ImageHeader
from gpt_image_2_mcp.sizes import Size

SIGNATURES: Final = (b"GIF87a", b"GIF89a")
_SCREEN_BYTES: Final = 13
_PLACE_BYTES: Final = 9
_EXTENSION, _FRAME, _TIMING = b"!", b",", b"\xf9"


@dataclass(frozen=True, slots=True)
class Animation:
    """How many frames there are, and how long they last together."""

    frames: int
    duration_ms: int


def read_header(data: bytes) -> ImageHeader | None:
    """The header in a file's first bytes; None when it is torn or empty. Section 18."""
    if len(data) < 10:
        return None
    size = Size(*struct.unpack_from("<HH", data, 6))
    return ImageHeader("gif", size, has_alpha=False) if size.pixels else None


def read_animation(file: BinaryIO) -> Animation | None:
    """The frames of a file that begins at `file`'s place, by the lengths in it; None where there is only one.

    Leniently: of a torn file, the frames that begin before its end.
    """
    _skip_colours(file, file.read(_SCREEN_BYTES)[10:11])
    frames = hundredths = 0
    while (block := file.read(1)) in (_EXTENSION, _FRAME):
        if block == _FRAME:
            frames += 1
            _skip_colours(file, file.read(_PLACE_BYTES)[8:9])
            file.read(1)
        elif file.read(1) == _TIMING:
            timing = file.read(5)  # their length and four bytes
            hundredths += int.from_bytes(timing[2:4], "little")
        _skip_data(file)
    return Animation(frames, 10 * hundredths) if frames > 1 else None


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    """A colour table, if the flags that stand before it say that there is one."""
    if flags and flags[0] & 0x80:
        file.read(3 << ((flags[0] & 7) + 1))


def _skip_data(file: BinaryIO) -> None:
    """Sub-blocks, up to and with the empty one. Section 15."""
    while length := file.read(1):
        if length == b"\0" or len(file.read(length[0])) < length[0]:
            return
