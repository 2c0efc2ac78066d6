"""Pictures of all kinds made by Pillow, and files put together chunk by chunk."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms, PngImagePlugin

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
SOI, EOI = b"\xff\xd8", b"\xff\xd9"


def saved(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def drawn(mode: str, width: int = 31, height: int = 17) -> Image.Image:
    """A picture with some of everything, half transparent where its mode can be."""
    image = Image.new("RGBA", (width, height), (10, 200, 90, 255))
    image.paste((200, 20, 30, 100), (0, 0, width // 2 + 1, height // 2 + 1))
    return image if mode == "RGBA" else image.convert(mode)


def palette(*, transparent: bool) -> bytes:
    image = drawn("P")
    return saved(image, "PNG", transparency=0) if transparent else saved(image, "PNG")


def exif(orientation: int = 6) -> Image.Exif:
    """What a camera writes, with words and a place to look for."""
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010E] = "SECRET description " * 500
    data.get_ifd(0x8825).update({1: "N", 2: (59.0, 19.0, 45.0), 29: "SECRET:date"})
    data.get_ifd(0x8769).update({0x927C: b"SECRET maker note" * 20, 0x9286: b"ASCII\0\0\0SECRET comment"})
    return data


@cache
def profile() -> bytes:
    """A real colour profile."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def animated(format_: str, mode: str) -> bytes:
    frames = [drawn(mode), Image.new(mode, (31, 17), "red")]
    return saved(frames[0], format_, save_all=True, append_images=frames[1:], duration=50)


def after_soi(extra: bytes, picture: bytes) -> bytes:
    assert picture.startswith(SOI)
    return SOI + extra + picture[2:]


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """A PNG chunk."""
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(*chunks: bytes, head: bytes | None = None, pixels: bytes | None = None) -> bytes:
    """A PNG of 4x4 black pixels with `chunks` before them."""
    pixels = chunk(b"IDAT", zlib.compress(bytes(4 * 13))) if pixels is None else pixels
    return b"".join([PNG_SIGNATURE, ihdr(4, 4) if head is None else head, *chunks, pixels, chunk(b"IEND")])


def segment(marker: int, content: bytes = b"") -> bytes:
    """A JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def webp_chunk(kind: bytes, content: bytes = b"") -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def vp8x(width: int, height: int, flags: int = 0) -> bytes:
    edges = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + edges)


def texts() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "SECRET text")
    info.add_text("parameters", "SECRET packed text" * 50, zip=True)
    info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>SECRET xmp</x:xmpmeta>")
    info.add_itxt("Title", "SECRET packed title" * 50, "en", "Titel", zip=True)
    info.add(b"tIME", b"\x07\xea\x01\x02\x03\x04\x05")
    info.add(b"caBX", b"SECRET jumbf")
    info.add(b"prVt", b"SECRET private", after_idat=True)
    return info


XMP = b"<x:xmpmeta><rdf:Description xmp:CreatorTool='SECRET tool'/></x:xmpmeta>"
STILLS_WITH_METADATA = ("png with everything", "jpeg with everything", "webp with everything")


@cache
def stills() -> dict[str, bytes]:
    """Pictures that may be sent."""
    rgb, rgba, jpeg = drawn("RGB"), drawn("RGBA"), saved(drawn("RGB"), "JPEG")
    return {
        "png rgb": saved(rgb, "PNG"),
        "png rgba": saved(rgba, "PNG"),
        "png grey": saved(drawn("L"), "PNG"),
        "png grey alpha": saved(drawn("LA"), "PNG"),
        "png bits": saved(drawn("1"), "PNG"),
        "png 16 bits": saved(drawn("L").convert("I;16"), "PNG"),
        "png palette": palette(transparent=False),
        "png palette with transparency": palette(transparent=True),
        "png rgb with a transparent colour": saved(rgb, "PNG", transparency=(10, 200, 90)),
        "png grey with a transparent shade": saved(drawn("L"), "PNG", transparency=7),
        "png interlaced": interlaced(),
        "png of one frame": with_control_chunk(saved(rgb, "PNG")),
        "png with a false profile": saved(rgb, "PNG", icc_profile=b"SECRET profile" * 30),
        "png with everything": saved(
            rgba, "PNG", dpi=(300, 300), icc_profile=profile(), exif=exif(), pnginfo=texts()
        ),
        "jpeg": jpeg,
        "jpeg grey": saved(drawn("L"), "JPEG"),
        "jpeg cmyk": saved(rgb.convert("CMYK"), "JPEG"),
        "jpeg as rgb": saved(rgb, "JPEG", keep_rgb=True),
        "jpeg progressive": saved(rgb, "JPEG", progressive=True, comment=b"SECRET comment"),
        "jpeg cmyk progressive": saved(rgb.convert("CMYK"), "JPEG", progressive=True),
        "jpeg with restart markers": saved(rgb, "JPEG", restart_marker_blocks=1),
        "jpeg with fill bytes": after_soi(b"\xff" * 5, jpeg),
        "jpeg with a long false profile": saved(rgb, "JPEG", icc_profile=b"SECRET profile" * 8000),
        "jpeg with everything": saved(
            rgb, "JPEG", dpi=(72, 72), exif=exif(), icc_profile=profile(), comment=b"SECRET" * 9000, xmp=XMP
        ),
        "webp lossy": saved(rgb, "WEBP", quality=50),
        "webp lossy with alpha": saved(rgba, "WEBP", quality=50),
        "webp lossless": saved(rgb, "WEBP", lossless=True),
        "webp lossless with alpha": saved(rgba, "WEBP", lossless=True),
        "webp with exif": saved(rgb, "WEBP", exif=exif()),
        "webp with everything": saved(rgba, "WEBP", exif=exif(), icc_profile=profile(), xmp=XMP),
    }


def interlaced() -> bytes:
    """Pillow writes none: 8x8 grey pixels, each with its number, in the seven passes of Adam7."""
    passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]
    raw = b"".join(
        b"\0" + bytes(8 * y + x for x in range(left, 8, across))
        for left, top, across, down in passes
        for y in range(top, 8, down)
    )
    return png(head=ihdr(8, 8, colour=0, interlace=1), pixels=chunk(b"IDAT", zlib.compress(raw)))


def with_control_chunk(png_: bytes, frames: int = 1) -> bytes:
    """The PNG as an animation of so many frames would begin."""
    return png_[:33] + chunk(b"acTL", struct.pack(">II", frames, 0)) + png_[33:]


@cache
def moving() -> dict[str, bytes]:
    """Pictures that a model may answer with, and that are no input."""
    return {
        "apng": animated("PNG", "RGBA"),
        "webp animated": animated("WEBP", "RGB"),
        "webp animated with alpha": animated("WEBP", "RGBA"),
        "gif": saved(drawn("P"), "GIF"),
        "gif animated": animated("GIF", "P"),
    }


def samples() -> dict[str, bytes]:
    return stills() | moving()
