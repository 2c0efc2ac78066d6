"""Reads server-sent events, live or from the spool: pictures as spans, the rest parsed, memory bounded.

The format is that of the WHATWG HTML standard, section 9.2. What an event is, `type` in its data says before
its own name does, as the openai package has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gpt_image_2_mcp.capabilities import MAX_PARTIALS
from gpt_image_2_mcp.errors import InvalidAnswer
from gpt_image_2_mcp.gateways._bodies import Body, located, windows
from gpt_image_2_mcp.gateways._cutting import Cutter, Span

COMPLETED: Final = frozenset({"image_generation.completed", "image_edit.completed"})
RESPONSE_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed"})
ITEM_DONE: Final = "response.output_item.done"
_BOM: Final = b"\xef\xbb\xbf"
_MAX_NAME: Final = 256
_FIRST_LINE: Final = re.compile(rb"(?:\xef\xbb\xbf)?[\r\n]*(?:event|data|id|retry)?:")
_TYPE: Final = re.compile(rb'"type"\s{0,64}:\s{0,64}"(\w{1,50}\.[\w.]{1,100})"')


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `document` is empty where it `broke_off` behind a picture."""

    type: str
    document: Mapping[str, Any]
    spans: Mapping[str, Span]
    broke_off: bool = False

    @property
    def is_partial(self) -> bool:
        return self.type.endswith(".partial_image")

    @property
    def is_last(self) -> bool:
        """Whether everything is said with it."""
        return self.type in COMPLETED or self.type in RESPONSE_ENDS or self.error is not None

    @property
    def error(self) -> Mapping[str, Any] | None:
        """The event as an error body, if it is one: the Responses API has code and message at the top."""
        if self.document.get("error"):
            return self.document
        if self.type != "error":
            return None
        return {"error": {name: self.document.get(name) for name in ("code", "message", "param")}}

    def body(self, path: Path) -> Body:
        """The event as an answer that stands in `path`."""
        return Body(self.document, located(path, self.spans), self.broke_off)


@dataclass(frozen=True, slots=True)
class Partial:
    """A picture in the making: which one, from 0, and where its base64 text stands in the stream."""

    index: int
    span: Span


@dataclass(slots=True)
class _Draft:
    """An event of which more lines may come."""

    name: bytearray = field(default_factory=bytearray)
    data: Cutter = field(default_factory=Cutter)
    lines: int = 0
    unreadable: bool = False

    def begin_line(self, position: int) -> None:
        # JSON has no line end within a text: a picture that goes on in the next line is none.
        self.unreadable |= self.data.in_picture
        if self.lines:
            self.add(b"\n", position)
        self.lines += 1

    def add(self, text: bytes, position: int) -> None:
        try:
            if not self.unreadable:
                self.data.feed(text, position)
        except InvalidAnswer:
            self.unreadable = True

    def event(self, *, at_end: bool = False) -> Event | None:
        """What the lines say; None if nothing that can be read."""
        if not self.lines or self.unreadable:
            return None
        try:
            rest = self.data.rest()
        except InvalidAnswer:
            return None
        try:
            document = json.loads(rest)
        except (ValueError, RecursionError):
            return self._broken_off(rest) if at_end and self.data.spans else None
        if not isinstance(document, dict):
            return None
        said = document.get("type")
        return Event(said if isinstance(said, str) else self._named(), document, self.data.spans)

    def _broken_off(self, rest: bytes) -> Event:
        said = _TYPE.search(rest)
        return Event(said[1].decode() if said else self._named(), {}, self.data.spans, broke_off=True)

    def _named(self) -> str:
        return self.name.decode("utf-8", "replace")


class EventParser:
    """Takes a stream in pieces of any size and gives each event when its last line has come."""

    def __init__(self) -> None:
        self._position = 0
        self._after_return = False
        self._first = True
        self._head = bytearray()
        self._field: bytes | None = None  # None: the line's colon has not come
        self._at_value = False
        self._draft = _Draft()

    def feed(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if data and self._after_return:
            skipped = int(data.startswith(b"\n"))
            data, self._position = data[skipped:], self._position + skipped
            self._after_return = False
        for line in data.splitlines(keepends=True):
            text = line.rstrip(b"\r\n")
            self._add(text)
            self._position += len(line) - len(text)
            if len(text) < len(line) and (event := self._end_line()):
                events.append(event)
        if data:
            self._after_return = data.endswith(b"\r")
        return events

    def end(self) -> Event | None:
        """What the stream ends with, should its last event lack its end.

        Such an event does not count by the standard. Here one does that is whole JSON, and one that holds a
        whole picture: it was paid for.
        """
        return self._draft.event(at_end=True)

    def _add(self, text: bytes) -> None:
        start, self._position = self._position, self._position + len(text)
        if self._field is None:
            head, colon, value = text.partition(b":")
            self._head += head[: _MAX_NAME - len(self._head)]
            if not colon:
                return
            start, text = start + len(head) + 1, value
            self._begin_value(start)
        if self._at_value and text:
            self._at_value = False
            if text.startswith(b" "):
                start, text = start + 1, text[1:]
        if self._field == b"data":
            self._draft.add(text, start)
        elif self._field == b"event":
            self._draft.name += text[: _MAX_NAME - len(self._draft.name)]

    def _begin_value(self, position: int) -> None:
        self._field = bytes(self._head).removeprefix(_BOM if self._first else b"")
        self._at_value = True
        if self._field == b"data":
            self._draft.begin_line(position)
        elif self._field == b"event":
            self._draft.name.clear()

    def _end_line(self) -> Event | None:
        blank = self._field is None and not self._head
        self._first, self._field = False, None
        self._head.clear()
        if not blank:
            return None
        draft, self._draft = self._draft, _Draft()
        return draft.event()


class Follower:
    """Follows a stream while it comes."""

    def __init__(self) -> None:
        self._parser = EventParser()
        self._partials = 0
        self.all_said = False
        """Whether the answer is complete by its own word, so that a broken connection breaks nothing."""

    def feed(self, data: bytes) -> tuple[bool, list[Partial]]:
        """Whether an event has come to its end, and the partial pictures that came."""
        events = self._parser.feed(data)
        self.all_said |= any(event.is_last for event in events)
        return bool(events), [found for event in events if (found := self._partial(event))]

    def _partial(self, event: Event) -> Partial | None:
        if not event.is_partial or not event.spans:
            return None
        index = event.document.get("partial_image_index")
        if not isinstance(index, int):
            index = self._partials
        self._partials += 1
        return Partial(index, next(iter(event.spans.values()))) if 0 <= index < MAX_PARTIALS else None


def is_stream(path: Path) -> bool:
    """Whether a spooled answer is a stream: servers that know no streams answer in JSON."""
    with path.open("rb") as file:
        return _FIRST_LINE.match(file.read(64)) is not None


def read_events(path: Path) -> Iterator[Event]:
    """The events of a spooled stream, whole or broken off; one at a time is in memory."""
    parser = EventParser()
    for window in windows(path):
        yield from parser.feed(window)
    if last := parser.end():
        yield last
