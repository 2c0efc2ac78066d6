"""Has the allocator keep what is freed, as far as the pictures of a call go."""

from __future__ import annotations

from typing import Final

_LARGEST_BUFFER: Final = 4 * 1024 * 1024


def keep_buffers() -> None:
    """From now on a buffer of up to 4 MB is one that was used before, where the C library is glibc.

    Else each is fetched from the system anew, and every page of it is a fault: up to 3,700 for a call of 1
    MB, a fifth of its processor time. glibc raises the limit to the largest block of that kind that it was
    given back (mallopt(3), M_MMAP_THRESHOLD), and keeps no more than twice as much at the end of each of its
    heaps. Nothing is written to the block, so it takes no memory.
    """
    bytes(_LARGEST_BUFFER)
