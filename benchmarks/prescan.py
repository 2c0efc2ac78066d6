"""What it costs to refuse a bomb by its header, and to clean a photograph: milliseconds and memory.

    python -m benchmarks.prescan [--rounds N]

Memory is what tracemalloc sees beyond the file itself; times are the best of some rounds.
"""

from __future__ import annotations

import argparse
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from io import BytesIO

from PIL import Image
from tests.image_formats.bombs import BOMBS
from tests.image_formats.samples import exif

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.image_formats.prescan import cleaned, prescan

KB = 1024


def photograph(format_: str) -> bytes:
    """One of 12 megapixels, of noise: it compresses as badly as can be."""
    noise = random.Random(format_).randbytes(4000 * 3000 * 3)
    buffer = BytesIO()
    Image.frombytes("RGB", (4000, 3000), noise).save(buffer, format_, exif=exif())
    return buffer.getvalue()


def refused(data: bytes) -> None:
    try:
        prescan(data, "it")
    except InputError:
        return
    raise AssertionError("it passes")


def measured(work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """The best time in milliseconds, and the peak of memory in KiB."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return min(times), peak / KB


def lines(rounds: int) -> Iterator[tuple[str, int, float, float]]:
    for name, (make, _) in BOMBS.items():
        data = make()
        yield (name, len(data), *measured(lambda data=data: refused(data), rounds))  # type: ignore[misc]
    for format_ in ("PNG", "JPEG"):
        data = photograph(format_)
        scan = prescan(data, "it")
        yield (f"scan of a {format_}", len(data), *measured(lambda d=data: prescan(d, "it"), rounds))  # type: ignore[misc]
        yield (f"cleaning of a {format_}", len(data), *measured(lambda d=data, s=scan: cleaned(d, s), rounds))  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description="What refusing and cleaning cost.")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"{'file':52} {'bytes':>11} {'ms':>8} {'KiB':>8}")
    for name, size, ms, kib in lines(rounds):
        print(f"{name:52} {size:>11,} {ms:>8.2f} {kib:>8.0f}")


if __name__ == "__main__":
    main()
