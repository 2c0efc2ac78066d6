from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.chequers import LEAST_EDGE, Chequers, chequers_in

EDGE = 96


def patch(edge: int, level: object, noise: float = 0) -> bytes:
    """A square whose levels a function of x and y gives."""
    assert callable(level)
    chance = Random(edge)
    levels = (
        level(x, y) + (chance.gauss(0, noise) if noise else 0) for y in range(edge) for x in range(edge)
    )
    return bytes(min(max(round(value), 0), 255) for value in levels)


def board(
    edge: int,
    tile: float,
    dark: int = 204,
    light: int = 255,
    *,
    shift: tuple[int, int] = (0, 0),
    noise: float = 0,
) -> bytes:
    def level(x: int, y: int) -> int:
        return light if (int((x + shift[0]) / tile) + int((y + shift[1]) / tile)) % 2 else dark

    return patch(edge, level, noise)


@given(
    edge=st.integers(48, 128),
    tiles=st.floats(5, 14),
    dark=st.integers(0, 240),
    contrast=st.integers(14, 255),
    shift=st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
@settings(max_examples=120, deadline=None)
def test_chequers_of_any_size_and_tones_are_found_and_measured(
    edge: int, tiles: float, dark: int, contrast: int, shift: tuple[int, int]
) -> None:
    tile, light = edge / tiles, min(dark + contrast, 255)
    found = chequers_in(board(edge, tile, dark, light, shift=shift), edge)
    assert found is not None
    assert found.tile == pytest.approx(tile, abs=1)
    assert (found.dark, found.light) == (dark, light)


@pytest.mark.parametrize(("contrast", "noise"), [(15, 3), (51, 12), (255, 60)])
@pytest.mark.parametrize("tile", [6, 10.67, 16])
def test_noise_of_a_quarter_of_the_contrast_hides_no_chequers(
    tile: float, contrast: int, noise: float
) -> None:
    assert chequers_in(board(EDGE, tile, 255 - contrast, 255, shift=(3, 7), noise=noise), EDGE)


def test_a_patch_of_the_least_edge_can_show_chequers() -> None:
    assert chequers_in(board(LEAST_EDGE, 3), LEAST_EDGE) == Chequers(3, 204, 255)
    assert chequers_in(board(LEAST_EDGE - 1, 3), LEAST_EDGE - 1) is None


def test_a_thing_that_covers_a_little_of_them_hides_no_chequers() -> None:
    def level(x: int, y: int) -> int:
        return 60 if x + y < 30 else (204, 255)[(x // 12 + y // 12) % 2]

    assert chequers_in(patch(EDGE, level), EDGE)


OTHERS = {
    "one tone": lambda x, y: 255,
    "stripes": lambda x, y: (204, 255)[x // 12 % 2],
    "slanting stripes": lambda x, y: (204, 255)[(x + y) // 12 % 2],
    "a ramp": lambda x, y: x + y,
    "a ramp each way": lambda x, y: x * y / 36,
    "halves": lambda x, y: (204, 255)[x // 48 % 2],
    "four large tiles": lambda x, y: (204, 255)[(x // 48 + y // 48) % 2],
    "waves": lambda x, y: 128 + 100 * math.sin(x / 4) * math.sin(y / 4),
    "oblongs": lambda x, y: (204, 255)[(x // 8 + y // 16) % 2],
    "uneven tiles": lambda x, y: (204, 255)[(sum(x > at for at in (5, 25, 31, 60, 66)) + y // 12) % 2],
    "single pixels": lambda x, y: (204, 255)[(x + y) % 2],
    "windows": lambda x, y: 204 if x % 16 < 10 and y % 16 < 10 else 255,
    "bricks": lambda x, y: 255 if y % 12 < 2 or (x + y // 12 % 2 * 12) % 24 < 2 else 204,
    "gingham": lambda x, y: 255 - 50 * (x // 12 % 2) - 50 * (y // 12 % 2),
    "rings": lambda x, y: (204, 255)[int(math.hypot(x - 48, y - 48)) // 8 % 2],
    "tones too alike": lambda x, y: (250, 255)[(x // 12 + y // 12) % 2],
    "turned chequers": lambda x, y: (204, 255)[((x + y) // 14 + (x - y) // 14) % 2],
}


@pytest.mark.parametrize("level", OTHERS.values(), ids=OTHERS)
def test_other_patterns_are_none(level: object) -> None:
    assert chequers_in(patch(EDGE, level), EDGE) is None


@given(seed=st.integers(0, 2**32), low=st.integers(0, 200), span=st.integers(1, 55), cell=st.integers(1, 24))
@settings(max_examples=200, deadline=None)
def test_no_noise_of_any_grain_passes_for_chequers(seed: int, low: int, span: int, cell: int) -> None:
    across = -(-EDGE // cell)
    grains = [low + value % (span + 1) for value in Random(seed).randbytes(across * across)]
    assert chequers_in(patch(EDGE, lambda x, y: grains[y // cell * across + x // cell]), EDGE) is None


@given(
    slope=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    waves=st.lists(st.tuples(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0, 60)), max_size=3),
)
@settings(max_examples=100, deadline=None)
def test_no_sum_of_slopes_and_waves_passes_for_chequers(
    slope: tuple[float, float], waves: list[tuple[float, float, float]]
) -> None:
    def level(x: int, y: int) -> float:
        return 128 + slope[0] * x + slope[1] * y + sum(h * math.sin(a * x + b * y) for a, b, h in waves)

    assert chequers_in(patch(EDGE, level), EDGE) is None


@given(edge=st.integers(0, 40), seed=st.integers(0, 99))
def test_any_bytes_are_judged(edge: int, seed: int) -> None:
    data = Random(seed).randbytes(edge * edge)
    assume(edge < LEAST_EDGE or edge > 16)  # on a patch of four tiles chance can draw anything
    assert chequers_in(data, edge) is None


def test_chequers_are_alike_in_tones_and_tile() -> None:
    one = Chequers(16, 204, 255)
    assert one.is_like(Chequers(15, 207, 252))
    assert not one.is_like(Chequers(32, 204, 255))
    assert not one.is_like(Chequers(16, 120, 255))
    assert not one.is_like(Chequers(16, 204, 230))
