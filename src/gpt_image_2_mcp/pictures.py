"""Where strangers' bytes are decoded: previews, and how transparent pictures and masks are.

All functions block: call them in a worker thread. What Pillow guards by state of its modules, which all
threads share, is checked here before it decodes: its limit of pixels, its warnings.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from gpt_image_2_mcp.capabilities import MAX_INPUT_PIXELS, MAX_TEXT_BYTES
from gpt_image_2_mcp.chequers import LEAST_EDGE, Chequers, chequers_in
from gpt_image_2_mcp.copies import FIRST_GUESS, Copies, fitted, on_chequers, size_of
from gpt_image_2_mcp.errors import UndecodablePicture
from gpt_image_2_mcp.fitting import scaled, within
from gpt_image_2_mcp.image_formats.headers import read_header
from gpt_image_2_mcp.sizes import Size

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS: Final = MAX_INPUT_PIXELS
"""Of a picture that is decoded: eight times the largest that the models make."""

MAX_WHOLE_PIXELS: Final = 33_177_600
"""Of a picture that can only be decoded whole, which takes three copies of four bytes a pixel: 7680x4320."""

MAX_MEASURED_PIXELS: Final = 4096 * 4096
"""Of a picture whose transparency is measured: twice the largest that the models make. A WebP takes 17 bytes
of each, other formats at most six."""

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF")
_HEAD_BYTES: Final = 256 * 1024
_TEXT_CHUNKS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_MAX_CHUNKS: Final = 100_000
# What Pillow 13.0.0 may raise on damaged bytes; 400,000 mutated pictures found no other.
_DAMAGE: Final = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    MemoryError,
    struct.error,
    zlib.error,
)

_MAX_ICC_BYTES: Final = 4096

_CLEAR_ALPHA: Final = 2
_SOLID_ALPHA: Final = 250
"""What lossy encoders leave of 0 and of 255."""
_STRAY: Final = 0.001
"""A smaller part of a picture than this is no background."""
_PATCH_EDGE: Final = 192
"""Of what is searched for chequers, in pixels: larger corners are scaled down to it, for the larger tiles."""
_MOST_COLOURED: Final = 40
"""Of 255, how far the colours of chequers may be from grey; a tablecloth's are further."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A smaller copy of a picture, encoded."""

    data: bytes
    mime_type: str
    size: Size


def preview(
    source: Path | bytes,
    budget_bytes: int,
    *,
    webp: bool = True,
    max_edge: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Preview | None:
    """A copy of at most `budget_bytes`, as large as they allow; None where not even a stamp fits.

    WebP keeps transparency. Without `webp` it is a JPEG, on the chequers that stand for transparency.

    Raises:
        UndecodablePicture: the bytes are no PNG, JPEG, WebP or GIF, are damaged, or have too many pixels.
    """
    with _opened(source, max_pixels) as image:
        if image.format != "JPEG" and image.width * image.height > MAX_WHOLE_PIXELS:
            raise _too_many(size_of(image))
        full = within(size_of(image), max_edge)
        # libjpeg decodes at a half, a quarter or an eighth: no more is decoded than the budget can use.
        useful = scaled(full, 4 * budget_bytes / FIRST_GUESS)
        image.draft(None, (useful.width, useful.height))
        icc = _icc_profile(image)
        frame = _upright(_plain(image))
        frame.info.clear()  # a camera's comment would be written again
        found = fitted(Copies(frame, icc, webp), within(size_of(frame), max_edge), budget_bytes)
    return Preview(found[1], "image/webp" if webp else "image/jpeg", found[0]) if found else None


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture as rows of pixels, three bytes each."""

    rgb: bytes
    size: Size


def pixels(source: Path | bytes, most: Size, max_pixels: int = MAX_PIXELS) -> Pixels:
    """A copy within `most`, as large as fits; transparency shows as chequers.

    Raises:
        UndecodablePicture: as `preview`.
    """
    with _opened(source, max_pixels) as image:
        if image.format != "JPEG" and image.width * image.height > MAX_WHOLE_PIXELS:
            raise _too_many(size_of(image))
        frame = _upright(_plain(image))
        frame.thumbnail((most.width, most.height))
        opaque = on_chequers(frame) if frame.mode == "RGBA" else frame
        return Pixels(opaque.tobytes(), size_of(opaque))


@dataclass(frozen=True, slots=True)
class Transparency:
    """What part of a picture's pixels is `clear`, and what part at least somewhat `see_through`, from 0 to 1.

    `chequered`: it is opaque, and chequers as they stand for transparency fill its corners.
    """

    clear: float
    see_through: float
    chequered: bool = False

    @property
    def is_opaque(self) -> bool:
        return self.see_through < _STRAY

    @property
    def has_clear_parts(self) -> bool:
        return self.clear >= _STRAY


def transparency(source: Path | bytes, max_pixels: int = MAX_MEASURED_PIXELS) -> Transparency:
    """Measure a picture, of an animation the first frame.

    Raises:
        UndecodablePicture: as `preview`.
    """
    with _opened(source, max_pixels) as image:
        plain = _plain(image)
        plain.load()
        alphas = plain.getchannel("A").histogram() if plain.mode == "RGBA" else [0] * 255 + [1]
        pixels = sum(alphas)
        clear, seen = sum(alphas[: _CLEAR_ALPHA + 1]), sum(alphas[:_SOLID_ALPHA])
        found = Transparency(clear / pixels, seen / pixels)
        return replace(found, chequered=_is_chequered(plain)) if found.is_opaque else found


def _is_chequered(image: Image.Image) -> bool:
    """Whether chequers of one kind fill the two upper corners, or three: what has them in its middle or at
    its foot alone may be a picture of a cloth or a floor.
    """
    shorter = min(image.size)
    edges = dict.fromkeys((min(shorter // 4, _PATCH_EDGE), shorter // 4, shorter // 3))
    return any(_shows_chequers(image, edge) for edge in edges if edge >= LEAST_EDGE)


def _shows_chequers(image: Image.Image, edge: int) -> bool:
    right, low = image.width - edge, image.height - edge
    places = ((0, 0), (right, 0), (0, low), (right, low))
    found = [_chequers_at(image, (x, y, x + edge, y + edge)) for x, y in places]
    first = next((one for one in found[:2] if one), None)
    alike = [bool(first and one and one.is_like(first)) for one in found]
    return all(alike[:2]) or sum(alike) > 2


def _chequers_at(image: Image.Image, box: tuple[int, int, int, int]) -> Chequers | None:
    from PIL import Image, ImageChops, ImageStat

    corner = image.crop(box).convert("RGB")
    if corner.width > _PATCH_EDGE:
        corner = corner.resize((_PATCH_EDGE, _PATCH_EDGE), Image.Resampling.BOX)
    red, green, blue = corner.split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    if ImageStat.Stat(ImageChops.subtract(most, least)).mean[0] > _MOST_COLOURED:
        return None
    return chequers_in(corner.convert("L").tobytes(), corner.width)


def has_clear_pixels(mask: bytes, max_pixels: int = MAX_PIXELS) -> bool:
    """Whether at least one pixel of `mask` is fully transparent.

    Raises:
        UndecodablePicture: the bytes cannot be decoded.
    """
    with _opened(mask, max_pixels) as image:
        if not image.has_transparency_data:
            return False
        layered = image if image.mode in ("RGBA", "LA") else image.convert("RGBA")
        # One pair for each channel, the alpha channel's last; mypy reads the type of a one-channel picture.
        lowest, _ = layered.getextrema()[-1]  # type: ignore[misc]
        return bool(lowest == 0)


def painted_mask(mask: bytes, max_pixels: int = MAX_PIXELS) -> bytes:
    """`mask` for servers that look at its brightness: white where it is clear, black where it is opaque.

    Raises:
        UndecodablePicture: the bytes cannot be decoded.
    """
    from PIL import ImageChops

    with _opened(mask, max_pixels) as image:
        alpha = image.convert("RGBA").getchannel("A")
        painted = BytesIO()
        ImageChops.invert(alpha).save(painted, "PNG")
        return painted.getvalue()


@contextmanager
def _opened(source: Path | bytes, max_pixels: int) -> Iterator[Image.Image]:
    """The first frame, decoded on first use; whatever decoding raises becomes an UndecodablePicture."""
    from PIL import Image

    try:
        with source.open("rb") if isinstance(source, Path) else BytesIO(source) as file:
            _refuse_bombs(file, max_pixels)
            with Image.open(file, formats=_FORMATS) as image:
                if image.width * image.height > max_pixels:  # Pillow may read another size than we did
                    raise _too_many(size_of(image))
                yield image
    except (*_DAMAGE, Image.DecompressionBombError, Warning) as error:
        raise UndecodablePicture(f"The picture cannot be decoded ({_reason(error)}).") from None


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "no room in memory" if isinstance(error, MemoryError) else "it is damaged"


def _refuse_bombs(file: IO[bytes], max_pixels: int) -> None:
    """Refuse by the header, before anything is decoded."""
    header = read_header(file.read(_HEAD_BYTES))
    if header is None:
        raise UndecodablePicture("The file is no PNG, JPEG, WebP or GIF.")
    if header.size.pixels > max_pixels:
        raise _too_many(header.size)
    if header.format == "png":
        _refuse_text_bombs(file)
    file.seek(0)


def _too_many(size: Size) -> UndecodablePicture:
    return UndecodablePicture(f"The picture has too many pixels to decode ({size}).")


def _refuse_text_bombs(file: IO[bytes]) -> None:
    """Pillow inflates all text of a PNG, and takes seconds over a million empty chunks (13.0.0)."""
    file.seek(8)
    text = 0
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"IEND")
        if kind == b"IEND":
            return
        text += length if kind in _TEXT_CHUNKS else 0
        if text > MAX_TEXT_BYTES:
            break
        file.seek(length + 4, 1)
    raise UndecodablePicture("The picture carries more text or chunks than any picture needs.")


def _plain(image: Image.Image) -> Image.Image:
    """The picture as RGB, or as RGBA where it has transparency; this decodes it."""
    if image.mode.startswith(("I", "F")):  # 16 bits and more: clipped by convert(), so scaled first
        image = image.convert("F").point(lambda value: value * (1 / 256)).convert("L")
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == wanted else image.convert(wanted)


def _upright(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    return image


def _icc_profile(image: Image.Image) -> bytes | None:
    """A small profile goes along; one of another colour model would not fit what is encoded."""
    profile = image.info.get("icc_profile")
    fits = isinstance(profile, bytes) and len(profile) <= _MAX_ICC_BYTES
    return profile if fits and image.mode in ("RGB", "RGBA", "P") else None
