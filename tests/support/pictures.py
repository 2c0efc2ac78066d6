"""Small real pictures for tests."""

from __future__ import annotations

from io import BytesIO
from typing import Literal

from PIL import Image


def picture(
    width: int = 64,
    height: int = 48,
    format_: Literal["PNG", "JPEG", "WEBP", "GIF", "BMP"] = "PNG",
    color: str = "teal",
    mode: Literal["RGB", "RGBA", "P", "L"] = "RGB",
) -> bytes:
    """The bytes of a one-colour picture."""
    buffer = BytesIO()
    Image.new("RGB", (width, height), color).convert(mode).save(buffer, format_)
    return buffer.getvalue()


def mask(width: int = 64, height: int = 48) -> bytes:
    """A mask whose left half is transparent: edit here."""
    image = Image.new("RGBA", (width, height), "black")
    image.paste((0, 0, 0, 0), (0, 0, width // 2, height))
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """The decoded picture, so that a broken one fails the test."""
    image = Image.open(BytesIO(data))
    image.load()
    return image
