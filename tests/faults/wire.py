"""One call on the wire: what was asked, what was written down of it, and the hand on its answer."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

PAID: Final = ("/v1/images/generations", "/v1/images/edits", "/v1/responses")
_MARKER: Final = re.compile(rb"\[(fault|leg\d):([^\]]+)\]")
_COUNT: Final = re.compile(rb'"n": ?(\d+)|name="n"\r\n\r\n(\d+)')
_PIXELS: Final = re.compile(rb"\[pixels:(\d+)x(\d+)\]")
_STREAM: Final = re.compile(rb'"stream": ?true|name="stream"\r\n\r\ntrue')
_PARTIALS: Final = re.compile(rb'"partial_images": ?(\d)|name="partial_images"\r\n\r\n(\d)')
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing sends RST."""


@dataclass
class Post:
    """One POST as it came in; `key` is its Idempotency-Key, `at` is monotonic, `whole` that all was
    sent to a client that was there."""

    path: str
    headers: dict[str, str]
    digest: str
    at: float
    mode: str
    whole: bool = False

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")

    @property
    def paid(self) -> bool:
        return self.path in PAID


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def count(self) -> int:
        """How many pictures are asked for."""
        found = _COUNT.search(self.body)
        return int(found[1] or found[2]) if found else 1

    @property
    def streams(self) -> bool:
        """Whether a stream is asked for."""
        return bool(_STREAM.search(self.body))

    @property
    def partials(self) -> int:
        """How many pictures in the making are asked for."""
        found = _PARTIALS.search(self.body)
        return int(found[1] or found[2]) if found else 0

    @property
    def pixels(self) -> tuple[int, int]:
        """How large the test wants them."""
        found = _PIXELS.search(self.body)
        return (int(found[1]), int(found[2])) if found else (24, 20)

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")

    def script(self) -> list[str]:
        """One mode an attempt, as the prompt says; the last one holds for all later ones."""
        found = {name.decode(): script.decode() for name, script in _MARKER.findall(self.body)}
        leg = f"leg{self.key.rpartition('-')[2]}" if "-" in self.key else "fault"
        script = found.get(leg) or ("ok" if self.path == "/v1/responses" else found.get("fault", "ok"))
        return script.split(",")


@dataclass
class Exchange:
    """A request that was read and is not answered yet."""

    request: Request
    post: Post
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    elsewhere: str
    argument: str = ""
    over: bool = False

    def head(self, status: int, length: int | None, kind: str = "application/json", **headers: str) -> bytes:
        """A status line and headers; of a name's underscores, hyphens are made."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}"]
        lines += [] if length is None else [f"Content-Length: {length}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: int, body: bytes, **headers: str) -> None:
        """A whole and honest answer."""
        listening = not self.reader.at_eof()
        await self.write(self.head(status, len(body), **headers) + body)
        self.post.whole = status == 200 and listening

    async def begin_stream(self) -> None:
        await self.write(self.head(200, None, "text/event-stream", transfer_encoding="chunked"))

    async def say(self, data: bytes) -> None:
        """A chunk of a stream."""
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def end_stream(self) -> None:
        """The end as it should be."""
        await self.write(b"0\r\n\r\n")

    async def stall(self) -> None:
        """Say nothing until the client hangs up."""
        with suppress(ConnectionError):
            await self.reader.read()
        self.close()

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.writer.transport.abort()
        self.over = True

    def close(self) -> None:
        self.writer.close()
        self.over = True
