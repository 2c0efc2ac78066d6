"""What previews cost, in this process: processor time of a picture of 3840 by 2160."""

from __future__ import annotations

import random
import time
from io import BytesIO
from statistics import median
from typing import Final

from PIL import Image

from benchmarks.rows import Figures
from gpt_image_2_mcp.pictures import preview

BUDGET: Final = 500_000
SIZE: Final = (3840, 2160)


def previews(rounds: int, size: tuple[int, int] = SIZE) -> Figures:
    noise = Image.frombytes("RGB", size, random.Random(4).randbytes(size[0] * size[1] * 3))
    drawn = Image.effect_mandelbrot(size, (-2.0, -1.1, 1.0, 1.1), 60).convert("RGB")
    blended = Image.blend(drawn, noise, 0.08)  # a photograph's grain
    return {
        f"preview of a 4K PNG, {name}, CPU ms": _cpu_ms(_png(image), rounds)
        for name, image in {"drawn": drawn, "with grain": blended, "noise": noise}.items()
    }


def _png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _cpu_ms(data: bytes, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        assert preview(data, BUDGET, webp=False)
        taken.append((time.process_time() - began) * 1000)
    return median(taken)
