"""The colours of the sandbox's landscapes."""

from dataclasses import dataclass
from typing import Final

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """Sky from top to horizon, the sun or moon, and the land from far to near."""

    zenith: Colour
    sky: Colour
    horizon: Colour
    sun: Colour
    far: Colour
    near: Colour
    accent: Colour
    night: bool = False


def _palette(colours: str, *, night: bool = False) -> Palette:
    red_green_blue = (bytes.fromhex(colour) for colour in colours.split())
    zenith, sky, horizon, sun, far, near, accent = ((red, green, blue) for red, green, blue in red_green_blue)
    return Palette(zenith, sky, horizon, sun, far, near, accent, night)


PALETTES: Final = (
    _palette("2e3a78 e8807e ffd6a0 fff6de ce8c92 2c2242 f65c54"),
    _palette("347abe 8ec6e6 f4f0de fffcec 96bcca 144246 ec5c42"),
    _palette("221a4e 983e7a fc9262 ffdca0 9c4e7c 1c102e ffc45c"),
    _palette("080c26 1a2c5c 547098 eef2fa 3e5480 080e1c fac46e", night=True),
    _palette("105c70 68baae f0eac6 fffae2 84baae 0c383e f0765c"),
    _palette("4a8ebc e8ceb0 fce6c0 fff8de e2a876 703024 266e80"),
    _palette("5a4c96 d898be ffe2d6 fff6ee ba8cb2 3a2a54 fad478"),
    _palette("061428 105c60 7cc8a0 e8faec 246268 04141e b4faaa", night=True),
)


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with `share` (0 to 1) of `second` mixed in."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
