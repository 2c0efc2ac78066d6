"""Decodes `data:` URLs (RFC 2397)."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import pybase64

from gpt_image_2_mcp.capabilities import MAX_INPUT_BYTES
from gpt_image_2_mcp.errors import InputError

_MAX_CHARS = MAX_INPUT_BYTES * 4 // 3 + 1024


def decode_data_url(url: str) -> bytes:
    """The bytes of a data URL; its MIME type is not believed.

    Raises:
        InputError: it is too long, has no comma or is not validly encoded.
    """
    if len(url) > _MAX_CHARS:
        raise InputError("The data: URL is larger than 50 MB.", hint="Save it to a file and give the path.")
    head, comma, body = url.partition(",")
    if not comma:
        raise InputError("The data: URL has no comma before its data.")
    try:
        data = unquote_to_bytes(body)
        return pybase64.b64decode(data, validate=True) if head.lower().endswith(";base64") else data
    except ValueError:  # bad base64, or a lone surrogate
        raise InputError(
            "The data: URL is not valid.", hint="Save the picture to a file and give its path."
        ) from None
