"""Chequers as models paint them, and pictures with them."""

from __future__ import annotations

from PIL import Image, ImageDraw

Tone = tuple[int, int, int]
WHITE: Tone = (255, 255, 255)
LIGHT: Tone = (204, 204, 204)


def board(
    width: int, height: int, tile: float, dark: Tone = LIGHT, light: Tone = WHITE, shift: int = 0
) -> Image.Image:
    """Chequers all over; `tile` need not be whole, and the first tiles are cut by `shift`."""
    image = Image.new("RGB", (width, height), light)
    draw = ImageDraw.Draw(image)
    for row in range(round((height + shift) / tile) + 1):
        for column in range(row % 2, round((width + shift) / tile) + 1, 2):
            left, top = round(column * tile) - shift, round(row * tile) - shift
            right, low = round((column + 1) * tile) - shift - 1, round((row + 1) * tile) - shift - 1
            if right >= left and low >= top:
                draw.rectangle((left, top, right, low), fill=dark)
    return image


def with_subject(ground: Image.Image) -> Image.Image:
    """A red thing that covers most of the picture and runs out of it below."""
    image, (width, height) = ground.copy(), ground.size
    box = (width * 0.12, height * 0.15, width * 0.88, height * 1.2)
    ImageDraw.Draw(image).ellipse(box, fill=(190, 40, 30))
    return image
