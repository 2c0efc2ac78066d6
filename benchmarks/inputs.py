"""What it costs to refuse a bomb by its header, and to clean a photograph: milliseconds and memory.

Memory is what tracemalloc sees beyond the file itself; times are the best of some rounds.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Final

from PIL import Image
from tests.image_formats.bombs import BOMBS
from tests.image_formats.samples import exif

from benchmarks.rows import Figures
from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.image_formats.prescan import cleaned, prescan

KB: Final = 1024


def scans(rounds: int, size: tuple[int, int] = (4000, 3000)) -> Figures:
    """Of the bombs the worst, and photographs of 12 megapixels."""
    files = [make() for make, _ in BOMBS.values()]
    bombs = [_measured(lambda data=data: _refused(data), rounds) for data in files]  # type: ignore[misc]
    figures = {
        f"refusing the worst of {len(bombs)} bombs, ms": max(ms for ms, _ in bombs),
        f"refusing the worst of {len(bombs)} bombs, KiB": max(kib for _, kib in bombs),
    }
    for name, work in _works(size):
        figures[f"{name}, ms"], figures[f"{name}, KiB"] = _measured(work, rounds)
    return figures


def _works(size: tuple[int, int]) -> Iterator[tuple[str, Callable[[], object]]]:
    for format_ in ("PNG", "JPEG"):
        data = _photograph(format_, size)
        scan = prescan(data, "it")
        yield f"scan of a {format_}", lambda d=data: prescan(d, "it")  # type: ignore[misc]
        yield f"cleaning of a {format_}", lambda d=data, s=scan: cleaned(d, s)  # type: ignore[misc]


def _photograph(format_: str, size: tuple[int, int]) -> bytes:
    """One of noise: it compresses as badly as can be."""
    buffer = BytesIO()
    noise = random.Random(format_).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, noise).save(buffer, format_, exif=exif())
    return buffer.getvalue()


def _refused(data: bytes) -> None:
    try:
        prescan(data, "it")
    except InputError:
        return
    raise AssertionError("it passes")


def _measured(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The best time in milliseconds, and the peak of memory in KiB."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return min(times), peak / KB
