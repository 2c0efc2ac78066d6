"""Decodes a picture's base64 text where it stands in a spooled answer, in slices. Blocks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO, Final

import pybase64

from gpt_image_2_mcp.errors import InvalidAnswer
from gpt_image_2_mcp.models import EncodedPicture

_SLICE: Final = 128 * 1024


def decoded_slices(body: BinaryIO, picture: EncodedPicture) -> Iterator[bytes]:
    """The picture's bytes, 96 KiB at a time; strict: padding only at the end, no stray characters."""
    body.seek(picture.start)
    remaining = picture.end - picture.start
    try:
        while remaining > 0:
            text = body.read(min(_SLICE, remaining))
            remaining -= len(text)
            if b"\\" in text:  # some servers escape "/" as "\/": read on as one JSON string
                whole = b'"' + text + body.read(remaining) + b'"'
                text, remaining = json.loads(whole).encode("ascii"), 0
            if not text or (remaining and text.endswith(b"=")):
                raise ValueError("padding before the end")
            yield pybase64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidAnswer("One picture of the answer is damaged: its base64 text is not valid.") from None
