"""The only place of the bench that sleeps: looks again and again at what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
_LOOK_EVERY_S: Final = 0.015


def until(look: Callable[[], T], within: float = 15.0) -> T:
    """The first true value that `look` gives. Blocks.

    Raises:
        AssertionError: there was none in time.
    """
    deadline = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(_LOOK_EVERY_S)
    return found
