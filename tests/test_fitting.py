from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.fitting import BAND_ROWS, Fit, bands, largest, scaled, within
from gpt_image_2_mcp.sizes import Size

FULL = Size(3840, 2160)


class Scale:
    """Weighs sizes as pictures do: so many bytes a pixel of the full size, by some power of the pixels."""

    def __init__(self, bytes_per_pixel: float, growth: float = 1.0) -> None:
        self._full, self._growth = bytes_per_pixel * FULL.pixels, growth
        self.asked: list[Size] = []

    def __call__(self, size: Size) -> float:
        self.asked.append(size)
        weight: float = self._full * (size.pixels / FULL.pixels) ** self._growth
        return weight


def found(scale: Scale, budget: float, worth: float = 1.05, pixels: float = 1_000_000) -> Fit[float] | None:
    return largest(FULL, budget, scale, float, pixels=pixels, worth=worth)


@given(
    bytes_per_pixel=st.floats(0.001, 10),
    growth=st.floats(0.3, 5),
    budget=st.floats(100, 10_000_000),
    worth=st.floats(1.01, 2),
    pixels=st.floats(1, 10_000_000),
)
def test_whatever_fits_it_is_within_the_budget_and_in_few_trials(
    bytes_per_pixel: float, growth: float, budget: float, worth: float, pixels: float
) -> None:
    scale = Scale(bytes_per_pixel, growth)
    fit = found(scale, budget, worth, pixels)
    assert len(scale.asked) <= 10
    if fit:
        assert fit.made == scale(fit.size) <= budget
    if scale(FULL) <= 0.9 * budget:
        assert fit is not None


@pytest.mark.parametrize("growth", [0.7, 1.0, 1.6, 3.0])
def test_what_grows_steadily_fills_its_budget_in_four_trials(growth: float) -> None:
    scale = Scale(1.0, growth)
    fit = found(scale, 500_000)
    assert len(scale.asked) <= 4
    assert fit is not None
    assert fit.made > 0.85 * 500_000
    assert fit.growth == pytest.approx(growth, rel=0.05)


def test_the_whole_is_taken_where_it_fits() -> None:
    scale = Scale(0.01)
    fit = found(scale, 500_000)
    assert (fit and fit.size) == FULL
    assert len(scale.asked) == 2


def test_a_trial_that_promises_too_little_is_not_made() -> None:
    frugal, thorough = Scale(1.0), Scale(1.0)
    first = found(frugal, 1_200_000, worth=1.25)
    assert first is not None
    assert frugal.asked == [first.size]
    second = found(thorough, 1_200_000, worth=1.05)
    assert second is not None
    assert second.made > first.made


def test_a_guess_at_the_growth_spares_a_trial() -> None:
    scale = Scale(1.0, 3.0)
    fit = largest(FULL, 500_000, scale, float, pixels=5_000_000, growth=3.0, worth=1.25)
    assert fit is not None
    assert fit.made == pytest.approx(0.94 * 500_000, rel=0.01)
    assert len(scale.asked) == 2


def test_where_one_pixel_is_too_much_nothing_fits() -> None:
    assert largest(FULL, 10, lambda _size: 20.0, float, pixels=1_000_000, worth=1.05) is None


@given(width=st.integers(1, 9000), height=st.integers(1, 9000), pixels=st.floats(0.1, 1e8))
def test_a_size_keeps_its_shape_and_never_grows(width: int, height: int, pixels: float) -> None:
    full = Size(width, height)
    size = scaled(full, pixels)
    assert 1 <= size.width <= width
    assert 1 <= size.height <= height
    assert abs(size.width / width - size.height / height) <= 1 / min(width, height)


def test_the_longest_edge_decides() -> None:
    assert within(FULL, 1920) == Size(1920, 1080)
    assert within(FULL, 3840) == within(FULL, None) == FULL
    assert within(Size(5000, 1), 100) == Size(100, 1)


@given(st.integers(1, 9000))
def test_bands_lie_within_a_picture_beside_each_other_and_are_half_of_it_at_most(height: int) -> None:
    tops = bands(height)
    assert len(tops) * BAND_ROWS * 2 <= height
    assert all(0 <= top <= height - BAND_ROWS for top in tops)
    assert all(one + BAND_ROWS <= next_ for one, next_ in pairwise(tops))


def test_a_low_picture_has_no_bands() -> None:
    assert bands(287) == ()
    assert len(bands(288)) == 9
