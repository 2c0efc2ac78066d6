"""Making sandbox pictures: from a prompt alone, or from input pictures and a prompt."""

import hashlib
from dataclasses import dataclass
from random import Random
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageOps

from gpt_image_2_mcp.sandbox.label import Box, band_box, draw_band, draw_thumbnails
from gpt_image_2_mcp.sandbox.palettes import PALETTES, Colour, Palette, blend
from gpt_image_2_mcp.sandbox.scenery import balloons, birds, landscape

THUMBNAIL_EDGE: Final = 256
"""Inputs after the first are needed at this size at most, in pixels."""


@dataclass(frozen=True)
class Commission:
    """What decides a picture; equal commissions give equal pixels."""

    seed: int
    prompt: str
    size: tuple[int, int]
    index: int = 0
    transparent: bool = False

    def chance(self, purpose: str) -> Random:
        """Reproducible chance for one purpose."""
        width, height = self.size
        key = f"{self.seed}/{width}x{height}/{self.index}/{purpose}/{self.prompt}"
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        return Random(int.from_bytes(digest[:8], "big"))

    @property
    def box(self) -> Box:
        return (0, 0, *self.size)


@dataclass(frozen=True)
class Materials:
    """Input pictures (RGB or RGBA), and a mask (L, 255 where the edit may change) or markup (RGBA).

    Mask and markup have the size of the first picture.
    """

    pictures: tuple[Image.Image, ...]
    mask: Image.Image | None = None
    markup: Image.Image | None = None


def paint(commission: Commission) -> Image.Image:
    """A new picture: RGB, or RGBA with a transparent background."""
    picture = landscape(commission.chance("landscape"), commission.size)
    draw_band(picture, commission.prompt, commission.box, inset=_inset(commission))
    return _cut_out(picture) if commission.transparent else picture


def paint_frames(commission: Commission, count: int, materials: Materials | None = None) -> list[Image.Image]:
    """A short film: balloons drift over one picture."""
    still = paint(commission) if materials is None else paint_edit(commission, materials)
    frames = []
    for number in range(count):
        frame = still.copy()
        chance = commission.chance("film")
        balloons(frame, chance, chance.choice(PALETTES), drift=number / count)
        frames.append(frame)
    return frames


def paint_edit(commission: Commission, materials: Materials) -> Image.Image:
    """The first input on the canvas, visibly changed; with a mask only the masked part of it is.

    Outside the mask the pixels are those of the fitted input. The band and the thumbnails of further inputs
    stand inside the mask's bounding box.
    """
    fitted = _fitted(materials.pictures[0], commission)
    mask = None if materials.mask is None else _fit_mask(materials.mask, commission.size)
    box = commission.box if mask is None else band_box(mask)
    if box is None:
        return fitted
    changed = _regraded(fitted.convert("RGB"), commission)
    if materials.markup is not None:
        overlay = ImageOps.fit(materials.markup, commission.size, Image.Resampling.LANCZOS)
        changed.paste(overlay, (0, 0), overlay)
    if len(materials.pictures) > 1:
        draw_thumbnails(changed, materials.pictures[1:], box)
    draw_band(changed, commission.prompt, box, tag=" - edit", inset=_inset(commission))
    if commission.transparent:
        changed = _cut_out(changed)
        changed.putalpha(ImageChops.multiply(changed.getchannel("A"), fitted.getchannel("A")))
    return changed if mask is None else Image.composite(changed, fitted, mask)


def _fitted(picture: Image.Image, commission: Commission) -> Image.Image:
    fitted = ImageOps.fit(picture, commission.size, Image.Resampling.LANCZOS)
    if commission.transparent:
        return fitted.convert("RGBA")
    if fitted.mode != "RGBA":
        return fitted
    flat = Image.new("RGB", fitted.size, (255, 255, 255))
    flat.paste(fitted, (0, 0), fitted)
    return flat


def _fit_mask(mask: Image.Image, size: tuple[int, int]) -> Image.Image:
    # Scaling that mixes pixels would let the change leak over the mask's edge.
    return ImageOps.fit(mask, size, Image.Resampling.NEAREST)


def _regraded(picture: Image.Image, commission: Commission) -> Image.Image:
    """A colour change that shows, chosen by the prompt, and something new in the sky."""
    chance = commission.chance("edit")
    palette = chance.choice(_contrasting(picture))
    tones = ImageOps.colorize(
        picture.convert("L"),
        black=blend(palette.near, (0, 0, 0), 0.3),
        mid=blend(palette.sky, palette.far, 0.5),
        white=blend(palette.sun, (255, 255, 255), 0.4),
    )
    graded = Image.blend(picture, tones, chance.uniform(0.45, 0.7))
    graded = ImageEnhance.Color(graded).enhance(1.3)
    if chance.random() < 0.5:
        balloons(graded, chance, palette)
    else:
        birds(graded, chance, palette.near)
    return graded


def _contrasting(picture: Image.Image) -> list[Palette]:
    """The three palettes whose skies differ most in hue from the picture."""
    red, green, blue = picture.resize((1, 1), Image.Resampling.BOX).tobytes()
    found = _tint((red, green, blue))

    def distance(palette: Palette) -> float:
        return sum((one - other) ** 2 for one, other in zip(found, _tint(palette.sky), strict=True))

    return sorted(PALETTES, key=distance)[-3:]


def _tint(colour: Colour) -> tuple[float, ...]:
    """A colour without its brightness."""
    brightness = sum(colour) / 3
    return tuple(channel - brightness for channel in colour)


def _inset(commission: Commission) -> float:
    """Room for the round corners of a cut-out card."""
    return min(commission.size) / 10 if commission.transparent else 0


def _cut_out(picture: Image.Image) -> Image.Image:
    """The picture as a card with round corners on a transparent background."""
    width, height = picture.size
    margin = min(picture.size) / 24
    alpha = Image.new("L", (width // 2 * 4, height // 2 * 4))
    ImageDraw.Draw(alpha).rounded_rectangle(
        (margin * 2, margin * 2, alpha.width - margin * 2, alpha.height - margin * 2),
        radius=min(picture.size) / 6,
        fill=255,
    )
    card = picture.convert("RGBA")
    card.putalpha(alpha.reduce(2).resize(picture.size))
    return card


def coarse(picture: Image.Image, step: int, steps: int) -> Image.Image:
    """An unfinished version of a picture: step 0 is the roughest of `steps`."""
    cell = 2 ** (6 - round(4 * step / max(1, steps)))
    small = picture.resize(
        (max(1, picture.width // cell), max(1, picture.height // cell)), Image.Resampling.BOX
    )
    return small.resize(picture.size, Image.Resampling.BICUBIC)


def nearest_fixed_size(size: tuple[int, int]) -> tuple[int, int]:
    """The standard size an `auto` edit takes: that of the closest shape."""
    ratio = size[0] / size[1]
    if ratio > 1.22:
        return 1536, 1024
    return (1024, 1536) if ratio < 0.82 else (1024, 1024)


def thumbnail(picture: Image.Image) -> Image.Image:
    """A copy small enough to keep many of."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
    return small
