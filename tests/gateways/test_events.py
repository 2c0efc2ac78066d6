"""Server-sent events: whole, in pieces, torn, odd; one picture at a time and none of them in memory."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.gateways import _bodies, _cutting
from gpt_image_2_mcp.gateways._events import Event, EventParser, Follower, Partial, is_stream, read_events
from tests.gateways.samples import event

COMPLETED = "image_generation.completed"
PARTIAL = "image_generation.partial_image"
LINE_ENDS = [b"\n", b"\r\n", b"\r"]


def partial(index: int, text: str, end: bytes = b"\n") -> bytes:
    return event(PARTIAL, end, b64_json=text, partial_image_index=index)


def said(pieces: Iterable[bytes]) -> list[tuple[str, dict[str, Any], bool]]:
    """The events of a stream, each picture's text back in its place."""
    parser, whole = EventParser(), b""
    found: list[Event] = []
    for piece in pieces:
        whole += piece
        found += parser.feed(piece)
    if last := parser.end():
        found.append(last)
    return [(each.type, restored(each, whole), each.broke_off) for each in found]


def restored(one: Event, stream: bytes) -> dict[str, Any]:
    if one.broke_off:
        return {str(n): stream[begin:end].decode() for n, (begin, end) in enumerate(one.spans.values())}
    text = json.dumps(one.document)
    for name, (begin, end) in one.spans.items():
        text = text.replace(name, stream[begin:end].decode())
    document: dict[str, Any] = json.loads(text)
    return document


def document(type_: str, **data: Any) -> tuple[str, dict[str, Any], bool]:
    return type_, {"type": type_, **data}, False


def in_bytes(stream: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in stream]


STREAM = [
    document(PARTIAL, b64_json="QUJD", partial_image_index=0),
    document("something.new", text="\u72d0 \U0001f98a\u2028"),
    document(COMPLETED, b64_json="REVG", usage={"total_tokens": 7}, size="\u00fc"),
]


def stream_with(end: bytes) -> bytes:
    """All that the standard allows around the three events."""
    first, odd, last = (event(type_, end, **{**data}) for type_, data, _ in without_type(STREAM))
    comment = b": keep-alive" + end
    fields = b"id: 7" + end + b"retry: 1000" + end + b"nobody knows this: x" + end + b"data_" + end
    nameless = last.removeprefix(b"event: " + COMPLETED.encode() + end)
    return b"\xef\xbb\xbf" + comment + end + first + comment + comment + fields + odd + end + end + nameless


def without_type(
    events: list[tuple[str, dict[str, Any], bool]],
) -> list[tuple[str, dict[str, Any], bool]]:
    return [(t, {k: v for k, v in data.items() if k != "type"}, torn) for t, data, torn in events]


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_stream_is_read_alike_whole_and_in_single_bytes(end: bytes) -> None:
    stream = stream_with(end)
    assert said([stream]) == said(in_bytes(stream)) == STREAM


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_stream_is_read_alike_wherever_it_is_cut_in_two(end: bytes) -> None:
    stream = stream_with(end)
    for at in range(len(stream) + 1):
        assert said([stream[:at], stream[at:]]) == STREAM, at


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LINE_ENDS), st.lists(st.integers(0, 1000), max_size=12))
def test_a_stream_is_read_alike_in_any_pieces(end: bytes, cuts: list[int]) -> None:
    stream = stream_with(end)
    ends = [0, *sorted(min(each, len(stream)) for each in cuts), len(stream)]
    assert said(stream[a:b] for a, b in pairwise(ends)) == STREAM


def test_line_ends_may_differ_within_a_stream() -> None:
    stream = b'data: {"n":1}\r\rdata: {"n":2}\n\r\ndata: {"n":3}\r\n\n'
    assert [data["n"] for _, data, _ in said(in_bytes(stream))] == [1, 2, 3]


def test_data_of_several_lines_is_one_text() -> None:
    stream = b'data: {"a":\ndata:1,\ndata: "b64_json"\ndata: : "QUJD"}\n\n'
    for pieces in ([stream], in_bytes(stream)):
        assert said(pieces) == [("", {"a": 1, "b64_json": "QUJD"}, False)]


def test_one_blank_behind_the_colon_is_no_part_of_a_value_and_two_are() -> None:
    ((type_, _, _),) = said([b"event:  x\ndata:{}\n\n"])
    assert type_ == " x"


def test_the_type_in_the_data_goes_before_the_events_name() -> None:
    stream = f'event: {COMPLETED}\ndata: {{"type":"{PARTIAL}","b64_json":"QUJD"}}\n\n'.encode()
    assert [type_ for type_, _, _ in said([stream])] == [PARTIAL]


def test_an_event_without_a_type_in_its_data_is_called_by_its_name() -> None:
    assert [t for t, _, _ in said([f'event: {COMPLETED}\ndata: {{"b64_json":"QUJD"}}\n\n'.encode()])] == [
        COMPLETED
    ]


def test_a_name_holds_for_its_own_event_alone() -> None:
    assert [t for t, _, _ in said([b"event: a\ndata: {}\n\ndata: {}\n\nevent: b\n\ndata: {}\n\n"])] == [
        "a",
        "",
        "",
    ]


@pytest.mark.parametrize(
    "unreadable",
    [
        b"data: [DONE]\n\n",
        b"data: 7\n\n",
        b"data\n\n",
        b"data:\n\n",
        b'data: {"b64_json":"QU\ndata: JD"}\n\n',
        b'data: {"a":"\xff"}\n\n',
        b"data: " + b"[" * 20_000 + b"\n\n",
        b'data: {"n":' + b"9" * 10_000 + b"}\n\n",
        b"event: only a name\n\n",
        b"x" * 2000 + b": y\n\n",
        b":" * 5000 + b"\n\n\n",
    ],
    ids=range(11),
)
def test_what_cannot_be_read_is_passed_over(unreadable: bytes) -> None:
    whole = unreadable + event(COMPLETED, b64_json="QUJD") + unreadable
    assert said([whole]) == said(in_bytes(whole)) == [document(COMPLETED, b64_json="QUJD")]


def test_an_event_far_larger_than_its_pictures_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cutting, "MAX_REST", 2000)
    large = event("x.large", text="x" * 3000) + event("x.just", text="x" * 2500)
    events = said([large + event(COMPLETED, b64_json="A" * 10_000) + b'data: {"a":"' + b"x" * 1900])
    assert [type_ for type_, _, _ in events] == [COMPLETED]


# Streams that break off


def test_a_stream_cut_at_any_byte_has_the_pictures_that_came_whole_each_under_its_type() -> None:
    stream = partial(0, "QUJD") + event(COMPLETED, b64_json="REVG", usage={"total_tokens": 7})
    ends = {text: stream.index(text) + len(text) for text in (b"QUJD", b"REVG")}
    for length in range(len(stream) + 1):
        found = said([stream[:length]])
        types = [type_ for type_, _, _ in found]
        # A picture counts from the quote behind it.
        expected = [PARTIAL] * (length > ends[b"QUJD"]) + [COMPLETED] * (length > ends[b"REVG"])
        assert types == expected, length
        assert [broke_off for _, _, broke_off in found[:-1]] == [False] * len(found[:-1])


def test_an_event_that_lacks_only_its_end_is_whole() -> None:
    stream = event(COMPLETED, b64_json="QUJD")
    for length in (1, 2):
        assert said([stream[:-length]]) == [document(COMPLETED, b64_json="QUJD")]


def test_a_torn_event_is_typed_by_its_data_before_its_name() -> None:
    stream = f'event: {COMPLETED}\ndata: {{"type" : "{PARTIAL}", "b64_json":"QUJD", '.encode()
    assert said([stream]) == [(PARTIAL, {"0": "QUJD"}, True)]


def test_a_torn_event_is_not_typed_by_what_is_inside_it() -> None:
    stream = (
        b'event: response.output_item.done\ndata: {"item":{"type":"image_generation_call","result":"QUJD"'
    )
    assert said([stream]) == [("response.output_item.done", {"0": "QUJD"}, True)]


def test_a_torn_event_without_a_picture_says_nothing() -> None:
    assert said([b'data: {"type":"error","error":{"message":"No']) == []


# What events mean


def read(stream: bytes) -> Event:
    (only,) = EventParser().feed(stream)
    return only


def test_errors_of_both_apis_are_read_as_one() -> None:
    inner: dict[str, Any] = {"code": "moderation_blocked", "message": "No.", "param": None}
    for stream in (event("error", error=inner), event("error", **inner)):
        error = read(stream).error
        assert error is not None
        assert error["error"] == inner


def test_any_event_with_an_error_is_one_and_an_empty_one_is_none() -> None:
    assert read(event("whatever", error={"message": "No."})).error
    assert read(event("response.created", error=None)).error is None
    assert read(event("error")).error == {"error": {"code": None, "message": None, "param": None}}


@pytest.mark.parametrize(
    ("type_", "is_last"),
    [
        (COMPLETED, True),
        ("image_edit.completed", True),
        ("response.completed", True),
        ("response.failed", True),
        ("response.incomplete", True),
        ("error", True),
        (PARTIAL, False),
        ("response.image_generation_call.completed", False),
        ("response.output_item.done", False),
    ],
)
def test_which_event_says_that_all_is_said(type_: str, is_last: bool) -> None:
    follower = Follower()
    assert follower.feed(event(type_))[0]
    assert follower.all_said is is_last


# Following


def test_a_follower_tells_of_partial_pictures_when_they_are_whole() -> None:
    follower, stream = Follower(), b": hello\n\n" + partial(0, "QUJD") + partial(1, "REVGSA==")
    told = [found for at in range(len(stream)) for found in follower.feed(stream[at : at + 1])[1] if at + 1]
    assert [each.index for each in told] == [0, 1]
    assert [stream[slice(*each.span)] for each in told] == [b"QUJD", b"REVGSA=="]
    assert not follower.all_said


def test_partial_pictures_of_the_responses_api_are_told_of_alike() -> None:
    type_ = "response.image_generation_call.partial_image"
    stream = event(type_, partial_image_b64="QUJD", partial_image_index=2)
    _, told = Follower().feed(stream)
    assert told == [Partial(2, (stream.index(b"QUJD"), stream.index(b"QUJD") + 4))]


def test_partial_pictures_without_an_index_are_counted_and_more_than_three_are_not_kept() -> None:
    stream = (
        b"".join(event(PARTIAL, b64_json="QUJD") for _ in range(5)) + partial(9, "QUJD") + partial(-1, "QQ==")
    )
    assert [each.index for each in Follower().feed(stream)[1]] == [0, 1, 2]


def test_a_partial_event_without_a_picture_is_passed_over() -> None:
    assert Follower().feed(event(PARTIAL, b64_json=None)) == (True, [])


# In the spool


@pytest.mark.parametrize(
    ("start", "streamed"),
    [
        (b"event: x\n", True),
        (b"data: {}\n", True),
        (b"data:{}", True),
        (b": comment", True),
        (b"\r\n\r\nevent: x", True),
        (b"\xef\xbb\xbfid: 1", True),
        (b"retry:9", True),
        (b'{"data": []}', False),
        (b' {"event": 1}', False),
        (b"<html>data: x", False),
        (b"even", False),
        (b"", False),
    ],
)
def test_a_stream_is_told_from_an_answer_in_json(start: bytes, streamed: bool, tmp_path: Path) -> None:
    (tmp_path / "0.resp").write_bytes(start)
    assert is_stream(tmp_path / "0.resp") is streamed


@pytest.mark.parametrize("window", [1, 7, 1 << 20])
def test_a_spooled_stream_has_its_pictures_where_they_stand(
    window: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_bodies, "_WINDOW", window)
    path = tmp_path / "0.part"
    path.write_bytes(partial(0, "QUJD") + event(COMPLETED, b64_json=r"RE\/G")[:-1])
    bodies = [each.body(path) for each in read_events(path)]
    pictures = [next(iter(body.pictures.values())) for body in bodies]
    assert [path.read_bytes()[p.start : p.end] for p in pictures] == [b"QUJD", rb"RE\\/G"]


def test_an_event_of_60_mb_in_one_line_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "0.resp"
    size = 60 << 20
    with path.open("wb") as file:
        file.write(partial(0, "QUJD") + b'event: x\ndata: {"type":"' + COMPLETED.encode() + b'","b64_json":"')
        for _ in range(60):
            file.write(b"A" * (1 << 20))
        file.write(b'","usage":{}}\n\n')
    tracemalloc.start()
    try:
        events = list(read_events(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    begin, end = next(iter(events[-1].spans.values()))
    assert end - begin == size
    assert peak < 8 << 20


PIECES = st.sampled_from(
    [
        b"data:",
        b"event: ",
        b"\n",
        b"\r",
        b"\r\n",
        b'"',
        b"\\",
        b"{",
        b"}",
        b'{"b64_json":"',
        b"QUJD",
        b": ",
        b"\xef",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=40))
def test_no_bytes_whatever_break_the_parser_and_pieces_make_no_difference(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    parser = EventParser()
    once = [*parser.feed(whole), parser.end()]
    bytewise, many = EventParser(), list[Event]()
    for byte in in_bytes(whole):
        many += bytewise.feed(byte)
    shapes = [
        [(e.type, list(e.spans.values()), e.broke_off) for e in events if e]
        for events in (once, [*many, bytewise.end()])
    ]
    assert shapes[0] == shapes[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0.part"
        path.write_bytes(whole)
        assert len(list(read_events(path))) == len(shapes[0])
