"""TOML, changed line by line: statements that have nothing to do with a change stay as they are written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from gpt_image_2_mcp.clients.edits import Put, at, carried_out
from gpt_image_2_mcp.errors import UnreadableSetup

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")


def read(text: str) -> dict[str, Any]:
    """The document.

    Raises:
        UnreadableSetup: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UnreadableSetup(f"The file is not TOML that can be read: {str(error)[:200]}.") from None


@dataclass(frozen=True, slots=True)
class _Statement:
    """Whole lines that mean something together; `path` leads to what they set, from the root."""

    start: int
    end: int
    path: tuple[str, ...]
    is_header: bool = False


def _statements(text: str) -> Iterator[_Statement]:
    """In a file that can be read a statement ends where its lines can be read for the first time."""
    table: tuple[str, ...] = ()
    start = end = 0
    for line in _LINE.findall(text):
        end += len(line)
        try:
            said = tomllib.loads(text[start:end])
        except tomllib.TOMLDecodeError:
            continue
        if said:
            is_header = text[start:end].lstrip().startswith("[")
            path = tuple(_path(said))
            table = path if is_header else table
            yield _Statement(start, end, path if is_header else (*table, *path), is_header)
        start = end


def _path(said: Mapping[str, Any]) -> Iterator[str]:
    """The keys that lead to what a statement sets."""
    while len(said) == 1:
        ((key, value),) = said.items()
        yield key
        if isinstance(value, list) and value and value[-1] == {}:  # the head of one of several tables
            return
        if not isinstance(value, dict):
            return
        said = value


def written(text: str, puts: Sequence[Put]) -> str:
    """`text` with the puts made.

    Raises:
        UnreadableSetup: it is no TOML, or is not understood well enough to be changed.
    """
    for put in puts:
        before = read(text)
        if at(before, put.path) == put.value:
            continue
        text = _spliced(text, put)
        if _reread(text) != carried_out(before, [put]):
            raise UnreadableSetup(
                f"The way `{'.'.join(put.path[:-1])}` is written in the file leaves no room."
            )
    return text


def _reread(text: str) -> dict[str, Any] | None:
    try:
        return read(text)
    except UnreadableSetup:
        return None


def _spliced(text: str, put: Put) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    statements = list(_statements(text))
    replaced = _in_place(text, statements, put)
    if replaced is not None:
        return replaced
    table = put.path if isinstance(put.value, dict) else put.path[:-1]
    ends = [s.end for s in statements if s.path[: len(table)] == table and _in_section(s, table, statements)]
    if ends and not isinstance(put.value, dict):
        return _inserted(text, ends[-1], _line(put.path[-1], put.value), newline)
    lines = put.value if isinstance(put.value, dict) else {put.path[-1]: put.value}
    block = newline.join([f"[{'.'.join(map(_key, table))}]", *(_line(*item) for item in lines.items())])
    gap = "" if not text.strip() else newline if text.endswith("\n") else newline * 2
    return f"{text}{gap}{block}{newline}"


def _in_place(text: str, statements: Sequence[_Statement], put: Put) -> str | None:
    """With the statement written anew that sets what is to change, alone or in a table in one line."""
    for path in (put.path, put.path[:-1]):
        for each in (s for s in statements if s.path[: len(path)] == path and not s.is_header):
            inline = at(read(text), path)
            if path != put.path and not _is_inline(text[each.start : each.end], path[-1]):
                continue
            value = put.value if path == put.path else {**inline, put.path[-1]: put.value}
            line = f"{_line(path[-1], value)}{_behind(text[each.start : each.end])}"
            return f"{text[: each.start]}{line}{text[each.end :]}"
    return None


def _behind(statement: str) -> str:
    """What stands behind its value: a comment, and the end of the line."""
    said = tomllib.loads(statement)
    for found in re.finditer(r"[ \t]*(?:#|\r?\n|$)", statement):
        with suppress(tomllib.TOMLDecodeError):
            if tomllib.loads(statement[: found.start()]) == said:
                return statement[found.start() :]
    return ""


def _is_inline(statement: str, key: str) -> bool:
    said = tomllib.loads(statement)
    return isinstance(said.get(key), dict) and statement.partition("=")[2].lstrip().startswith("{")


def _in_section(statement: _Statement, table: tuple[str, ...], statements: Sequence[_Statement]) -> bool:
    """Whether it is the head of `table` or stands below that head, before the next one."""
    heads = [s for s in statements if s.is_header and s.start <= statement.start]
    return bool(heads) and heads[-1].path == table


def _inserted(text: str, place: int, line: str, newline: str) -> str:
    gap = "" if text[:place].endswith("\n") else newline
    return f"{text[:place]}{gap}{line}{newline}{text[place:]}"


def _line(key: str, value: Any) -> str:
    return f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_line(*item) for item in value.items())} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    """A basic string: JSON's, save that TOML wants DEL escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def dumped(document: Mapping[str, Any], table: Sequence[str]) -> str:
    """The snippet of one table."""
    value = at(document, table)
    return "\n".join([f"[{'.'.join(map(_key, table))}]", *(_line(*item) for item in value.items())]) + "\n"
