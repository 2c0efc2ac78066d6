"""Finds the pictures in a spooled JSON body without holding them: base64 spans out, the rest parsed.

A 60 MB answer parsed whole costs 177 MB and blocks for 0.3 s; cut this way it costs a window of 128 KiB.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gpt_image_2_mcp.errors import InvalidAnswer
from gpt_image_2_mcp.gateways._cutting import Cutter, Span
from gpt_image_2_mcp.models import EncodedPicture
from gpt_image_2_mcp.redaction import clean

_WINDOW: Final = 128 * 1024
"""What fits into a processor's cache, and below what the allocator gives back to the system each time."""


@dataclass(frozen=True, slots=True)
class Body:
    """`document` has, in the place of each picture, its name in `pictures`; it is empty if it `broke_off`."""

    document: Mapping[str, Any]
    pictures: Mapping[str, EncodedPicture]
    broke_off: bool = False

    def picture(self, value: object) -> EncodedPicture | None:
        """The picture that a value of `document` stands for."""
        return self.pictures.get(value) if isinstance(value, str) else None

    def pictured(self, entry: Mapping[str, Any]) -> EncodedPicture | None:
        """The picture in an entry of an ImagesResponse; some servers write it as a data URL."""
        return self.picture(entry.get("b64_json")) or self.picture(entry.get("url"))


def read_body(path: Path, *, torn: bool = False) -> Body:
    """Read a spooled answer; of a `torn` one that breaks off, the whole pictures and an empty document.

    Raises:
        InvalidAnswer: it is empty, cut, not JSON or not an object.
    """
    if not path.stat().st_size:
        raise InvalidAnswer("The API's answer was empty.")
    cutter, position = Cutter(), 0
    for window in windows(path):
        cutter.feed(window, position)
        position += len(window)
    if cutter.in_picture and not torn:
        raise InvalidAnswer("The API's answer breaks off inside a picture.")
    pictures, rest = located(path, cutter.spans), cutter.rest()
    try:
        document = json.loads(rest)
    except (ValueError, RecursionError):
        if torn and pictures:
            return Body({}, pictures, broke_off=True)
        start = clean(rest[:2000].decode("utf-8", "replace"), 200)
        raise InvalidAnswer(f"The API's answer is not JSON; it begins: {start}") from None
    if not isinstance(document, dict):
        raise InvalidAnswer("The API's answer is not a JSON object.")
    return Body(document, pictures)


def windows(path: Path) -> Iterator[bytes]:
    """A file in pieces."""
    with path.open("rb", buffering=0) as file:
        while window := file.read(_WINDOW):
            yield window


def located(path: Path, spans: Mapping[str, Span]) -> dict[str, EncodedPicture]:
    """The spans of a file as pictures."""
    return {name: EncodedPicture(path, start, end) for name, (start, end) in spans.items()}
