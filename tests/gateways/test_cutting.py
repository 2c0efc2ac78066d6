"""Pictures cut out of JSON that comes in pieces: the pieces make no difference."""

from __future__ import annotations

import json
import re
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.errors import InvalidAnswer
from gpt_image_2_mcp.gateways import _cutting
from gpt_image_2_mcp.gateways._cutting import Cutter


def cut(*pieces: bytes, at: int = 0) -> tuple[str, list[bytes]]:
    """The rest with `#n` in the place of each picture, and the pictures."""
    cutter, whole = Cutter(), b"".join(pieces)
    for piece in pieces:
        cutter.feed(piece, at)
        at += len(piece)
    start = at - len(whole)
    rest = re.sub(f'"{cutter._mark}-(\\d+)"', r'"#\1"', cutter.rest().decode())
    return rest, [whole[begin - start : end - start] for begin, end in cutter.spans.values()]


def test_each_kind_of_picture_is_cut_out() -> None:
    text = b'{"b64_json":"AA","partial_image_b64":"BB","result" : "CC","other":"DD"}'
    rest, pictures = cut(text)
    assert pictures == [b"AA", b"BB", b"CC"]
    assert json.loads(rest) == {"b64_json": "#0", "partial_image_b64": "#1", "result": "#2", "other": "DD"}


@pytest.mark.parametrize("head", [b"data:image/png;base64,", b"data:image\\/svg+xml;base64,"])
def test_an_address_that_is_the_picture_itself_is_cut_out_like_the_others(head: bytes) -> None:
    text = b'[{"url" : "' + head + b'AA"},{"b64_json":"BB"},{"url":"https://a/b"}]'
    for at in range(len(text)):
        rest, pictures = cut(text[:at], text[at:])
        assert pictures == [b"AA", b"BB"]
        assert json.loads(rest) == [{"url": "#0"}, {"b64_json": "#1"}, {"url": "https://a/b"}]


@pytest.mark.parametrize(
    "value", ["data:text/html;base64,AA", "data:image/png,AA", "x data:image/png;base64,AA"]
)
def test_another_address_stays_where_it_is(value: str) -> None:
    rest, pictures = cut(json.dumps({"url": value}).encode())
    assert pictures == []
    assert json.loads(rest) == {"url": value}


def test_places_are_counted_from_where_the_text_begins() -> None:
    cutter = Cutter()
    cutter.feed(b'{"b64_json":"AA"}', 1000)
    assert list(cutter.spans.values()) == [(1013, 1015)]


def test_a_picture_whose_end_has_not_come_is_none() -> None:
    cutter = Cutter()
    cutter.feed(b'{"b64_json":"AAAA', 0)
    assert cutter.in_picture
    assert not cutter.spans


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_picture_does_not_begin_with_the_end_of_a_line(line_end: bytes) -> None:
    assert cut(b'{"b64_json":"', line_end, b'AA"}')[1] == []


TEXTS = st.lists(
    st.sampled_from(
        [
            b'"b64_json":"',
            b'"result" : "',
            b'"partial_image_b64":"',
            b"AAAA",
            b'"',
            b"\\",
            b'\\"',
            b"/",
            b",{}",
        ]
    ),
    max_size=30,
).map(b"".join)


@settings(max_examples=500, deadline=None)
@given(TEXTS, st.integers(0, 300), st.lists(st.integers(0, 700), max_size=6))
@example(b'\\"b64_json":"AA"', 0, [20])
@example(b'\\"b64_json":"AA"', 300, [300])
@example(b'\\"b64_json":"AA"', 300, [299])
def test_any_text_is_cut_alike_in_any_pieces(text: bytes, padding: int, cuts: list[int]) -> None:
    text = b"x" * padding + text + b"y" * padding
    ends = sorted({min(each, len(text)) for each in cuts} | {0, len(text)})
    pieces = [text[begin:end] for begin, end in pairwise(ends)]
    assert cut(*pieces, at=7) == cut(text, at=7) == cut(*(bytes([byte]) for byte in text), at=7)


def test_what_stands_beside_the_pictures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cutting, "MAX_REST", 1000)
    assert len(cut(b"x" * 1000)[0]) == 1000
    with pytest.raises(InvalidAnswer, match="far larger than its pictures"):
        cut(b"x" * 1001)
    with pytest.raises(InvalidAnswer, match="far larger than its pictures"):
        cut(*[b"x" * 500] * 10)
    assert len(cut(b'{"result":"', *[b"A" * 500] * 10, b'"}')[1][0]) == 5000


def test_a_picture_takes_no_memory() -> None:
    cutter, piece = Cutter(), b"A" * (1 << 20)
    cutter.feed(b'{"b64_json":"', 0)
    tracemalloc.start()
    try:
        for number in range(60):
            cutter.feed(piece, 13 + (number << 20))
        assert tracemalloc.get_traced_memory()[1] < 3 << 20
    finally:
        tracemalloc.stop()
    cutter.feed(b'"}', 13 + (60 << 20))
    assert list(cutter.spans.values()) == [(13, 13 + (60 << 20))]


@pytest.mark.parametrize(
    ("text", "count"), [(b'"result":"a",' * 80_000, 80_000), (b'{"result":"' + b'\\"' * 500_000 + b'"}', 1)]
)
def test_many_pictures_and_many_escapes_are_read_in_one_pass(text: bytes, count: int) -> None:
    """Reading each anew from where it stands would take hours."""
    cutter = Cutter()
    cutter.feed(text, 0)
    assert len(cutter.spans) == count
