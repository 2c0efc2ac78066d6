"""Cuts the base64 texts of pictures out of JSON text that comes in pieces, and says where they stand."""

from __future__ import annotations

import re
import secrets
from typing import Final

from gpt_image_2_mcp.errors import InvalidAnswer

MAX_REST: Final = 4 * 1024 * 1024
"""Bytes of JSON beside its pictures."""
_PICTURE_KEY: Final = re.compile(
    rb'(?<!\\)"(?:(?:b64_json|partial_image_b64|result)"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"'
    # A picture's address that is the picture itself.
    rb'|url"[ \t\r\n]{0,64}:[ \t\r\n]{0,64}"data:image\\?/[a-z+.-]{1,16};base64,)(?!["\r\n])'
)
_LONGEST_KEY: Final = 256

Span = tuple[int, int]
"""First byte of a picture's text, and the one behind its last."""


class Cutter:
    """One JSON text. `spans` names the pictures whose end has come; the names stand in their places."""

    def __init__(self) -> None:
        self.spans: dict[str, Span] = {}
        self._mark = secrets.token_hex(8)  # nothing in the text can pass for a picture that was cut out of it
        self._rest = bytearray()
        self._window = b""  # the end of what came: a picture's key may begin in it
        self._settled = 0  # as much of it stands in `_rest` already
        self._start: int | None = None  # of the picture whose end has not come
        self._escaped = False

    @property
    def in_picture(self) -> bool:
        return self._start is not None

    def feed(self, data: bytes, position: int) -> None:
        """Take the next piece, whose first byte stands at `position`.

        Raises:
            InvalidAnswer: there is far too much beside the pictures.
        """
        window, at = self._window + data, self._settled
        base = position - len(self._window)
        while True:
            if self._start is not None:
                end = self._closing_quote(window, at)
                if end < 0:
                    self._window, self._settled = b"", 0
                    return
                self.spans[self._name()] = self._start, base + end
                self._start, at = None, end + 1
            found = _PICTURE_KEY.search(window, at)
            if found is None or found.end() == len(window):
                break
            key, _, _ = found[0].rpartition(b'"')
            self._add(window[at : found.start()] + key + f'"{self._name()}"'.encode())
            self._start = at = found.end()
            self._start += base
        settled = max(len(window) - _LONGEST_KEY, at)
        self._add(window[at:settled])
        kept = max(settled - 1, 0)  # a backslash before the next key must still be seen
        self._window, self._settled = window[kept:], settled - kept

    def rest(self) -> bytes:
        """The text without its pictures, once all of it was fed.

        Raises:
            InvalidAnswer: as `feed`.
        """
        self._add(self._window[self._settled :])
        self._settled = len(self._window)
        return bytes(self._rest)

    def _name(self) -> str:
        return f"{self._mark}-{len(self.spans)}"

    def _add(self, text: bytes) -> None:
        self._rest += text
        if len(self._rest) > MAX_REST:
            raise InvalidAnswer("The API's answer is far larger than its pictures.")

    def _closing_quote(self, window: bytes, at: int) -> int:
        """Where the text ends in which `at` stands; -1 where its end has not come."""
        at += self._escaped
        quote = window.find(b'"', at)
        while (slash := window.find(b"\\", at, quote if quote >= 0 else len(window))) >= 0:
            at = slash + 2
            if 0 <= quote < at:
                quote = window.find(b'"', at)
        self._escaped = quote < 0 and at > len(window)
        return quote
