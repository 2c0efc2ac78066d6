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
        InputError: it is too long, has no comma or is not valid base64.
    """
    if len(url) > _MAX_CHARS:
        raise InputError("The data: URL is larger than 50 MB.", hint="Save it to a file and give the path.")
    head, comma, body = url.partition(",")
    if not comma:
        raise InputError("The data: URL has no comma before its data.")
    if not head.lower().endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return pybase64.b64decode(unquote_to_bytes(body), validate=True)
    except ValueError:
        raise InputError(
            "The data: URL is not valid base64.", hint="Save the picture to a file and give its path."
        ) from None
