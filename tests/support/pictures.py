"""Small real pictures for tests."""

from __future__ import annotations

from io import BytesIO
from random import Random
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


def noise(width: int, height: int, format_: Literal["PNG", "JPEG", "WEBP"] = "PNG") -> bytes:
    """A picture that compresses as badly as any; the same each time."""
    bands = Random(f"{width}x{height}").randbytes(3 * width * height)
    buffer = BytesIO()
    Image.frombytes("RGB", (width, height), bands).save(buffer, format_, compress_level=1)
    return buffer.getvalue()


def animation(frames: int, frame_ms: int = 200, width: int = 64, height: int = 48) -> bytes:
    """A GIF of so many one-colour frames, the first of them red."""
    drawn = [Image.new("RGB", (width, height), f"hsl({n * 360 // frames},90%,50%)") for n in range(frames)]
    buffer = BytesIO()
    drawn[0].save(buffer, "GIF", save_all=True, append_images=drawn[1:], duration=frame_ms, loop=0)
    return buffer.getvalue()


def mask(width: int = 64, height: int = 48) -> bytes:
    """A mask whose left half is transparent: edit here."""
    image = Image.new("RGBA", (width, height), "black")
    image.paste((0, 0, 0, 0), (0, 0, width // 2, height))
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def phone_photograph() -> bytes:
    """What a phone writes: a JPEG turned by its EXIF, with a place, a camera, a thumbnail, texts, a second
    picture and a film. Every word of it that is nobody's business begins with SECRET.
    """
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x0110] = "SECRET camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (59.0, 19.0, 45.0), 29: "SECRET:date"})
    exif.get_ifd(0x8769).update({0x927C: b"SECRET maker note" * 20})
    image = Image.new("RGB", (64, 48), "teal")
    image.paste("orange", (0, 0, 20, 10))
    small = image.resize((16, 12))
    thumbnail, buffer = BytesIO(), BytesIO()
    small.save(thumbnail, "JPEG", comment=b"SECRET thumbnail")
    notes = {"exif": exif.tobytes() + thumbnail.getvalue(), "comment": b"SECRET comment"}
    xmp = b"<x:xmpmeta>SECRET tool</x:xmpmeta>"
    image.save(buffer, "MPO", save_all=True, append_images=[small], xmp=xmp, **notes)
    film = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42SECRET film"
    return buffer.getvalue() + film + b"SEFT"


def opened(data: bytes) -> Image.Image:
    """The decoded picture, so that a broken one fails the test."""
    image = Image.open(BytesIO(data))
    image.load()
    return image
