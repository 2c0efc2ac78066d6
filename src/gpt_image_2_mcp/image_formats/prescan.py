"""Judges an input before anything decodes or sends it, and takes out of it what is not the picture."""

from __future__ import annotations

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.image_formats import jpeg, png, webp
from gpt_image_2_mcp.image_formats.kinds import Kind, identify
from gpt_image_2_mcp.image_formats.layout import Format, Scan, Unfit, damaged
from gpt_image_2_mcp.image_formats.polyglots import refuse_second_file


def prescan(data: bytes, name: str) -> Scan:
    """Walk a whole file; a bomb is refused by its header, within milliseconds and without memory. Blocks.

    Raises:
        InputError: it is no PNG, JPEG or WebP, is not whole, is beyond the bounds of capabilities.py, or is a
            second file as well; the sentence begins with `name` and says which.
    """
    try:
        scan = _format(data).scan(data)
        refuse_second_file(data, scan.end)
        return scan
    except Unfit as unfit:
        raise InputError(f"{name} {unfit.problem}.", hint=unfit.hint) from None


def _format(data: bytes) -> Format:
    if data.startswith(png.SIGNATURE):
        return png
    if data.startswith(jpeg.SIGNATURE):
        return jpeg
    if webp.is_webp(data):
        return webp
    if data.startswith(png.SIGNATURE[:4]):
        raise damaged("PNG", "its line ends were converted")
    raise _other(identify(data))


def _other(kind: Kind | None) -> Unfit:
    what = f" but {kind.name}" if kind else ""
    hint = "Save it as PNG or JPEG and give that" if kind and kind.is_picture else "Give a PNG, JPEG or WebP"
    return Unfit(f"is not a PNG, JPEG or WebP picture{what}", hint)


def cleaned(data: bytes, scan: Scan) -> bytes:
    """The same pixels, not encoded anew, with nothing beside them but what makes their look: colour profile
    and space, transparency, resolution, and an EXIF block that holds the orientation alone. Blocks.

    Gone are places, times, cameras, people, texts, thumbnails, provenance and all behind the picture's end.
    """
    return _format(data).cleaned(data, scan)
