"""HTTP/1.1 on one connection: heads as h11 has them, bodies cut at any byte, and what may follow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import anyio
import httpcore2
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.gateways._http import Connection

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
POST = httpx2.Request(
    "POST", "http://api.example/v1/x?y=z", content=b"asked", extensions={"timeout": {"read": 3, "write": 4}}
)


@dataclass
class Line(httpcore2.AsyncNetworkStream):
    """A connection on which the server says this, however it is asked, and then hangs up or `breaks`."""

    said: list[bytes]
    breaks: Exception | None = None
    deaf_after: int | None = None
    written: list[bytes] = field(default_factory=list)
    timeouts: list[Any] = field(default_factory=list)
    unasked: bool = False
    closed: bool = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        self.timeouts.append(("read", timeout))
        if not self.said and self.breaks:
            raise self.breaks
        piece = self.said.pop(0) if self.said else b""
        if len(piece) > max_bytes:
            self.said.insert(0, piece[max_bytes:])
        return piece[:max_bytes]

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self.timeouts.append(("write", timeout))
        if self.deaf_after is not None and len(self.written) >= self.deaf_after:
            raise httpcore2.WriteError("reset")
        self.written.append(buffer)

    async def aclose(self) -> None:
        self.closed = True

    def get_extra_info(self, info: str) -> Any:
        return self.unasked if info == "is_readable" else None


async def read(connection: Connection) -> bytes:
    body = bytearray()
    while piece := await connection.piece():
        body += piece
    return bytes(body)


async def answered(*said: bytes, request: httpx2.Request = POST) -> tuple[bytes, bool]:
    """The body, and whether another request may follow."""
    connection = Connection(Line(list(said)))
    await connection.ask(request)
    return await read(connection), connection.can_go_on


def in_chunks(chunks: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks if chunk) + b"0\r\n\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, none of them empty: that would be its end."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


# Bodies


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(0, 5000), max_size=20))
def test_chunks_arrive_whole_wherever_they_are_cut(chunks: list[bytes], places: list[int]) -> None:
    said = cut(CHUNKED + in_chunks(chunks), places)
    assert anyio.run(answered, *said) == (b"".join(chunks), True)


@given(st.binary(max_size=2000), st.lists(st.integers(0, 5000), max_size=20))
def test_a_measured_body_arrives_whole_wherever_it_is_cut(body: bytes, places: list[int]) -> None:
    said = cut(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body, places)
    assert anyio.run(answered, *said) == (body, True)


@given(st.binary(max_size=2000), st.lists(st.integers(0, 5000), max_size=20))
def test_a_body_without_a_measure_ends_with_its_connection(body: bytes, places: list[int]) -> None:
    assert anyio.run(answered, *cut(HEAD + b"\r\n" + body, places)) == (body, False)


async def test_chunks_that_come_together_are_one_piece() -> None:
    connection = Connection(Line([CHUNKED, in_chunks([b"ab", b"cd", b"ef"])]))
    await connection.ask(POST)
    assert [await connection.piece(), await connection.piece()] == [b"abcdef", b""]


@pytest.mark.parametrize(
    "said",
    [
        b'2;name=value;other="a;b"\r\nab\r\n0\r\n\r\n',
        b"02  \r\nab\r\n000\r\n\r\n",
        b"2\r\nab\r\n0\r\nChecksum: 1\r\nOther: 2\r\n\r\n",
        b"1\r\na\r\n1\r\nb\r\n0;last\r\n\r\n",
    ],
    ids=["extension", "zeros and blanks", "trailers", "extension of the last"],
)
async def test_what_else_may_stand_between_chunks_is_passed_over(said: bytes) -> None:
    assert await answered(CHUNKED, said) == (b"ab", True)


@pytest.mark.parametrize(
    "said",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"0x2\r\nab\r\n",
        b"2\nab\r\n0\r\n\r\n",
        b"2\r\nabc\r\n0\r\n\r\n",
        b"1" * 17 + b"\r\n",
        b"2;" + b"x" * 20_000,
        b"0\r\n" + b"X: y\r\n" * 101,
        b"2\r\nab\r\n0\r\n",
        b"2\r\na",
        b"",
    ],
)
async def test_what_is_no_chunk_is_an_error_of_the_server(said: bytes) -> None:
    with pytest.raises(httpcore2.RemoteProtocolError):
        await answered(CHUNKED, said)


async def test_a_measured_body_that_is_short_is_an_error_behind_what_came() -> None:
    connection = Connection(Line([HEAD + b"Content-Length: 9\r\n\r\nabc"]))
    await connection.ask(POST)
    assert await connection.piece() == b"abc"
    with pytest.raises(httpcore2.RemoteProtocolError, match="6 bytes too early"):
        await connection.piece()
    assert not connection.can_go_on


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", b"200 OK"), ("GET", b"204 No Content"), ("GET", b"304 Not Modified")]
)
async def test_some_answers_have_no_body_whatever_they_say(method: str, status: bytes) -> None:
    said = b"HTTP/1.1 " + status + b"\r\nContent-Length: 7\r\n\r\n"
    request = httpx2.Request(method, "http://api.example/")
    assert await answered(said, request=request) == (b"", True)


async def test_a_failure_of_the_connection_is_told_as_it_is() -> None:
    connection = Connection(Line([HEAD + b"Content-Length: 9\r\n\r\nabc"], httpcore2.ReadError("reset")))
    await connection.ask(POST)
    assert await connection.piece() == b"abc"
    with pytest.raises(httpcore2.ReadError):
        await connection.piece()


# Heads


async def test_the_head_of_an_answer_is_as_it_was_sent_and_news_before_it_are_passed_over() -> None:
    news = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nX: y\r\n\r\n"
    said = b"HTTP/1.1 418 Teapot\r\nX-Case: Kept\r\n\r\n"
    head = await Connection(Line([news + said])).ask(POST)
    assert (head.status_code, head.reason, head.headers.raw_items()) == (
        418,
        b"Teapot",
        [(b"X-Case", b"Kept")],
    )


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200",
        b"SSH-2.0\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        HEAD + b"X: " + b"y" * 200_000,
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
    ids=[
        "nothing",
        "half",
        "another protocol",
        "two lengths",
        "a bad length",
        "coding",
        "too long",
        "switch",
    ],
)
async def test_what_is_no_head_is_an_error_of_the_server(said: bytes) -> None:
    with pytest.raises(httpcore2.RemoteProtocolError):
        await answered(said)


async def test_where_both_measures_are_given_the_chunks_count() -> None:
    said = HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks([b"abcdef"])
    assert (await answered(said))[0] == b"abcdef"


# Requests


class Pieces(httpx2.AsyncByteStream):
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def requests() -> Iterator[httpx2.Request]:
    yield POST
    yield httpx2.Request("GET", "https://api.example/v1/models", headers={"X-Case": "Kept"})
    yield httpx2.Request("DELETE", "https://api.example:8443/v1/files/%41%20b")
    files = [("image[]", ("a.png", b"a" * 200_000, "image/png")), ("mask", ("b.png", b"b", "image/png"))]
    yield httpx2.Request("POST", "https://api.example/v1/images/edits", data={"prompt": "a fox"}, files=files)
    yield httpx2.Request(
        "POST",
        "https://api.example/",
        stream=Pieces(b"ab", b"c" * 100_000),
        headers={"Host": "api.example", "Transfer-Encoding": "chunked"},
    )


@pytest.mark.parametrize("request_", list(requests()), ids=range(5))
async def test_a_request_goes_out_as_httpcore2_sends_it(request_: httpx2.Request) -> None:
    ours, theirs = (Line([HEAD + b"Content-Length: 0\r\n\r\n"]) for _ in range(2))
    await Connection(ours).ask(request_)
    url = httpcore2.URL(
        scheme=request_.url.scheme,
        host=request_.url.raw_host,
        port=request_.url.port,
        target=request_.url.raw_path,
    )
    expected = httpcore2.Request(request_.method, url, headers=request_.headers.raw, content=request_.stream)
    await httpcore2.AsyncHTTP11Connection(url.origin, theirs).handle_async_request(expected)
    assert b"".join(ours.written) == b"".join(theirs.written)
    assert len(ours.written) < len(theirs.written) or not request_.headers.get("content-length")


async def test_a_small_request_is_sent_in_one_go() -> None:
    line = Line([HEAD + b"Content-Length: 0\r\n\r\n"])
    await Connection(line).ask(POST)
    assert len(line.written) == 1
    assert line.timeouts == [("write", 4), ("read", 3)]


async def test_a_header_that_is_none_is_an_error_of_ours_and_nothing_is_sent() -> None:
    line = Line([])
    request = httpx2.Request("GET", "http://api.example/", headers={"X": "a\r\nB: c"})
    with pytest.raises(httpcore2.LocalProtocolError):
        await Connection(line).ask(request)
    assert line.written == []


async def test_a_refusal_of_a_request_that_was_not_taken_whole_is_read() -> None:
    said = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
    connection = Connection(Line([said], deaf_after=1))
    request = httpx2.Request("POST", "http://api.example/", content=b"x" * 500_000)
    assert (await connection.ask(request)).status_code == 413
    assert await read(connection) == b"no"
    assert not connection.can_go_on


async def test_a_request_that_was_not_taken_and_not_answered_is_an_error() -> None:
    connection = Connection(Line([], httpcore2.ReadError("reset"), deaf_after=0))
    with pytest.raises(httpcore2.ReadError):
        await connection.ask(POST)


# What may follow


async def test_a_request_follows_another() -> None:
    line = Line([CHUNKED + in_chunks([b"one"]), HEAD + b"Content-Length: 3\r\n\r\ntwo"])
    connection = Connection(line)
    for body in (b"one", b"two"):
        await connection.ask(POST)
        assert await read(connection) == body
        assert connection.can_go_on


@pytest.mark.parametrize(
    "said",
    [
        HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nab",
        HEAD + b"Transfer-Encoding: chunked\r\nConnection: x, Close\r\n\r\n" + in_chunks([b"ab"]),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
        HEAD + b"Content-Length: 2\r\n\r\nab" + HEAD,
        CHUNKED + in_chunks([b"ab"]) + b"\r\n",
    ],
    ids=["close", "close in chunks", "HTTP/1.0", "more than measured", "more than chunks"],
)
async def test_no_request_follows_where_the_server_hangs_up_or_says_too_much(said: bytes) -> None:
    assert await answered(said) == (b"ab", False)


async def test_no_request_follows_a_body_that_was_not_read() -> None:
    connection = Connection(Line([HEAD + b"Content-Length: 2\r\n\r\n", b"ab"]))
    await connection.ask(POST)
    assert not connection.can_go_on


@pytest.mark.parametrize("unasked", [True, False])
async def test_a_connection_tells_what_its_line_does(unasked: bool) -> None:
    line = Line([], unasked=unasked)
    connection = Connection(line)
    assert connection.is_readable is unasked
    await connection.aclose()
    assert line.closed
