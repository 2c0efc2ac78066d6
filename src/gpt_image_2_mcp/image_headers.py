"""Reads format, size and alpha of a picture from its first bytes, in pure Python and without decoding.

PNG: W3C PNG 3rd edition section 11. JPEG: ITU T.81 annex B. WebP: RFC 9649. GIF: GIF89a.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpt_image_2_mcp.capabilities import Size

_MIME_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}
FORMATS = tuple(_MIME_TYPES)
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PNG_CHUNKS = 512
_MAX_JPEG_SEGMENTS = 4096
# SOF0-SOF15 without DHT (C4), JPG (C8) and DAC (CC), which share the range.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """`format` is png, jpeg, webp or gif; `has_alpha` says that the file can hold transparency."""

    format: str
    size: Size
    has_alpha: bool

    @property
    def mime_type(self) -> str:
        return _MIME_TYPES[self.format]


def read_header(data: bytes) -> ImageHeader | None:
    """The header of a PNG, JPEG, WebP or GIF; None for anything else, torn headers included."""
    if data.startswith(_PNG_SIGNATURE):
        return _png(data)
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        return _header("gif", _little(data, 6, 2), _little(data, 8, 2), has_alpha=False)
    return None


def _header(format_: str, width: int, height: int, *, has_alpha: bool) -> ImageHeader | None:
    return ImageHeader(format_, Size(width, height), has_alpha) if width and height else None


def _little(data: bytes, start: int, length: int) -> int:
    return int.from_bytes(data[start : start + length], "little")


def _big(data: bytes, start: int, length: int) -> int:
    return int.from_bytes(data[start : start + length], "big")


def _png(data: bytes) -> ImageHeader | None:
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    has_alpha = data[25] in (4, 6) or b"tRNS" in _png_chunks_before_pixels(data)
    return _header("png", _big(data, 16, 4), _big(data, 20, 4), has_alpha=has_alpha)


def _png_chunks_before_pixels(data: bytes) -> Iterator[bytes]:
    position = 33
    for _ in range(_MAX_PNG_CHUNKS):
        kind = data[position + 4 : position + 8]
        if len(kind) < 4 or kind in (b"IDAT", b"IEND"):
            return
        yield kind
        position += 12 + _big(data, position, 4)


def _jpeg(data: bytes) -> ImageHeader | None:
    position = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        if position + 9 > len(data) or data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _JPEG_BARE_MARKERS:
            position += 2
        elif marker in _JPEG_FRAMES:
            return _header("jpeg", _big(data, position + 7, 2), _big(data, position + 5, 2), has_alpha=False)
        else:
            position += 2 + max(_big(data, position + 2, 2), 2)
    return None


def _webp(data: bytes) -> ImageHeader | None:
    kind = data[12:16]
    if len(data) < 30:
        return None
    if kind == b"VP8X":
        alpha = bool(data[20] & 0x10)
        return _header("webp", _little(data, 24, 3) + 1, _little(data, 27, 3) + 1, has_alpha=alpha)
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = _little(data, 21, 4)
        return _header("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, has_alpha=bool(bits >> 28 & 1))
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        return _header("webp", _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF, has_alpha=False)
    return None
