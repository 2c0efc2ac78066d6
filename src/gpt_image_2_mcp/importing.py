"""Imports large libraries without the garbage collector, which finds nothing to collect in them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_off() -> Iterator[None]:
    """What is made meanwhile is kept for good, and no later collection looks at it.

    Importing the SDK builds hundreds of models out of some 300,000 objects; the collector walks the growing
    heap again and again, and once more when the process ends (docs/performance.md has the figures).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
