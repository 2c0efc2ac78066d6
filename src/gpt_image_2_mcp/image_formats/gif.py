"""The head of a GIF, which a model may answer with and which is no input: GIF89a section 18."""

from __future__ import annotations

import struct
from typing import Final

from gpt_image_2_mcp.capabilities import Size
from gpt_image_2_mcp.image_formats.layout import ImageHeader

SIGNATURES: Final = (b"GIF87a", b"GIF89a")


def read_header(data: bytes) -> ImageHeader | None:
    """The header in a file's first bytes; None when it is torn or empty."""
    if len(data) < 10:
        return None
    size = Size(*struct.unpack_from("<HH", data, 6))
    return ImageHeader("gif", size, has_alpha=False) if size.pixels else None
