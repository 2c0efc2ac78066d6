"""HTTP/1.1 on one connection, a request at a time: h11 writes and reads heads, bodies are cut here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import h11
import httpcore2
import httpx2

_LONGEST_HEAD: Final = 100 * 1024
_LONGEST_LINE: Final = 16 * 1024
_MOST_TRAILERS: Final = 100
_PIECE: Final = 256 * 1024
_TOGETHER: Final = 64 * 1024
"""Less than this is not sent by itself while more is to come."""
_CHUNK_HEAD: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r\n", re.DOTALL)
_BODILESS: Final = frozenset({204, 304})


class Connection:
    """Raises what httpcore2 would raise."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._timeouts: dict[str, float | None] = {}
        self._h11 = h11.Connection(h11.CLIENT)
        self._body: Body = Measured(0)
        self._rest = b""

    async def ask(self, request: httpx2.Request) -> h11.Response:
        """Send it once, and give the head of its answer.

        A server may refuse a request before it has all of it, and hang up or read no more: then its answer
        says why.
        """
        self._timeouts = request.extensions.get("timeout", {})
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        patience = self._timeouts.get("read")
        try:
            await self._send(request)
        except httpcore2.WriteError:
            pass
        except httpcore2.WriteTimeout:
            if not self.is_readable:
                raise
            patience = self._timeouts.get("write")
        head = await self._head(patience)
        self._body = _body_of(head, request.method)
        self._rest = self._h11.trailing_data[0]
        return head

    async def piece(self) -> bytes:
        """The next of the body, and nothing at its end."""
        while not self._body.is_whole:
            data = self._rest or await self._stream.read(_PIECE, self._timeouts.get("read"))
            self._rest = b""
            if not data:
                self._body.end()
            elif piece := self._body.cut(data):
                return piece
        return b""

    @property
    def can_go_on(self) -> bool:
        """Whether another request may follow: both sides said all and no more, and neither is to hang up."""
        done = self._h11.our_state is h11.DONE and self._body.is_whole
        return done and not (self._rest or self._body.surplus)

    @property
    def is_readable(self) -> bool:
        """Whether the server hung up, or spoke unasked."""
        return bool(self._stream.get_extra_info("is_readable"))

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def _send(self, request: httpx2.Request) -> None:
        with _said_as_httpcore2():
            asked = h11.Request(
                method=request.method, target=request.url.raw_path, headers=request.headers.raw
            )
            small = bytearray(self._h11.send(asked) or b"")
            async for chunk in request.stream:  # type: ignore[union-attr]
                # As they are: `send` would copy each into one with the lines around it.
                for piece in self._h11.send_with_data_passthrough(h11.Data(data=chunk)) or ():
                    if len(small) + len(piece) < _TOGETHER:
                        small += piece
                    else:
                        await self._write(small)
                        await self._write(piece)
            small += self._h11.send(h11.EndOfMessage()) or b""
            await self._write(small)

    async def _write(self, data: bytes | bytearray) -> None:
        if data:
            await self._stream.write(bytes(data), self._timeouts.get("write"))
        if isinstance(data, bytearray):
            data.clear()

    async def _head(self, patience: float | None) -> h11.Response:
        while True:
            with _said_as_httpcore2():
                event = self._h11.next_event()
            if isinstance(event, h11.Response):
                return event
            if event is h11.NEED_DATA:
                data = await self._stream.read(_PIECE, patience)
                if not data:
                    raise httpcore2.RemoteProtocolError("Server disconnected without sending a response.")
                self._h11.receive_data(data)


class Body(Protocol):
    """A body that is cut out of what comes; `surplus` if more came than belongs to it."""

    is_whole: bool
    surplus: bool

    def cut(self, data: bytes) -> bytes:
        """What of `data` is of the body."""
        ...

    def end(self) -> None:
        """Nothing more will come."""
        ...


class Measured:
    """A body of so many bytes."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.is_whole, self.surplus = not length, False

    def cut(self, data: bytes) -> bytes:
        piece = data[: self._left]
        self._left -= len(piece)
        self.is_whole, self.surplus = not self._left, len(piece) < len(data)
        return piece

    def end(self) -> None:
        raise httpcore2.RemoteProtocolError(f"The connection was closed {self._left} bytes too early.")


class Unmeasured:
    """A body that ends with its connection."""

    is_whole = False
    surplus = False

    def cut(self, data: bytes) -> bytes:
        return data

    def end(self) -> None:
        self.is_whole = self.surplus = True


class Chunked:
    """A body in chunks, after RFC 9112, section 7.1; trailers are passed over."""

    def __init__(self) -> None:
        self.is_whole, self.surplus = False, False
        self._left = 0  # of the chunk
        self._line = b""  # as far as it came
        self._take_line = self._take_size
        self._trailers = 0

    def cut(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not self.is_whole:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
            else:
                at = self._read_line(data, at)
        self.surplus = at < len(data)
        return b"".join(pieces)

    def end(self) -> None:
        raise httpcore2.RemoteProtocolError("The connection was closed before the last chunk.")

    def _read_line(self, data: bytes, at: int) -> int:
        """Where to read on."""
        end = data.find(b"\n", at) + 1 or len(data)
        self._line += data[at:end]
        if len(self._line) > _LONGEST_LINE:
            raise httpcore2.RemoteProtocolError("A line between chunks is too long.")
        if self._line.endswith(b"\n"):
            line, self._line = self._line, b""
            self._take_line(line)
        return end

    def _take_size(self, line: bytes) -> None:
        found = _CHUNK_HEAD.fullmatch(line)
        if not found:
            raise httpcore2.RemoteProtocolError("A chunk does not begin with its size.")
        self._left = int(found[1], 16)
        self._take_line = self._take_end if self._left else self._take_trailer

    def _take_end(self, line: bytes) -> None:
        if line != b"\r\n":
            raise httpcore2.RemoteProtocolError("A chunk is longer than its size.")
        self._take_line = self._take_size

    def _take_trailer(self, line: bytes) -> None:
        self._trailers += 1
        self.is_whole = line == b"\r\n"
        if self._trailers > _MOST_TRAILERS:
            raise httpcore2.RemoteProtocolError("There are too many trailers.")


def _body_of(head: h11.Response, method: str) -> Body:
    """h11 has made sure that lengths agree, and that no other coding than chunks is there."""
    said = dict(head.headers)
    if method == "HEAD" or head.status_code in _BODILESS:
        return Measured(0)
    if b"transfer-encoding" in said:
        return Chunked()
    return Measured(int(said[b"content-length"])) if b"content-length" in said else Unmeasured()


@contextmanager
def _said_as_httpcore2() -> Iterator[None]:
    try:
        yield
    except h11.LocalProtocolError as error:
        raise httpcore2.LocalProtocolError(error) from error
    except h11.RemoteProtocolError as error:
        raise httpcore2.RemoteProtocolError(error) from error
