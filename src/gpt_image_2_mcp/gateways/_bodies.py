"""Finds the pictures in a spooled JSON body without holding them: base64 spans out, the rest parsed.

A 60 MB answer parsed whole costs 177 MB and blocks for 0.3 s; cut this way it costs a window of 1 MiB.
"""

from __future__ import annotations

import io
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gpt_image_2_mcp.errors import InvalidAnswer
from gpt_image_2_mcp.models import EncodedPicture
from gpt_image_2_mcp.redaction import clean

_PICTURE_KEY: Final = re.compile(rb'(?<!\\)"(?:b64_json|result)"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"(?!")')
_LONGEST_KEY: Final = 256
_MAX_REST: Final = 4 * 1024 * 1024
_WINDOW: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """`document` has, in the place of each picture, its name in `pictures`; it is empty if it `broke_off`."""

    document: Mapping[str, Any]
    pictures: Mapping[str, EncodedPicture]
    broke_off: bool = False

    def picture(self, value: object) -> EncodedPicture | None:
        """The picture that a value of `document` stands for."""
        return self.pictures.get(value) if isinstance(value, str) else None


def read_body(path: Path, *, torn: bool = False) -> Body:
    """Read a spooled answer; of a `torn` one that breaks off, the whole pictures and an empty document.

    Raises:
        InvalidAnswer: it is empty, cut, not JSON or not an object.
    """
    if not path.stat().st_size:
        raise InvalidAnswer("OpenAI's answer was empty.")
    with path.open("rb", buffering=0) as file:
        rest, pictures = _cut(path, file, torn=torn)
    try:
        document = json.loads(rest)
    except (ValueError, RecursionError):
        if torn and pictures:
            return Body({}, pictures, broke_off=True)
        start = clean(rest[:2000].decode("utf-8", "replace"), 200)
        raise InvalidAnswer(f"The API's answer is not JSON; it begins: {start}") from None
    if not isinstance(document, dict):
        raise InvalidAnswer("OpenAI's answer is not a JSON object.")
    return Body(document, pictures)


def _cut(path: Path, file: io.RawIOBase, *, torn: bool) -> tuple[bytes, dict[str, EncodedPicture]]:
    mark = secrets.token_hex(8)  # nothing in the answer can pass for a picture that was cut out of it
    pictures: dict[str, EncodedPicture] = {}
    rest, window, position = bytearray(), b"", 0  # `position` is where the file is read on
    while True:
        found = _PICTURE_KEY.search(window)
        if found is None or found.end() == len(window):
            more = file.read(_WINDOW) or b""
            position += len(more)
            if not more:
                break
            settled = max(len(window) - _LONGEST_KEY, 0)
            rest += window[:settled]
            window = window[settled:] + more
        else:
            start = position - len(window) + found.end()
            end = _closing_quote(file, start)
            if end < 0 and torn:
                break
            if end < 0:
                raise InvalidAnswer("OpenAI's answer breaks off inside a picture.")
            name = f"{mark}-{len(pictures)}"
            rest += window[: found.end() - 1] + f'"{name}"'.encode()
            pictures[name] = EncodedPicture(path, start, end)
            window, position = b"", end + 1
            file.seek(position)
        _check_size(rest)
    rest += window
    _check_size(rest)
    return bytes(rest), pictures


def _check_size(rest: bytearray) -> None:
    if len(rest) > _MAX_REST:
        raise InvalidAnswer("OpenAI's answer is far larger than its pictures.")


def _closing_quote(file: io.RawIOBase, start: int) -> int:
    """Where the text that begins at `start` ends; -1 where it breaks off."""
    file.seek(start)
    position, escapes = start, 0  # `escapes`: backslashes right before `position`
    while window := file.read(_WINDOW):
        at = -1
        while (at := window.find(b'"', at + 1)) >= 0:
            run = at - len(window[:at].rstrip(b"\\"))
            if (run + (escapes if run == at else 0)) % 2 == 0:
                return position + at
        run = len(window) - len(window.rstrip(b"\\"))
        escapes = run + (escapes if run == len(window) else 0)
        position += len(window)
    return -1
