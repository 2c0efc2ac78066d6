"""Connections over loopback, plain and by TLS: all arrives, little is held, and failures are told."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpcore2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.gateways._network import _ROOM, Network
from tests.support.authority import Authority

pytestmark = pytest.mark.anyio

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Stream = httpcore2.AsyncNetworkStream
GONE = (ConnectionError, ssl.SSLError)
BODY = os.urandom(3 * _ROOM + 17)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(params=["plain", "TLS"])
def trusted(request: pytest.FixtureRequest, authority: Authority) -> Authority | None:
    """Whom a TLS connection trusts; None for a plain one."""
    return authority if request.param == "TLS" else None


@asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on loopback that has hung up on everybody at the end; its port."""
    serving: set[asyncio.Task[None] | None] = set()

    async def serve_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(*GONE):  # whoever has what they want may leave as they please
            await serve(reader, writer)
        writer.close()
        with suppress(*GONE):
            await writer.wait_closed()

    server = await asyncio.start_server(serve_and_close, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*(task for task in serving if task))


@asynccontextmanager
async def connected(serve: Serve, trusted: Authority | None = None) -> AsyncIterator[Stream]:
    async with listening(serve, trusted.serving("127.0.0.1") if trusted else None) as port:
        stream = await Network().connect_tcp("127.0.0.1", port, 5)
        if trusted:
            stream = await stream.start_tls(trusted.trusting(), "127.0.0.1", 5)
        try:
            yield stream
        finally:
            await stream.aclose()


async def read_all(stream: Stream, most: int = 64 * 1024) -> bytes:
    body = bytearray()
    while piece := await stream.read(most, 5):
        assert len(piece) <= most
        body += piece
    return bytes(body)


def saying(*pieces: bytes) -> Serve:
    """A server that says this, and no more."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    return serve


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """A server that waits for the other side to go."""
    await reader.read()


def reset(writer: asyncio.StreamWriter) -> None:
    """SO_LINGER on, for no time: closing sends RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


# What comes


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.binary(max_size=400) | st.integers(0, 2 * _ROOM).map(os.urandom), max_size=8),
    st.integers(1, 2 * _ROOM),
)
def test_a_body_arrives_whole_in_whatever_pieces_it_is_sent_and_read(
    trusted: Authority | None, pieces: list[bytes], most: int
) -> None:
    async def arrived() -> bytes:
        async with connected(saying(*pieces), trusted) as stream:
            return await read_all(stream, max(most, 1 + sum(map(len, pieces)) // 1000))

    assert asyncio.run(arrived()) == b"".join(pieces)


async def test_what_is_there_is_given_at_once_up_to_what_was_asked_for(trusted: Authority | None) -> None:
    async with connected(saying(b"abcdef"), trusted) as stream:
        assert [await stream.read(4), await stream.read(4), await stream.read(4)] == [b"abcd", b"ef", b""]


async def test_the_end_is_told_as_often_as_it_is_asked_for(trusted: Authority | None) -> None:
    async with connected(saying(b"a"), trusted) as stream:
        assert [await stream.read(9) for _ in range(3)] == [b"a", b"", b""]


async def test_a_sender_waits_for_a_slow_reader_and_loses_nothing() -> None:
    body, sent = BODY * 40, asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(body)
        await writer.drain()
        sent.set()

    async with connected(serve) as stream:
        taken: list[int] = []
        peer = stream.get_extra_info("socket")
        assert await stream.read(1) == body[:1]
        while len(taken) < 1000:  # rounds of the loop in which all could come that may
            taken.append(peer.fileno())
            await asyncio.sleep(0)
        assert not sent.is_set()
        assert body[:1] + await read_all(stream) == body


async def test_a_read_that_was_given_up_leaves_what_comes_to_the_next(trusted: Authority | None) -> None:
    go = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(b"late")

    async with connected(serve, trusted) as stream:
        with pytest.raises(httpcore2.ReadTimeout):
            await stream.read(9, 0.01)
        reading = asyncio.ensure_future(stream.read(9))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        go.set()
        assert await stream.read(9, 5) == b"late"


async def test_a_reset_is_an_error_behind_what_had_come(trusted: Authority | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"half")
        await reader.read(1)
        reset(writer)

    async with connected(serve, trusted) as stream:
        assert await stream.read(9) == b"half"
        await stream.write(b"?")
        for _ in range(2):
            with pytest.raises(httpcore2.ReadError):
                await stream.read(9, 5)


async def test_closing_ends_a_read_that_waits(trusted: Authority | None) -> None:
    async with connected(silent, trusted) as stream:
        reading = asyncio.ensure_future(stream.read(9))
        await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(httpcore2.ReadError):
            await reading
        with pytest.raises(httpcore2.WriteError):
            await stream.write(b"x")
        await stream.aclose()


# What is sent


async def test_all_that_is_sent_arrives(trusted: Authority | None) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(BODY)))
        await writer.drain()

    async with connected(echo, trusted) as stream:
        await stream.write(BODY, 5)
        await stream.write(b"", 5)
        assert await read_all(stream) == BODY


async def test_a_write_that_nobody_takes_is_late(trusted: Authority | None) -> None:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        await left.wait()

    left = asyncio.Event()
    async with connected(serve, trusted) as stream:
        with pytest.raises(httpcore2.WriteTimeout):
            await stream.write(BODY * 40, 0.05)
        left.set()


async def test_a_long_write_is_not_late_while_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each third takes 30 seconds by the loop's clock."""
    loop, body, ahead_s = asyncio.get_running_loop(), BODY * 40, 0
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + ahead_s)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ahead_s
        for _ in range(3):
            await reader.readexactly(len(body) // 3)
            ahead_s += 30
        writer.write(b"taken")

    async with connected(serve) as stream:
        await stream.write(body, 50)
        assert await stream.read(9, 50) == b"taken"


async def test_what_a_server_said_before_it_hung_up_can_still_be_read() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"413")
        writer.write_eof()
        await reader.readexactly(1 << 20)
        reset(writer)

    async with connected(serve) as stream:
        with pytest.raises(httpcore2.WriteError):
            await stream.write(BODY * 40, 5)
        assert await stream.read(9, 5) == b"413"


# Opening


async def test_nobody_there_is_an_error_of_connecting() -> None:
    async with listening(silent) as port:
        pass
    with pytest.raises(httpcore2.ConnectError):
        await Network().connect_tcp("127.0.0.1", port, 5)


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"], ids=["an empty label", "a long label"])
async def test_a_name_that_can_be_nobodys_is_an_error_of_connecting(host: str) -> None:
    with pytest.raises(httpcore2.ConnectError):
        await Network().connect_tcp(host, 443, 5)


async def test_a_connection_that_takes_too_long_is_late() -> None:
    async with listening(silent) as port:
        with pytest.raises(httpcore2.ConnectTimeout):
            await Network().connect_tcp("127.0.0.1", port, 0)


async def test_a_name_leads_to_whichever_of_its_addresses_answers() -> None:
    async with listening(saying(b"here")) as port:
        stream = await Network().connect_tcp("localhost", port, 5)
        assert await read_all(stream) == b"here"
        await stream.aclose()


async def test_small_requests_are_not_held_back_and_both_addresses_are_known() -> None:
    async with listening(silent) as port:
        option = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        stream = await Network().connect_tcp("127.0.0.1", port, 5, "127.0.0.1", [option])
        opened = stream.get_extra_info("socket")
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert opened.getsockopt(*option[:2])
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        assert stream.get_extra_info("client_addr") == opened.getsockname()
        assert stream.get_extra_info("ssl_object") is None
        assert stream.get_extra_info("weather") is None
        await stream.aclose()


# TLS


async def test_what_was_agreed_on_can_be_asked(authority: Authority) -> None:
    async with connected(silent, authority) as stream:
        spoken = stream.get_extra_info("ssl_object")
        assert spoken.version() == "TLSv1.3"
        assert spoken.selected_alpn_protocol() is None


async def test_a_stranger_is_an_error_of_connecting_that_names_its_certificate(authority: Authority) -> None:
    async with listening(silent, authority.serving("other.example")) as port:
        stream = await Network().connect_tcp("127.0.0.1", port, 5)
        with pytest.raises(httpcore2.ConnectError) as raised:
            await stream.start_tls(authority.trusting(), "127.0.0.1", 5)
    assert isinstance(raised.value.__cause__, ssl.SSLCertVerificationError)
    with pytest.raises(httpcore2.ReadError):
        await stream.read(1)


@pytest.mark.parametrize("leave", [asyncio.StreamWriter.close, reset])
async def test_a_handshake_that_is_cut_short_is_an_error_of_connecting(
    leave: Callable[[asyncio.StreamWriter], None], authority: Authority
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(16)
        leave(writer)

    async with listening(serve) as port:
        stream = await Network().connect_tcp("127.0.0.1", port, 5)
        with pytest.raises(httpcore2.ConnectError):
            await stream.start_tls(authority.trusting(), "127.0.0.1", 5)


async def test_a_handshake_that_nobody_answers_is_late(authority: Authority) -> None:
    async with listening(silent) as port:
        stream = await Network().connect_tcp("127.0.0.1", port, 5)
        with pytest.raises(httpcore2.ConnectTimeout):
            await stream.start_tls(authority.trusting(), "127.0.0.1", 0.02)


async def test_an_end_without_a_farewell_is_an_end(authority: Authority) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(BODY)
        await writer.drain()
        writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
        await reader.read()

    async with connected(serve, authority) as stream:
        assert await read_all(stream) == BODY
        assert await stream.read(9) == b""


async def test_a_record_that_was_tampered_with_is_an_error_behind_what_was_whole(
    authority: Authority,
) -> None:
    """Between both sides stands somebody who adds a record of their own."""
    context = authority.serving("127.0.0.1")
    said = asyncio.Event()

    async def honest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"whole")
        await writer.drain()
        said.set()
        await reader.read()

    async def meddling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection("127.0.0.1", port)
        passing = asyncio.ensure_future(passed(reader, downstream))
        while not said.is_set():
            writer.write(await upstream.read(1 << 16))
        writer.write(b"\x17\x03\x03\x00\x20" + bytes(32))
        await passing
        downstream.close()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)

    async with listening(honest, context) as port, listening(meddling) as between:
        stream = await Network().connect_tcp("127.0.0.1", between, 5)
        stream = await stream.start_tls(authority.trusting(), "127.0.0.1", 5)
        await stream.write(b"?")
        assert await stream.read(9, 5) == b"whole"
        for _ in range(2):
            with pytest.raises(httpcore2.ReadError):
                await stream.read(9, 5)
        await stream.aclose()


# Kept connections


async def until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not told():  # noqa: ASYNC110 - the pool looks just so
            await asyncio.sleep(0)


async def test_a_connection_that_is_idle_is_not_readable(trusted: Authority | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(1):
            writer.write(asked)

    async with connected(serve, trusted) as stream:
        for _ in range(3):
            await stream.write(b"?")
            assert await stream.read(1) == b"?"
            assert not stream.get_extra_info("is_readable")


@pytest.mark.parametrize("pieces", [(), (b"HTTP/1.1 408 Too slow",)], ids=["closed", "spoken"])
async def test_a_connection_that_the_server_closed_or_spoke_on_unasked_is_readable(
    pieces: tuple[bytes, ...], trusted: Authority | None
) -> None:
    async with connected(saying(*pieces), trusted) as stream:
        await until(lambda: stream.get_extra_info("is_readable"))
        assert stream.get_extra_info("is_readable")


async def test_a_connection_is_readable_where_tls_ended_and_the_server_does_not_hang_up(
    authority: Authority,
) -> None:
    """The farewell comes in one piece with the answer, so that the socket has nothing to tell."""
    context = authority.serving("127.0.0.1")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        asked = b""
        while not asked:
            incoming.write(await reader.read(1 << 16))
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                asked = tls.read(9)
            writer.write(outgoing.read())
        tls.write(b"whole")
        with suppress(ssl.SSLWantReadError):
            tls.unwrap()
        writer.write(outgoing.read())
        await reader.read()

    async with listening(serve) as port:
        stream = await Network().connect_tcp("127.0.0.1", port, 5)
        stream = await stream.start_tls(authority.trusting(), "127.0.0.1", 5)
        await stream.write(b"?")
        came, readable = await stream.read(9, 5), stream.get_extra_info("is_readable")
        await stream.aclose()
    assert came == b"whole"
    assert readable


async def test_a_closing_that_the_loop_did_not_see_yet_is_seen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = await Network().connect_tcp("127.0.0.1", server.getsockname()[1], 5)
        peer, _ = server.accept()
        assert not stream.get_extra_info("is_readable")
        peer.close()
        assert stream.get_extra_info("is_readable")
        await stream.aclose()


async def test_a_connection_that_was_reset_or_closed_here_is_readable() -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reset(writer)

    async with connected(serve) as stream:
        await until(lambda: stream.get_extra_info("is_readable"))
        await stream.aclose()
        assert stream.get_extra_info("is_readable")
