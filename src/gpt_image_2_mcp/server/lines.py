"""Lines of bounded length from a stream, the parts of a message, and which request an unread one was."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import BinaryIO, Final

MOST_PARTS: Final = 100_000
"""Commas and opening brackets in a message: each costs 60 bytes and more, and no request has so many."""
_END_BYTES: Final = 4096
_PIECE_BYTES: Final = 256 * 1024
_SCALAR: Final = rb'(?:"(?:[^"\\]|\\.)*"|-?\d+|true|false|null)'
_ID: Final = rb'"id"\s*:\s*("(?:[^"\\]|\\.){0,200}"|-?\d{1,18})\s*'
# `id` among the first members, or among the last ones of the outermost object: clients write it at both ends.
_ID_IN_HEAD: Final = re.compile(rb'\s*\{(?:\s*"[^"\\]*"\s*:\s*' + _SCALAR + rb"\s*,)*?\s*" + _ID + rb"[,}]")
_ID_IN_TAIL: Final = re.compile(_ID + rb'(?:,\s*"[^"\\]*"\s*:\s*' + _SCALAR + rb"\s*)*\}\s*\Z")


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line that was longer than is read: its first and its last bytes."""

    head: bytes
    tail: bytes


class Lines:
    """The lines of `file`, each of at most `limit` bytes; never more than that stands in memory. Blocks."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file, self._limit = file, limit

    def next(self) -> bytes | Overlong | None:
        """The next line, what is left of one that was too long, or None at the end."""
        line = self._file.readline(self._limit + 1)
        if len(line) <= self._limit or line.endswith(b"\n"):
            return line or None
        head, tail = line[:_END_BYTES], line[-_END_BYTES:]
        del line
        while piece := self._file.readline(_PIECE_BYTES):
            tail = (tail + piece)[-_END_BYTES:]
            if piece.endswith(b"\n"):
                break
        return Overlong(head, tail)


def request_id(head: bytes, tail: bytes) -> int | str | None:
    """The id of the request that begins and ends so, where it can be told; None for anything else."""
    if b'"method"' not in head and b'"method"' not in tail:
        return None  # an answer: its id is one of ours
    found = _ID_IN_HEAD.match(head[:_END_BYTES]) or _ID_IN_TAIL.search(tail[-_END_BYTES:])
    try:
        value: int | str | None = json.loads(found[1]) if found else None
        str(value).encode()
    except ValueError:  # a string that is no JSON, or that no answer could repeat
        return None
    return value


def parts(text: bytes) -> int:
    """How many parts a message has at most: what stands in strings is counted too, and may."""
    return sum(map(text.count, (b",", b"[", b"{")))
