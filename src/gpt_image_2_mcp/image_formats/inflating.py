"""Unpacks zlib streams piece by piece, so that a bomb is measured without being held."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from gpt_image_2_mcp.image_formats.layout import overloaded

_IN: Final = 16 * 1024
_OUT: Final = 128 * 1024
_ORDINARY_RATIO: Final = 100
_UNJUDGED: Final = 64 * 1024
"""Texts and profiles unpack to 2 to 20 times their length, bombs to 1000 times; short ones are let be."""


def pieces(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """What the stream in `data[start:end]` unpacks to, up to where it ends or is damaged.

    Raises:
        Unfit: it unpacks to so much more than it is that nothing but a bomb does.
    """
    stream, made = zlib.decompressobj(), 0
    try:
        for at in range(start, end, _IN):
            packed = data[at : min(at + _IN, end)]
            while packed and not stream.eof:
                piece = stream.decompress(packed, _OUT)
                made += len(piece)
                packed = stream.unconsumed_tail
                taken = min(at + _IN, end) - start - len(packed)
                if made > _UNJUDGED + taken * _ORDINARY_RATIO:
                    raise overloaded(f"a part that unpacks to over {_ORDINARY_RATIO} times its length")
                yield piece
    except zlib.error:
        return


def inflated_length(data: bytes, start: int, end: int, enough: int) -> int:
    """How long the unpacked stream is; counting stops soon after `enough`."""
    length = 0
    for piece in pieces(data, start, end):
        length += len(piece)
        if length > enough:
            break
    return length


def begins_a_stream(head: bytes) -> bool:
    """Whether these first bytes can be the beginning of a zlib stream."""
    try:
        zlib.decompressobj().decompress(head, 1)
    except zlib.error:
        return False
    return bool(head)
