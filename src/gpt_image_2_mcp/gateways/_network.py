"""Connections to the API on plain asyncio: large pieces, little memory, failures in httpcore2's words."""

from __future__ import annotations

import asyncio
import selectors
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple, cast

import httpcore2

from gpt_image_2_mcp.gateways._patience import Patience

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_ROOM: Final = 256 * 1024
"""What a connection holds of what came; when it is full the socket waits for the reader."""
_NO_ROOM: Final = memoryview(b"")
_SLICE: Final = 512 * 1024
"""What is handed to the system at a time: asyncio copies what it does not take at once."""
_RECORD: Final = 16 * 1024
"""What one TLS record holds at most."""
_NEXT_ADDRESS_S: Final = 0.25
"""As in RFC 8305: after this the next address of a host is tried beside the first."""


class Network(httpcore2.AsyncNetworkBackend):
    """What httpcore2's own backend does over anyio, for less processor time a piece.

    That time-outs are parameters is httpcore2's wish.
    """

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        with _said_as(httpcore2.ConnectTimeout, httpcore2.ConnectError):
            async with asyncio.timeout(timeout):
                _, wire = await loop.create_connection(
                    _Wire,
                    host,
                    port,
                    local_addr=(local_address, 0) if local_address else None,
                    happy_eyeballs_delay=_NEXT_ADDRESS_S,
                )
            for option in socket_options or ():
                wire.transport.get_extra_info("socket").setsockopt(*option)
        return _Stream(wire)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore2.AsyncNetworkStream):
    def __init__(self, wire: _Wire, tls: _Tls | None = None) -> None:
        self._wire, self._tls = wire, tls
        self._end: _End = tls or wire

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._end.holds_something:  # a limit of time costs more than the read
            return await self._end.receive(max_bytes)
        with _said_as(httpcore2.ReadTimeout, httpcore2.ReadError):
            async with Patience(timeout):
                return await self._end.receive(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """`timeout` is of each slice: a large picture on a slow line is not late while it goes on."""
        view = memoryview(buffer)
        with _said_as(httpcore2.WriteTimeout, httpcore2.WriteError):
            for start in range(0, len(view), _SLICE):
                async with Patience(timeout):
                    await self._end.send(view[start : start + _SLICE])

    async def aclose(self) -> None:
        await self._wire.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        tls = _Tls(self._wire, ssl_context, server_hostname)
        try:
            with _said_as(httpcore2.ConnectTimeout, httpcore2.ConnectError):
                async with asyncio.timeout(timeout):
                    await tls.shake_hands()
        except BaseException:
            await self.aclose()
            raise
        return _Stream(self._wire, tls)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return self._end.is_readable
        if info == "ssl_object":
            return self._tls and self._tls.spoken
        names = {"client_addr": "sockname", "server_addr": "peername", "socket": "socket"}
        return self._wire.transport.get_extra_info(names[info]) if info in names else None


class _End(Protocol):
    """This end of a connection: `receive` gives nothing when no more will come. OSErrors are raised.

    Where it `holds_something`, there is something to receive at once, and no error.
    """

    @property
    def holds_something(self) -> bool: ...

    @property
    def is_readable(self) -> bool:
        """Whether something came, be it the end."""
        ...

    async def receive(self, most: int) -> bytes: ...

    async def send(self, data: memoryview) -> None: ...


class _Wire(asyncio.BufferedProtocol):
    """Holds what came and was not read yet, and knows whether the other side takes what is sent."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._room = _NO_ROOM  # who waits for the first byte, for minutes, needs none
        self._start = self._end = 0
        self._told, self._writable = asyncio.Event(), asyncio.Event()
        self._writable.set()
        self._ended = False
        self._failure: Exception | None = None

    @property
    def holds_something(self) -> bool:
        return self._start < self._end

    async def receive(self, most: int) -> bytes:
        if not self.holds_something and not self._ended:
            self._told.clear()
            await self._told.wait()
        if not self.holds_something and self._failure:
            raise ConnectionError from self._failure
        data = bytes(self._room[self._start : min(self._start + most, self._end)])
        self._start += len(data)
        if self._start == self._end:
            self._room, self._start, self._end = _NO_ROOM, 0, 0
            self.transport.resume_reading()
        return data

    async def send(self, data: memoryview) -> None:
        self.transport.write(data)
        await self._writable.wait()
        if self.transport.is_closing():
            raise ConnectionError from self._failure

    async def abort(self) -> None:
        self._failure = self._failure or ConnectionError("closed on this side")
        self.transport.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next round

    @property
    def is_readable(self) -> bool:
        return self._ended or self.holds_something or _is_readable(self.transport.get_extra_info("socket"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(0)

    def get_buffer(self, _sizehint: int) -> memoryview:
        if not self._room:
            self._room = memoryview(bytearray(_ROOM))
        return self._room[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._end += nbytes
        self._told.set()
        if self._end == len(self._room):
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        self._told.set()
        return True  # what is being sent may still be taken

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended, self._failure = True, self._failure or exc
        self._told.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()


class _Tls:
    """TLS on a wire; `spoken` knows what was agreed on."""

    def __init__(self, wire: _Wire, context: ssl.SSLContext, hostname: str | None) -> None:
        self._wire = wire
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._failure: ssl.SSLError | None = None
        self._said_farewell = False
        self.spoken = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    @property
    def holds_something(self) -> bool:
        return bool(self.spoken.pending())

    @property
    def is_readable(self) -> bool:
        """Also where the server said farewell and does not hang up: it would answer nothing any more."""
        ended = self._said_farewell or self._failure is not None
        return ended or self.holds_something or self._incoming.pending > 0 or self._wire.is_readable

    async def shake_hands(self) -> None:
        await self._done(self.spoken.do_handshake)

    async def receive(self, most: int) -> bytes:
        """An end without a farewell is one, as for httpcore2: HTTP says itself how much is to come."""
        try:
            if self._failure:
                raise self._failure
            data = await self._done(self.spoken.read, min(most, _RECORD))
        except ssl.SSLEOFError:
            return b""
        return b"".join(self._and_what_is_there(data, most))

    def _and_what_is_there(self, data: bytes, most: int) -> Iterator[bytes]:
        while data:
            yield data
            most -= len(data)
            if not most:
                return
            try:
                data = self.spoken.read(min(most, _RECORD))
            except ssl.SSLWantReadError:
                return
            except ssl.SSLError as error:
                self._failure = error  # told when what came before it was read
                return
        self._said_farewell = True

    async def send(self, data: memoryview) -> None:
        while data:
            data = data[await self._done(self.spoken.write, data) :]

    async def _done(self, work: Callable[[*Ts], T], *args: *Ts) -> T:
        """What `work` gives when it has what it needs from the other side."""
        while True:
            try:
                done = work(*args)
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._wire.receive(_ROOM)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            else:
                await self._flush()
                return done

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._wire.send(memoryview(self._outgoing.read()))


@contextmanager
def _said_as(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    """As httpcore2's own backends say it; the cause can still be asked."""
    try:
        yield
    except TimeoutError as error:
        raise late(error) from error
    except (OSError, UnicodeError) as error:  # the latter of a name that asyncio cannot look up
        raise broken(error) from error


def _is_readable(socket: Any) -> bool:
    if socket.fileno() < 0:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(socket, selectors.EVENT_READ)
        return bool(selector.select(0))
