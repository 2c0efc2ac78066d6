"""What an input holds: bytes in memory while it is judged, a file of ours until it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PIECE_BYTES: Final = 512 * 1024
"""What a call that is being sent has in memory of its pictures."""


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file of ours that nobody changes, read when it is wanted; its methods block and raise OSError."""

    path: Path
    length: int

    def __len__(self) -> int:
        return self.length

    def pieces(self) -> Iterator[bytes]:
        """Its bytes a piece at a time; it is open from the first to the last."""
        with self.path.open("rb", buffering=0) as file:
            while piece := file.read(PIECE_BYTES):
                yield piece


Content = bytes | KeptFile


def whole(content: Content) -> bytes:
    """All of it in memory. Blocks where it stands in a file."""
    return content if isinstance(content, bytes) else content.path.read_bytes()
