"""Finds chequers: the pattern that stands for transparency, and that models paint instead of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median
from typing import Final

LEAST_EDGE: Final = 12
"""Of a patch, in pixels: four tiles of three."""
_LEAST_TILE: Final = 2.5
_LEAST_RUNS: Final = 4
"""Tiles in a row, the cut ones at both ends counted."""
_LEAST_CONTRAST: Final = 8
"""Levels of grey; white on #f0f0f0 has 15."""
_LEAST_SHARE: Final = 0.3
_TWO_TONES: Final = 0.72
"""The part of all variance that two tones must explain; of an even ramp they explain 0.75, of waves less."""
_LEAST_FIT: Final = 0.88
"""The part of the pixels that must be where the pattern has them: noise and soft edges take the rest."""
_UNEVEN: Final = 0.3
_STRAYS: Final = 1 / 12
"""The part of the darkest and of the lightest pixels that may belong to something else."""
_ROUNDS: Final = 4


@dataclass(frozen=True, slots=True)
class Chequers:
    """The edge of a tile in pixels, and the grey levels of the two kinds of tiles."""

    tile: float
    dark: float
    light: float

    def is_like(self, other: Chequers) -> bool:
        """Whether both can be parts of one pattern."""
        tones = max(abs(self.dark - other.dark), abs(self.light - other.light))
        return tones <= _LEAST_CONTRAST and _alike(self.tile, other.tile)


def chequers_in(patch: bytes, edge: int) -> Chequers | None:
    """The chequers that fill a square of grey levels, row by row; None where anything else does.

    In chequers every row is the same row or its negative. So a row and a column are sought that explain all
    pixels between them, and then both must change at even steps, and at the same ones.
    """
    tones = _tones(patch) if edge >= LEAST_EDGE else None
    if tones is None:
        return None
    between, dark, light = tones
    bits = patch.translate(b"0" * (between + 1) + b"1" * (255 - between))
    rows = [int(bits[y * edge : (y + 1) * edge], 2) for y in range(edge)]
    columns = [int(bits[x::edge], 2) for x in range(edge)]
    across, down = rows[edge // 2], 0
    for _ in range(_ROUNDS):
        down = _agreeing(rows, across)
        across = _agreeing(columns, down)
    if _fit(rows, across, down, edge) < _LEAST_FIT:
        return None
    wide, tall = _tile(across, edge), _tile(down, edge)
    if wide is None or tall is None or not _alike(wide, tall):
        return None
    return Chequers((wide + tall) / 2, dark, light)


def _tones(patch: bytes) -> tuple[int, float, float] | None:
    """The level that parts two tones best (Otsu 1979) and their means; None where there are not two."""
    counts = sorted(Counter(_without_strays(patch)).items())
    total = len(patch)
    whole = sum(count * level for level, count in counts)
    spread = sum(count * level * level for level, count in counts) / total - (whole / total) ** 2
    below = dark = 0
    best, found = 0.0, None
    for level, count in counts[:-1]:
        below += count
        dark += count * level
        low, high = dark / below, (whole - dark) / (total - below)
        explained = below * (total - below) * (high - low) ** 2
        if explained > best:
            best, found = explained, (level, low, high, below / total)
    if found is None:
        return None
    level, low, high, share = found
    enough = high - low >= _LEAST_CONTRAST and best / total**2 >= _TWO_TONES * spread
    return (level, low, high) if enough and _LEAST_SHARE <= share <= 1 - _LEAST_SHARE else None


def _without_strays(patch: bytes) -> bytes:
    """The patch with the few far levels brought in: a thing that reaches into it has levels of its own."""
    levels, strays = sorted(patch), int(len(patch) * _STRAYS)
    low, high = levels[strays], levels[-1 - strays]
    return patch.translate(bytes(min(max(level, low), high) for level in range(256)))


def _agreeing(lines: Sequence[int], pattern: int) -> int:
    """A bit for each line: whether it is rather the pattern than its negative."""
    half = len(lines) / 2
    return int("".join("1" if (line ^ pattern).bit_count() < half else "0" for line in lines), 2)


def _fit(rows: Sequence[int], across: int, down: int, edge: int) -> float:
    strays = ((row ^ across).bit_count() for row in rows)
    agrees = f"{down:0{edge}b}"
    wrong = sum(stray if agree == "1" else edge - stray for stray, agree in zip(strays, agrees, strict=True))
    return 1 - wrong / edge**2


def _tile(line: int, edge: int) -> float | None:
    """The length of the runs of equal bits, if it is the same of all; those at the ends may be cut."""
    runs = [len(list(run)) for _, run in groupby(f"{line:0{edge}b}")]
    if len(runs) < _LEAST_RUNS:
        return None
    whole = runs[1:-1]
    usual = median(whole)
    leeway = max(_UNEVEN * usual, 1)
    even = all(abs(run - usual) <= leeway for run in whole) and max(runs) <= usual + leeway
    return fmean(whole) if even and usual >= _LEAST_TILE else None


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= max(_UNEVEN * min(one, other), 1)
