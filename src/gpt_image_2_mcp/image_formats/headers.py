"""Reads format, size and alpha of a picture from its first bytes; leniently, for a paid picture is kept."""

from __future__ import annotations

from gpt_image_2_mcp.image_formats import gif, jpeg, png, webp
from gpt_image_2_mcp.image_formats.layout import ImageHeader


def read_header(data: bytes) -> ImageHeader | None:
    """The header of a PNG, JPEG, WebP or GIF; None for anything else, torn headers included."""
    if data.startswith(png.SIGNATURE):
        return png.read_header(data)
    if data.startswith(jpeg.SIGNATURE):
        return jpeg.read_header(data)
    if webp.is_webp(data):
        return webp.read_header(data)
    if data.startswith(gif.SIGNATURES):
        return gif.read_header(data)
    return None
