"""Colour profiles, which change how a picture looks; ICC.1:2022 section 7.2."""

from __future__ import annotations

from typing import Final

from gpt_image_2_mcp.capabilities import MAX_ICC_BYTES
from gpt_image_2_mcp.image_formats.layout import overloaded

_HEADER_BYTES: Final = 128


def check_length(length: int) -> None:
    """Refuse what is longer than any profile."""
    if length > MAX_ICC_BYTES:
        raise overloaded(f"a colour profile of more than {MAX_ICC_BYTES >> 20} MB")


def genuine(profile: bytes) -> bytes:
    """The profile, cut to the length it gives itself; empty when it is none, as decoders then take it."""
    length = int.from_bytes(profile[:4], "big")
    if profile[36:40] != b"acsp" or not _HEADER_BYTES <= length <= len(profile):
        return b""
    return profile[:length]
