"""Lines of bounded length, and the ids of those that are not read."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.limits import MB
from gpt_image_2_mcp.server.lines import MOST_PARTS, Lines, Overlong, parts, request_id


def all_of(data: bytes, limit: int) -> list[bytes | Overlong]:
    lines = Lines(io.BytesIO(data), limit)
    return list(iter(lines.next, None))


def test_lines_come_as_they_are_and_the_last_one_needs_no_end() -> None:
    assert all_of(b"one\n\ntwo\r\n\xff\x00\nthree", 10) == [
        b"one\n",
        b"\n",
        b"two\r\n",
        b"\xff\x00\n",
        b"three",
    ]


def test_a_line_of_the_allowed_length_is_read_and_a_longer_one_is_not() -> None:
    assert all_of(b"12345\n123456\n12345", 5) == [b"12345\n", Overlong(b"123456", b"123456\n"), b"12345"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=30).map(lambda data: data.replace(b"\n", b""))), st.integers(1, 20))
def test_a_line_that_is_too_long_takes_no_other_line_with_it(texts: list[bytes], limit: int) -> None:
    found = all_of(b"".join(text + b"\n" for text in texts), limit)
    assert len(found) == len(texts)
    for line, text in zip(found, texts, strict=True):
        if len(text) <= limit:
            assert line == text + b"\n"
        else:
            assert line == Overlong((text + b"\n")[: limit + 1], text + b"\n")


class Endless(io.RawIOBase):
    """A line of so many bytes, and nothing after it."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        count = min(len(target), self.left)
        target[:count] = b"x" * count
        self.left -= count
        return count


def test_a_line_without_an_end_takes_no_more_memory_than_the_longest_one() -> None:
    lines = Lines(io.BufferedReader(Endless(64 * MB)), MB)
    tracemalloc.start()
    try:
        assert isinstance(lines.next(), Overlong)
        assert tracemalloc.get_traced_memory()[1] < 4 * MB
    finally:
        tracemalloc.stop()
    assert lines.next() is None


PARAMS = '"params":{"name":"edit_image","arguments":{"id":7,"images":["data:...'


@pytest.mark.parametrize(
    ("head", "tail", "id_"),
    [
        ('{"jsonrpc":"2.0","id":5,"method":"tools/call",' + PARAMS, '"]}}}\n', 5),
        ('{"method":"tools/call",' + PARAMS, '"]}},"jsonrpc":"2.0","id":5}\n', 5),
        ('{"method":"tools/call",' + PARAMS, '"]}},"id":"a-1","jsonrpc":"2.0"} \r\n', "a-1"),
        (' { "id" : -3 , "jsonrpc" : "2.0", "method" : "ping", ' + PARAMS, '"]}}}', -3),
        ('{"id":"\\"quoted\\" \\u00e9","method":"x",' + PARAMS, "", '"quoted" \u00e9'),
        ("{" + PARAMS, '"]}},"id":9,"method":"tools/call","jsonrpc":"2.0"}', 9),
    ],
)
def test_the_id_of_a_request_is_read_at_either_end(head: str, tail: str, id_: object) -> None:
    assert request_id(head.encode(), tail.encode()) == id_


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        ('{"jsonrpc":"2.0","method":"tools/call",' + PARAMS, '","id":5]}}}\n'),
        ('{"method":"tools/call","params":{"id":7,"x":"', '"}}'),
        ('{"method":"tools/call","params":{"x":"', '","id":7}}'),
        ('{"method":"notifications/progress",' + PARAMS, '\\"id\\":5}"]}}}'),
        ('{"jsonrpc":"2.0","id":5,"result":{"content":"', '"}}'),
        ('{"id":1.5,"method":"x"', "}"),
        ('{"id":true,"method":"x"', "}"),
        ('{"id":123456789012345678901234567890,"method":"x"', "}"),
        ('{"id":"\\x","method":"x"', "}"),
        ('[{"id":1,"method":"x"}', "]"),
        ('{"id":"\\ud800","method":"x"}', ""),
        ("\x00\x01\x02", ""),
        ("", ""),
    ],
)
def test_what_is_not_surely_the_id_of_a_request_is_none(head: str, tail: str) -> None:
    assert request_id(head.encode(), tail.encode()) is None


@pytest.mark.parametrize("piece", [b'"', b"\\", b'"a":1,', b'{"id":', b'"id":"', b"1,", b" ", b'"method"'])
def test_any_beginning_is_looked_through_in_one_pass(piece: bytes) -> None:
    # Quadratic or worse, this takes minutes.
    line = b'{"method":"x",' + piece * 200_000
    assert request_id(line, line) is None


@pytest.mark.parametrize("piece", [b"[],", b"[[]]", b'{"a":', b'"",'])
def test_what_costs_memory_is_counted_whatever_it_is_made_of(piece: bytes) -> None:
    assert parts(piece * MOST_PARTS) >= MOST_PARTS
    assert parts(b'"data:image/png;base64,' + b"A" * 1000 + b'"') == 1


def values(data: Any) -> int:
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return 1 + sum(values(value) for value in inner)


JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON, st.data())
def test_nothing_that_a_parser_makes_is_left_out_of_the_parts(data: Any, draw: st.DataObject) -> None:
    text = json.dumps(data).encode()
    assert values(data) <= parts(text) + 1
    cut = draw.draw(st.integers(0, len(text)))
    assert parts(text[:cut]) + parts(text[cut:]) == parts(text)
