"""Drawing of landscapes: skies, ranges, lakes and what flies over them."""

from dataclasses import dataclass
from random import Random
from typing import Final

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from gpt_image_2_mcp.sandbox.palettes import PALETTES, Colour, Palette, blend

Size = tuple[int, int]

_RIDGE_POINTS: Final = 257
_MIST: Final = 0.42


@dataclass(frozen=True)
class Terrain:
    """The shape of one landscape; heights are shares of the picture's height."""

    horizon: float
    layers: int
    roughness: float
    lake: bool
    trees: bool


def landscape(chance: Random, size: Size) -> Image.Image:
    """An RGB landscape; the same state of `chance` draws the same picture."""
    palette = chance.choice(PALETTES)
    terrain = Terrain(
        horizon=chance.uniform(0.5, 0.62),
        layers=chance.choice((4, 5, 6)),
        roughness=chance.choice((0.36, 0.46, 0.58)),
        lake=chance.random() < 0.5,
        trees=chance.random() < 0.75,
    )
    picture = _sky(palette, size)
    if palette.night:
        _stars(picture, chance, palette)
    _sun(picture, chance, palette, terrain)
    _clouds(picture, chance, palette)
    _land(picture, chance, palette, terrain)
    balloons(picture, chance, palette)
    return _vignette(picture)


def _unit(size: Size) -> float:
    """A hundredth of the short side: the measure of everything drawn."""
    return min(size) / 100


def _gradient(stops: tuple[Colour, ...], size: Size) -> Image.Image:
    strip = Image.new("RGB", (1, len(stops)))
    strip.putdata(stops)
    # Sampling from centre to centre makes the outer stops the colours of the outer rows.
    box = (0, 0.5, 1, len(stops) - 0.5)
    return strip.resize((1, size[1]), Image.Resampling.BILINEAR, box).resize(size)


def _sky(palette: Palette, size: Size) -> Image.Image:
    middle = blend(palette.zenith, palette.sky, 0.5)
    low = blend(palette.sky, palette.horizon, 0.6)
    stops = (palette.zenith, middle, palette.sky, low, palette.horizon, palette.horizon, palette.horizon)
    return _gradient(stops, size)


def _stars(picture: Image.Image, chance: Random, palette: Palette) -> None:
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    for _ in range(140):
        x, y = chance.random() * width, chance.random() ** 1.6 * height * 0.6
        radius = _unit(picture.size) * chance.choice((0.08, 0.08, 0.12, 0.2))
        colour = blend(palette.sky, palette.sun, chance.uniform(0.35, 1))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _glow_mask(diameter: int, strength: float) -> Image.Image:
    # Pillow's gradient reaches 181 in the middle of its edges and 255 only in the corners.
    glow = Image.radial_gradient("L").point(
        lambda value: round(strength * 255 * max(0.0, 1 - value / 180) ** 2)
    )
    return glow.resize((diameter, diameter), Image.Resampling.BICUBIC)


def _disc_mask(diameter: int) -> Image.Image:
    mask = Image.new("L", (diameter * 4, diameter * 4))
    ImageDraw.Draw(mask).ellipse((0, 0, diameter * 4 - 1, diameter * 4 - 1), fill=255)
    return mask.reduce(4)


def _sun(picture: Image.Image, chance: Random, palette: Palette, terrain: Terrain) -> None:
    width, height = picture.size
    x, y = width * chance.uniform(0.2, 0.8), height * chance.uniform(0.2, terrain.horizon - 0.12)
    halo = round(_unit(picture.size) * 150)
    picture.paste(palette.sun, _centred(x, y, halo), _glow_mask(halo, 0.8))
    disc = round(_unit(picture.size) * chance.uniform(9, 17))
    picture.paste(palette.sun, _centred(x, y, disc), _disc_mask(disc))


def _centred(x: float, y: float, diameter: int) -> tuple[int, int]:
    return round(x - diameter / 2), round(y - diameter / 2)


def _clouds(picture: Image.Image, chance: Random, palette: Palette) -> None:
    width, height = picture.size
    small = Image.new("L", (max(16, width // 8), max(16, height // 8)))
    draw = ImageDraw.Draw(small)
    for _ in range(chance.randint(2, 5)):
        x, y = chance.random() * small.width, chance.uniform(0.06, 0.4) * small.height
        for _ in range(7):
            half = chance.uniform(4, 15) * min(small.size) / 100
            left, top = x + chance.uniform(-2, 2) * half, y + chance.uniform(-0.25, 0.25) * half
            draw.ellipse(
                (left - half * 1.7, top - half * 0.28, left + half * 1.7, top + half * 0.28),
                fill=chance.randint(50, 150),
            )
    soft = small.filter(ImageFilter.GaussianBlur(min(small.size) / 60))
    colour = blend(palette.horizon, palette.sun, 0.6)
    picture.paste(colour, (0, 0), soft.resize(picture.size, Image.Resampling.BICUBIC))


def _land(picture: Image.Image, chance: Random, palette: Palette, terrain: Terrain) -> None:
    horizon = round(picture.height * terrain.horizon)
    if terrain.lake:
        shore = round(picture.height * (terrain.horizon + 0.1))
        for layer in range(3):
            _ridge(picture, chance, palette, terrain, shore - (2 - layer) * picture.height // 22, layer / 5)
        _lake(picture, chance, palette, shore)
        _ridge(picture, chance, palette, terrain, round(picture.height * 0.93), 1.0)
        return
    for layer in range(terrain.layers):
        depth = layer / (terrain.layers - 1)
        base = horizon + round((picture.height - horizon) * 0.92 * depth**1.25)
        _ridge(picture, chance, palette, terrain, base, depth)


def _ridge(
    picture: Image.Image, chance: Random, palette: Palette, terrain: Terrain, base: int, depth: float
) -> None:
    """One range standing about `base` (a row), in the colour of its depth (0 far, 1 near)."""
    width, height = picture.size
    rise = height * (0.17 - 0.09 * depth)
    heights = [base - rise * value for value in _profile(chance, terrain.roughness)]
    top = max(0, int(min(heights) - height * 0.09))
    bottom = min(height, int(max(heights)) + 2)
    colour = blend(palette.far, palette.near, depth**0.8)
    mist = blend(colour, palette.horizon, _MIST * (1 - depth))
    fill = _gradient((colour, blend(colour, mist, 0.5), mist, mist), (width, height - top))
    mask = Image.new("L", (width * 2, (bottom - top) * 2))
    draw = ImageDraw.Draw(mask)
    points = [(index * width * 2 / (_RIDGE_POINTS - 1), (y - top) * 2) for index, y in enumerate(heights)]
    draw.polygon([(0, mask.height), *points, (mask.width, mask.height)], fill=255)
    if terrain.trees and depth > 0.55:
        _trees(draw, chance, points, height * 0.045 * depth**2)
    picture.paste(fill.crop((0, 0, width, bottom - top)), (0, top), mask.reduce(2))
    picture.paste(fill.crop((0, bottom - top, width, height - top)), (0, bottom))


def _profile(chance: Random, roughness: float) -> list[float]:
    """Heights from about -1 to 1 by midpoint displacement; more roughness, sharper peaks."""
    values = [0.0] * _RIDGE_POINTS
    values[0], values[-1] = chance.uniform(-0.5, 0.7), chance.uniform(-0.5, 0.7)
    step, spread = _RIDGE_POINTS - 1, 0.85
    while step > 1:
        half = step // 2
        for index in range(half, _RIDGE_POINTS, step):
            middle = (values[index - half] + values[index + half]) / 2
            values[index] = middle + chance.uniform(-spread, spread)
        step, spread = half, spread * roughness
    return values


def _trees(draw: ImageDraw.ImageDraw, chance: Random, points: list[tuple[float, float]], tall: float) -> None:
    for x, y in points:
        if chance.random() > 0.62:
            continue
        high = tall * chance.uniform(0.7, 1.9)
        for tier in range(3):
            top = y - high * (0.85 - tier * 0.25)
            half = high * (0.13 + 0.07 * tier)
            draw.polygon([(x, top), (x - half, top + high * 0.45), (x + half, top + high * 0.45)], fill=255)
        draw.rectangle((x - high * 0.04, y - high * 0.2, x + high * 0.04, y + high * 0.3), fill=255)


def _lake(picture: Image.Image, chance: Random, palette: Palette, shore: int) -> None:
    """The picture above `shore` mirrored below it, with ripples."""
    width, height = picture.size
    depth = height - shore
    mirrored = picture.crop((0, max(0, shore - round(depth * 1.5)), width, shore))
    mirrored = mirrored.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((width, depth))
    mirrored = mirrored.filter(ImageFilter.BoxBlur((0, _unit(picture.size) * 0.7)))
    deep = _gradient((palette.horizon, palette.sky, palette.near), (width, depth))
    water = Image.blend(mirrored, deep, 0.28)
    draw = ImageDraw.Draw(water)
    for _ in range(90):
        nearness = chance.random() ** 1.5
        half = width * (0.01 + 0.06 * nearness) * chance.random()
        x, y = chance.random() * width, nearness * depth
        thick = max(1, round(_unit(picture.size) * 0.28 * nearness))
        shade = blend(palette.sky, palette.sun, chance.uniform(0.1, 0.7))
        draw.line((x - half, y, x + half, y), fill=blend(shade, palette.sky, 0.3), width=thick)
    picture.paste(Image.blend(mirrored, water, 0.6), (0, shore))


def balloons(picture: Image.Image, chance: Random, palette: Palette, drift: float = 0.0) -> None:
    """One to three hot-air balloons; `drift` (0 to 1) moves them over the sky."""
    width, height = picture.size
    for _ in range(chance.randint(1, 3)):
        tall = round(_unit(picture.size) * chance.uniform(6, 15))
        x = (chance.uniform(0.06, 0.9) + drift) % 1 * width
        y = chance.uniform(0.07, 0.4) * height
        body = chance.choice((palette.accent, blend(palette.accent, palette.near, 0.4), palette.sun))
        _paste_balloon(picture, (round(x), round(y)), tall, body, blend(body, palette.horizon, 0.65))


def _paste_balloon(
    picture: Image.Image, at: tuple[int, int], tall: int, body: Colour, stripe: Colour
) -> None:
    scale = 4
    high, wide = tall * scale, round(tall * 0.78) * scale
    tile = Image.new("RGBA", (wide, high), (*body, 0))
    draw = ImageDraw.Draw(tile)
    belly, mouth, centre = high * 0.72, high * 0.8, wide / 2
    for share, colour in ((1.0, body), (0.68, stripe), (0.34, body)):
        half = wide / 2 * share
        draw.ellipse((centre - half, 0, centre + half, belly), fill=colour)
        shoulder = belly * 0.62
        reach = half * 0.93
        narrow = wide * 0.09 * share
        draw.polygon(
            [
                (centre - reach, shoulder),
                (centre + reach, shoulder),
                (centre + narrow, mouth),
                (centre - narrow, mouth),
            ],
            fill=colour,
        )
    dark = blend(body, (20, 14, 20), 0.72)
    draw.line((centre - wide * 0.08, mouth, centre - wide * 0.06, high * 0.9), fill=dark, width=scale)
    draw.line((centre + wide * 0.08, mouth, centre + wide * 0.06, high * 0.9), fill=dark, width=scale)
    draw.rectangle((centre - wide * 0.08, high * 0.89, centre + wide * 0.08, high - 1), fill=dark)
    small = tile.reduce(scale)
    picture.paste(small, at, small)


def birds(picture: Image.Image, chance: Random, colour: Colour) -> None:
    """A flock of birds, far away."""
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    x, y = chance.uniform(0.2, 0.7) * width, chance.uniform(0.14, 0.34) * height
    for _ in range(chance.randint(7, 12)):
        span = _unit(picture.size) * chance.uniform(1.2, 2.6)
        left = x + chance.uniform(-18, 18) * _unit(picture.size)
        top = y + chance.uniform(-9, 9) * _unit(picture.size)
        thick = max(2, round(span / 7))
        draw.arc((left - span, top, left, top + span), 200, 340, fill=colour, width=thick)
        draw.arc((left, top, left + span, top + span), 200, 340, fill=colour, width=thick)


def _vignette(picture: Image.Image) -> Image.Image:
    shade = Image.radial_gradient("L").point(lambda value: 255 - round(max(0, value - 110) * 0.38))
    full = shade.resize(picture.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(picture, Image.merge("RGB", (full, full, full)))
