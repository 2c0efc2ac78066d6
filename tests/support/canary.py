"""Looks for the canary key wherever a test left something: files, and what it printed and logged."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.support.upstreams import CANARY

_STEM: Final = 20
"""So many characters of a key are a leak too."""
_LARGEST: Final = 64 * 1024 * 1024


def leaks(folder: Path, said: Iterable[tuple[str, str]], key: str = CANARY) -> Iterator[str]:
    """The places below `folder`, and the titles of the texts in `said`, that hold the key."""
    for title, text in said:
        if key[:_STEM] in text:
            yield title
    for path in folder.rglob("*"):
        if key[:_STEM] in path.name or _holds(path, key.encode()):
            yield str(path.relative_to(folder))


def _holds(path: Path, key: bytes) -> bool:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return False
        data = path.read_bytes()
    except OSError:  # gone meanwhile, or a test made it unreadable
        return False
    # A file that is the key alone is a secret mounted as a file, which the person put there.
    return key[:_STEM] in data and data.strip() != key
