"""Decodes `data:` URLs (RFC 2397)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

import pybase64

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.limits import MB, Limits

_PIECE: Final = 64 * 1024


def decode_data_url(url: str, max_chars: int = Limits().data_url) -> bytes:
    """The bytes of a data URL of at most `max_chars`; its MIME type is not believed. Blocks.

    Raises:
        InputError: it is too long, has no comma or is not validly encoded.
    """
    if len(url) > max_chars:
        raise InputError(
            f"The data: URL is larger than {max_chars // MB} MB.",
            hint="Save the picture to a file and give the path; nothing was sent.",
        )
    head, comma, body = url.partition(",")
    if not comma:
        raise InputError("The data: URL has no comma before its data.")
    try:
        data = b"".join(map(unquote_to_bytes, _pieces(body)))
        return pybase64.b64decode(data, validate=True) if head.lower().endswith(";base64") else data
    except ValueError:  # bad base64, or a lone surrogate
        raise InputError(
            "The data: URL is not valid.", hint="Save the picture to a file and give its path."
        ) from None


def _pieces(text: str) -> Iterator[str]:
    """`text` in pieces that part no escape: unquoting takes an object an escape, 500 MB for 12 MB at once."""
    start = 0
    while start < len(text):
        end = start + _PIECE
        cut = text.rfind("%", end - 2, end)
        end = end if cut < 0 else cut
        yield text[start:end]
        start = end
