"""The wire to a client on stdin and stdout: lines in, no longer than allowed; answers out, as they are read.

In place of `mcp.server.stdio`, which takes lines of any length, drops in silence what it cannot parse, and
lets answers pile up that nobody reads (mcp 2.3.0: 314 MB for a line of 70 MB, 406 MB for 30 of 10 MB).
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO, Final

import anyio
from anyio.abc import ObjectSendStream
from anyio.to_thread import run_sync
from mcp.shared.message import SessionMessage
from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCMessage,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

from gpt_image_2_mcp.limits import MB
from gpt_image_2_mcp.server.encoding import encoded
from gpt_image_2_mcp.server.greeting import NOBODY, Greeted
from gpt_image_2_mcp.server.lines import MOST_PARTS, Lines, Overlong, parts, request_id
from gpt_image_2_mcp.server.outlet import Outlet

_LAST_WRITES_S: Final = 1.0
_READ_BUFFER: Final = 256 * 1024
_PIPE_BYTES: Final = 1024 * 1024
"""What Linux lets every user have, in place of 64 KiB."""


class Wire:
    """One client: `incoming` and `outlet` are what the SDK's server runs on."""

    def __init__(
        self, stdin: BinaryIO, stdout: BinaryIO, line_limit: int, answered: Collection[int | str] = ()
    ) -> None:
        self._lines, self._limit = Lines(stdin, line_limit), line_limit
        self._stdin, self._stdout = stdin, stdout
        self._answered = set(answered)
        self._read, self.incoming = anyio.create_memory_object_stream[SessionMessage | Exception]()
        self.outlet = Outlet()
        self._written = asyncio.Event()

    async def read(self) -> None:
        """Pass messages on until stdin ends; while the client reads nothing, nothing more is read from it."""
        async with self._read:
            while (line := await run_sync(self._lines.next)) is not None:
                if not await self.outlet.ready_for_more(partial(_is_hung_up, self._stdin)):
                    return
                await self._take(line, self._read)

    async def _take(self, line: bytes | Overlong, to: ObjectSendStream[SessionMessage | Exception]) -> None:
        if isinstance(line, Overlong):
            text = (
                f"The message is longer than {self._limit // MB} MB and was not read; nothing was sent. "
                "Give pictures as file paths or https URLs, not as data: URLs."
            )
            await self.outlet.refuse(request_id(line.head, line.tail), INVALID_REQUEST, text)
        elif parts(line) > MOST_PARTS:
            text = f"The message has more than {MOST_PARTS:,} parts and was not read; nothing was sent."
            await self.outlet.refuse(request_id(line, line), INVALID_REQUEST, text)
        elif not line.isspace():
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValidationError as error:
                kind = error.errors(include_url=False, include_input=False)[0]["type"]
                code = PARSE_ERROR if kind == "json_invalid" else INVALID_REQUEST
                await self.outlet.refuse(request_id(line, line), code, "This is no JSON-RPC message.")
            else:
                await to.send(SessionMessage(message))

    async def write(self) -> None:
        """Write what is sent until the sender closes."""
        try:
            while items := await self.outlet.next():
                messages = [item.message for item in items if not self._has_been_answered(item.message)]
                await run_sync(_put, self._stdout, messages)
        finally:
            self.outlet.break_off()
        self._written.set()

    def _has_been_answered(self, message: JSONRPCMessage) -> bool:
        """Whether a greeting has said this already; it is said once for each of its requests."""
        known = isinstance(message, JSONRPCResponse) and message.id in self._answered
        if known:
            self._answered.discard(message.id)  # type: ignore[union-attr]
        return known

    async def is_written(self) -> bool:
        """Whether the client reads what is left for it within a moment."""
        with anyio.move_on_after(_LAST_WRITES_S):
            await self._written.wait()
        return self._written.is_set()


class _ReadAhead(RawIOBase):
    """A file of which the beginning has been read already."""

    def __init__(self, beginning: bytes, fd: int) -> None:
        self._beginning, self._fd = beginning, fd

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def readinto(self, buffer: Any, /) -> int:
        data = self._beginning[: len(buffer)] or os.read(self._fd, len(buffer))
        self._beginning = self._beginning[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _is_hung_up(file: BinaryIO) -> bool:
    """Whether the other end is closed, though there be lines left to read."""
    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    poll.register(file, 0)  # a hang-up is always told
    return bool(poll.poll(0))


def _put(file: BinaryIO, messages: Iterable[JSONRPCMessage]) -> None:
    """Write messages as they are serialised: megabytes are not copied once more, nor on the loop."""
    for message in messages:
        file.writelines(encoded(message))
    file.flush()


@asynccontextmanager
async def stdio_wire(line_limit: int, greeted: Greeted = NOBODY) -> AsyncIterator[Wire]:
    """The wire over this process's stdin and stdout.

    Meanwhile fd 0 is the null device and fd 1 is stderr, so that handlers and children read an end of file
    and what they print misses the wire.
    """
    with _diverted(0, os.open(os.devnull, os.O_RDONLY)) as stdin, _diverted(1, _stderr()) as stdout:
        _widen(stdout)
        wire = Wire(
            BufferedReader(_ReadAhead(greeted.unread, stdin), _READ_BUFFER),
            os.fdopen(stdout, "wb", closefd=False),
            line_limit,
            greeted.answered,
        )
        async with anyio.create_task_group() as group:
            group.start_soon(wire.read)
            group.start_soon(wire.write)
            yield wire


def _widen(pipe: int) -> None:
    """Have a pipe take a picture in a few gulps, where that can be said: each is a change to the reader."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # it is no pipe, or this user has too many large ones
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _stderr() -> int:
    try:
        return os.dup(2)
    except OSError:  # closed
        return os.open(os.devnull, os.O_WRONLY)


@contextmanager
def _diverted(fd: int, diversion: int) -> Iterator[int]:
    """What `fd` was, while it is `diversion`. It is never closed: a thread may still read from it."""
    wire = _above_the_standard_ones(fd)
    _point(fd, diversion)
    os.close(diversion)
    try:
        yield wire
    finally:
        _point(fd, wire)


def _above_the_standard_ones(fd: int) -> int:
    """A duplicate that does not land on a standard stream that is closed."""
    if sys.platform == "win32":
        return os.dup(fd)
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


def _point(fd: int, to: int) -> None:
    os.dup2(to, fd)
    if sys.platform == "win32":
        from mcp.os.win32.utilities import rebind_std_handle_to_fd

        rebind_std_handle_to_fd(fd)
