"""How large a picture may be, so that what it is encoded to stays within a budget: found by few trials."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from gpt_image_2_mcp.sizes import Size

T = TypeVar("T")

_AIM: Final = 0.94
_MOST_TRIALS: Final = 10


@dataclass(frozen=True, slots=True)
class Fit(Generic[T]):
    """The largest size that was found to fit, and what was made of it.

    `growth` is by what power of the pixels the weight grows there: under 1 for pictures, over it for noise,
    which softens.
    """

    size: Size
    made: T
    growth: float


def largest(
    most: Size,
    budget: float,
    make: Callable[[Size], T],
    weight: Callable[[T], float],
    *,
    pixels: float,
    growth: float = 1.0,
    worth: float,
) -> Fit[T] | None:
    """The largest size up to `most` of which what is made weighs no more than the budget.

    It begins at so many `pixels`, with a guess at the growth, and corrects both by what came of it. A trial
    costs time: another one is made if it promises `worth` times the pixels.
    """
    fit: Fit[T] | None = None
    fits, exceeds = 1, math.inf
    trials: list[tuple[int, float]] = []
    while len(trials) < _MOST_TRIALS and exceeds > 1:
        size = scaled(most, pixels)
        made = make(size)
        trials.append((size.pixels, weight(made)))
        growth = _growth(trials, growth)
        pixels = size.pixels * (_AIM * budget / trials[-1][1]) ** (1 / growth)
        if trials[-1][1] > budget:
            exceeds = size.pixels
            promised = exceeds / fits
        else:
            fit, fits = Fit(size, made, growth), size.pixels
            promised = min(pixels, most.pixels, exceeds) / fits
        if fit and promised < worth:
            break
        if not fits < pixels < exceeds:
            pixels = (fits * exceeds) ** 0.5
    return fit


def _growth(trials: list[tuple[int, float]], guess: float) -> float:
    if len(trials) < 2 or trials[-1][0] == trials[-2][0]:
        return guess
    (pixels, size), (pixels_then, size_then) = trials[-1], trials[-2]
    return min(max(math.log(size / size_then) / math.log(pixels / pixels_then), 0.5), 6.0)


def within(size: Size, max_edge: int | None) -> Size:
    """`size` shrunk to no edge longer than that."""
    longest = max(size.width, size.height)
    if max_edge is None or longest <= max_edge:
        return size
    return Size(*(max(edge * max_edge // longest, 1) for edge in (size.width, size.height)))


def scaled(size: Size, pixels: float) -> Size:
    """`size` shrunk to about so many pixels, of the same shape; never grown."""
    factor = min((max(pixels, 1) / size.pixels) ** 0.5, 1)
    return Size(max(round(size.width * factor), 1), max(round(size.height * factor), 1))


BAND_ROWS: Final = 16
"""Of a band: a whole block of JPEG and WebP, so that where two bands meet costs next to nothing."""
_BANDS: Final = 9


def bands(height: int) -> tuple[int, ...]:
    """Where bands begin that stand for a picture of so many rows; none where they would be half of it."""
    if height < 2 * _BANDS * BAND_ROWS:
        return ()
    return tuple((2 * number + 1) * height // (2 * _BANDS) - BAND_ROWS // 2 for number in range(_BANDS))
