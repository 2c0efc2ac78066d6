from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from gpt_image_2_mcp import copies
from gpt_image_2_mcp.copies import Copies, fitted, on_chequers, size_of
from gpt_image_2_mcp.sizes import Size
from tests.support.pictures import noise, opened


def drawn(width: int = 2400, height: int = 1350) -> Image.Image:
    return Image.effect_mandelbrot((width, height), (-2.0, -1.1, 1.0, 1.1), 60).convert("RGB")


def noisy(width: int = 1200, height: int = 800) -> Image.Image:
    return opened(noise(width, height)).convert("RGB")


@pytest.mark.parametrize("webp", [True, False])
@pytest.mark.parametrize("picture", [drawn, noisy])
@pytest.mark.parametrize("part", [1, 0.8, 0.4])
def test_bands_tell_about_how_long_a_copy_is(webp: bool, picture: Any, part: float) -> None:
    frame = picture()
    size = Size(int(frame.width * part), int(frame.height * part))
    made = Copies(frame, b"profile", webp)
    estimate = made.estimate(size)
    assert estimate.copy is None
    assert estimate.length == pytest.approx(len(made.encoded(size)), rel=0.3)


@pytest.mark.parametrize("webp", [True, False])
def test_of_a_low_picture_the_copy_is_the_estimate(webp: bool) -> None:
    made, size = Copies(noisy(640, 200), None, webp), Size(320, 100)
    estimate = made.estimate(size)
    assert estimate.copy == made.encoded(size)
    assert estimate.length == len(estimate.copy)


def note(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The sizes of what is encoded from now on."""
    sizes: list[tuple[int, int]] = []

    def noting(encode: Any) -> Any:
        def noted(image: Image.Image, *options: Any) -> Any:
            sizes.append(image.size)
            return encode(image, *options)

        return noted

    for name in ("_as_webp", "_as_jpeg"):
        monkeypatch.setattr(copies, name, noting(getattr(copies, name)))
    return sizes


@pytest.mark.parametrize("webp", [True, False])
def test_one_copy_of_a_large_picture_is_made_as_a_rule(webp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, sizes = drawn(), note(monkeypatch)
    found = fitted(Copies(frame, None, webp), size_of(frame), 60_000)
    assert found is not None
    size, data = found
    assert [whole for whole in sizes if whole[1] > 144] == [(size.width, size.height)]
    assert 0.7 * 60_000 < len(data) <= 60_000


@pytest.mark.parametrize("webp", [True, False])
def test_a_picture_that_needs_little_is_encoded_once_and_finely(
    webp: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, sizes = drawn(1200, 675), note(monkeypatch)
    made = Copies(frame, None, webp)
    found = fitted(made, size_of(frame), 1_000_000)
    assert [whole for whole in sizes if whole[1] > 144] == [(1200, 675)]
    assert found == (Size(1200, 675), made.encoded(Size(1200, 675), fine=True))


@pytest.mark.parametrize("webp", [True, False])
def test_what_is_too_fine_for_its_budget_is_as_usual(webp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_DEARER", 1)
    frame = drawn(1200, 675)
    made, size = Copies(frame, None, webp), size_of(frame)
    usual = made.encoded(size)
    assert fitted(made, size, int(len(usual) * 1.2)) == (size, usual)


def test_a_wrong_estimate_is_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Image.new("RGB", (1200, 810), "white")
    for number in range(9):  # noise where no band looks
        frame.paste(noisy(1200, 50), (0, number * 90 + 60))
    sizes = note(monkeypatch)
    found = fitted(Copies(frame, None, webp=False), size_of(frame), 60_000)
    assert found is not None
    assert 30_000 < len(found[1]) <= 60_000
    assert len([whole for whole in sizes if whole[1] > 144]) > 1


def test_chequers_are_white_and_grey() -> None:
    ground = on_chequers(Image.new("RGBA", (64, 32)))
    assert [ground.getpixel(at) for at in ((0, 0), (16, 0), (0, 16), (16, 16))] == [
        *((255, 255, 255), (204, 204, 204), (204, 204, 204), (255, 255, 255))
    ]
