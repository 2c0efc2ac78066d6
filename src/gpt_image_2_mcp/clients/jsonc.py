"""JSON, with comments and trailing commas where a client takes them: read, and changed where it has to be.

A change is a splice: every character outside of it stays, comments, order and blanks included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from gpt_image_2_mcp.clients.edits import Put
from gpt_image_2_mcp.errors import UnreadableSetup

_BLANK: Final = re.compile(r"[ \t\r\n]*")
_TRIVIA: Final = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR: Final = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_STRICT: Final = json.JSONDecoder()
_DEEPEST: Final = 200


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands; of a container also its `children` by key, in a list by number, and where
    a trailing `comma` ends.
    """

    start: int
    end: int
    value: Any
    children: dict[str, Node] | None = None
    comma: int | None = None


def read(text: str, *, comments: bool = False) -> Node:
    """The document, which has to be an object; an empty file counts as an empty one.

    Raises:
        UnreadableSetup: it is no such document.
    """
    reader = _Reader(text, comments=comments)
    start = reader.after_trivia(0)
    if start == len(text):
        return Node(start, start, {}, {})
    root = reader.value(start, 0)
    if reader.after_trivia(root.end) != len(text):
        reader.fail(root.end, "something stands behind its end")
    if not isinstance(root.value, dict):
        raise UnreadableSetup("The file holds no JSON object.")
    return root


class _Reader:
    """RFC 8259, and of JSONC what VS Code takes: comments, and commas before a closing bracket."""

    def __init__(self, text: str, *, comments: bool) -> None:
        self._text, self._comments = text, comments
        self._trivia = _TRIVIA if comments else _BLANK

    def fail(self, at: int, what: str) -> NoReturn:
        line = self._text.count("\n", 0, at) + 1
        raise UnreadableSetup(f"The file is not JSON that can be read: line {line}, {what}.")

    def after_trivia(self, at: int) -> int:
        found = self._trivia.match(self._text, at)
        return found.end() if found else at

    def value(self, at: int, depth: int) -> Node:
        if depth > _DEEPEST:
            self.fail(at, "it is nested too deep")
        mark = self._text[at : at + 1]
        if mark in ("{", "["):
            return self._container(at, depth, is_object=mark == "{")
        if mark == '"':
            text, end = self._string(at)
            return Node(at, end, text)
        found = _SCALAR.match(self._text, at)
        if not found:
            self.fail(at, "a value is expected")
        return Node(at, found.end(), json.loads(found[0]))

    def _string(self, at: int) -> tuple[str, int]:
        if self._text[at : at + 1] != '"':
            self.fail(at, "a name in quotes is expected")
        try:
            text, end = _STRICT.raw_decode(self._text, at)
        except ValueError:
            self.fail(at, "a text has no end or holds what it may not")
        return text, end

    def _container(self, start: int, depth: int, *, is_object: bool) -> Node:
        children: dict[str, Node] = {}
        close, at, comma = "}" if is_object else "]", self.after_trivia(start + 1), None
        while self._text[at : at + 1] != close:
            if children and comma is None:
                self.fail(at, f"a comma or {close} is expected")
            name, at = self._name(at) if is_object else (str(len(children)), at)
            if name in children:
                self.fail(at, f"{json.dumps(name)} stands there twice")
            children[name] = self.value(at, depth + 1)
            at, comma = self._comma(children[name].end)
        if comma is not None and not self._comments:
            self.fail(at, "a comma stands before the end")
        values = {name: child.value for name, child in children.items()}
        return Node(start, at + 1, values if is_object else [*values.values()], children, comma)

    def _name(self, at: int) -> tuple[str, int]:
        name, end = self._string(at)
        at = self.after_trivia(end)
        if self._text[at : at + 1] != ":":
            self.fail(at, "a colon is expected")
        return name, self.after_trivia(at + 1)

    def _comma(self, at: int) -> tuple[int, int | None]:
        """Where the next thing stands, and where the comma before it ends, if there is one."""
        at = self.after_trivia(at)
        if self._text[at : at + 1] != ",":
            return at, None
        return self.after_trivia(at + 1), at + 1


def written(text: str, puts: Sequence[Put], *, comments: bool = False) -> str:
    """`text` with the puts made, one after the other.

    Raises:
        UnreadableSetup: it is no JSON, or a path leads through something that is no object.
    """
    for put in puts:
        text = _spliced(text, read(text, comments=comments), put)
    return text


def _spliced(text: str, root: Node, put: Put) -> str:
    if root.start == root.end:
        return f"{text}{_dumped(_nested(put.path, put), 0, _Style.of(text))}{_Style.of(text).newline}"
    node, depth = root, 0
    for depth, key in enumerate(put.path):
        if node.children is None or not isinstance(node.value, dict):
            raise UnreadableSetup(f"`{put.path[depth - 1]}` in the file is no object.")
        if key not in node.children:
            return _inserted(text, node, depth + 1, key, _nested(put.path[depth + 1 :], put))
        node = node.children[key]
    if put.append:
        return _inserted(text, node, depth + 2, None, put.value)
    if node.value == put.value:
        return text
    return text[: node.start] + _dumped(put.value, depth + 1, _Style.of(text)) + text[node.end :]


def _nested(path: Sequence[str], put: Put) -> Any:
    value = [put.value] if put.append else put.value
    for key in reversed(path):
        value = {key: value}
    return value


def _inserted(text: str, container: Node, depth: int, key: str | None, value: Any) -> str:
    """A new last child: behind the comments of the one before it, in front of the closing bracket."""
    if container.children is None or (key is None and not isinstance(container.value, list)):
        raise UnreadableSetup("What stands in the file is of another kind than what is to go there.")
    style, close = _Style.of(text), container.end - 1
    last = max((child.end for child in container.children.values()), default=None)
    settled = container.comma or last or container.start + 1
    place = settled + len(text[settled:close].rstrip())
    comma = "," if last is not None and container.comma is None else ""
    name = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}: "
    child = f"{style.line(depth)}{name}{_dumped(value, depth, style)}"
    # The bracket may stand in the line of what was the last child.
    end = "" if "\n" in text[place:close] else style.line(depth - 1)
    return f"{text[:settled]}{comma}{text[settled:place]}{child}{end}{text[place:]}"


@dataclass(frozen=True, slots=True)
class _Style:
    """How a file is indented and how its lines end."""

    indent: str
    newline: str

    @classmethod
    def of(cls, text: str) -> _Style:
        found = re.search(r'^([ \t]+)"', text, re.MULTILINE)
        return cls(found[1] if found else "  ", "\r\n" if "\r\n" in text else "\n")

    def line(self, depth: int) -> str:
        return self.newline + self.indent * depth


def _dumped(value: Any, depth: int, style: _Style) -> str:
    text = json.dumps(value, indent=style.indent, ensure_ascii=False)
    return text.replace("\n", style.line(depth))
