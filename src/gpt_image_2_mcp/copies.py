"""Smaller copies of a decoded picture, encoded: as large as their bytes may be.

All functions block: call them in a worker thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from gpt_image_2_mcp.fitting import BAND_ROWS, Fit, bands, largest
from gpt_image_2_mcp.sizes import Size

if TYPE_CHECKING:
    from PIL import Image

_WEBP_QUALITY: Final = 80
_WEBP_METHOD: Final = 2
_JPEG_QUALITY: Final = 85
_FINE_QUALITY: Final = 95
"""Of a picture that needs little of its budget: at the usual quality a clear sky shows blocks."""
_DEARER: Final = 2
"""At least so many times the bytes of the usual quality are those of the fine one."""
FIRST_GUESS: Final = 0.15
"""Bytes a pixel that a drawn or photographed picture takes at these qualities; noise takes ten times that."""
_SURE: Final = 0.94
"""How much of a budget is filled by an estimate: what it is off by may not exceed it."""
_WORTH_AN_ESTIMATE: Final = 1.05
_WORTH_A_COPY: Final = 1.25
"""By how many more pixels another one is made; a copy of 4K takes a tenth of a second and more."""
_HEADER_BYTES: Final = 400
"""What stands around the pixels of a picture, however many."""
_REDUCING_GAP: Final = 1.25
"""Where five pixels or more become two, boxes are averaged first: a third of the time, and nobody sees it."""
_CHEQUER: Final = 16


@dataclass(frozen=True, slots=True)
class _Estimate:
    """About how many bytes a copy has; the copy itself where that was as easily made."""

    length: float
    copy: bytes | None = None


@dataclass(frozen=True, slots=True)
class Copies:
    """Smaller copies of a picture, encoded."""

    frame: Image.Image
    icc: bytes | None
    webp: bool

    def encoded(self, size: Size, *, fine: bool = False) -> bytes:
        return self._encoded(_resized(self.frame, size), self.icc, fine)

    def estimate(self, size: Size, *, fine: bool = False) -> _Estimate:
        """By bands of the picture, where it has enough rows for some."""
        tops = bands(size.height)
        if not tops:
            copy = self.encoded(size, fine=fine)
            return _Estimate(len(copy), copy)
        sample = len(self._encoded(self._sampled(size, tops), None, fine))
        about = (sample - _HEADER_BYTES) * size.height / (len(tops) * BAND_ROWS) + _HEADER_BYTES
        return _Estimate(max(about, sample) + len(self.icc or b""))

    def _sampled(self, size: Size, tops: tuple[int, ...]) -> Image.Image:
        """The rows of `size` that begin there, a band after the other."""
        from PIL import Image

        width, height = self.frame.size
        rows = max(round(BAND_ROWS * height / size.height), 1)
        sample = Image.new(self.frame.mode, (width, len(tops) * rows))
        for number, top in enumerate(tops):
            begin = min(top * height // size.height, height - rows)
            sample.paste(self.frame.crop((0, begin, width, begin + rows)), (0, number * rows))
        return _resized(sample, Size(size.width, len(tops) * BAND_ROWS))

    def _encoded(self, image: Image.Image, icc: bytes | None, fine: bool) -> bytes:
        if self.webp:
            return _as_webp(image, icc, _FINE_QUALITY if fine else _WEBP_QUALITY)
        return _as_jpeg(image, icc, _FINE_QUALITY if fine else _JPEG_QUALITY)


def fitted(copies: Copies, most: Size, budget: int) -> tuple[Size, bytes] | None:
    """The largest copy that fits, finer than usual where there is room for that.

    Estimates are a tenth of the work, so they find the size, and mostly one copy is made.
    """
    sure = _SURE * budget
    guess = largest(
        most,
        sure,
        copies.estimate,
        lambda found: found.length,
        pixels=budget / FIRST_GUESS,
        worth=_WORTH_AN_ESTIMATE,
    ) or Fit(Size(1, 1), _Estimate(budget), 1.0)
    if guess.size == most and guess.made.length * _DEARER < budget and (finer := _finer(copies, most, sure)):
        return most, finer
    if guess.made.copy:
        return guess.size, guess.made.copy
    begin, growth = guess.size.pixels, guess.growth
    found = largest(most, budget, copies.encoded, len, pixels=begin, growth=growth, worth=_WORTH_A_COPY)
    return (found.size, found.made) if found else None


def _finer(copies: Copies, most: Size, sure: float) -> bytes | None:
    estimate = copies.estimate(most, fine=True)
    if estimate.length > sure:
        return None
    finer = estimate.copy or copies.encoded(most, fine=True)
    return finer if len(finer) <= sure / _SURE else None


def size_of(image: Image.Image) -> Size:
    return Size(image.width, image.height)


def _resized(image: Image.Image, size: Size) -> Image.Image:
    from PIL import Image

    if size_of(image) == size:
        return image
    return image.resize((size.width, size.height), Image.Resampling.BICUBIC, reducing_gap=_REDUCING_GAP)


def _as_webp(image: Image.Image, icc: bytes | None, quality: int) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=_WEBP_METHOD, icc_profile=icc, exif=b"")
    return buffer.getvalue()


def _as_jpeg(image: Image.Image, icc: bytes | None, quality: int) -> bytes:
    opaque = on_chequers(image) if image.mode == "RGBA" else image
    buffer = BytesIO()
    opaque.save(buffer, "JPEG", quality=quality, optimize=True, icc_profile=icc, exif=b"")
    return buffer.getvalue()


def on_chequers(image: Image.Image) -> Image.Image:
    """A transparent picture before what stands for transparency."""
    from PIL import Image

    tile = Image.new("L", (2, 2), "#fff")
    tile.putpixel((0, 1), 0xCC)
    tile.putpixel((1, 0), 0xCC)
    ground = Image.new("RGB", image.size)
    tile = tile.resize((2 * _CHEQUER, 2 * _CHEQUER), Image.Resampling.NEAREST).convert("RGB")
    for top in range(0, image.height, tile.height):
        for left in range(0, image.width, tile.width):
            ground.paste(tile, (left, top))
    ground.paste(image, mask=image.getchannel("A"))
    return ground
