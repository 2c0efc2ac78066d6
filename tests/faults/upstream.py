"""A stand-in for the API on bare sockets, which can break in every way a connection can.

Each prompt says what becomes of its call: `[fault:reset0]`, with an argument `[fault:delay=2]`, one mode an
attempt `[fault:status=429,ok]`, for one leg of the Responses route `[leg1:reset0]`. Without a marker a call
succeeds. Every POST is written down before anything is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

from tests.faults.modes import MODES
from tests.faults.wire import Exchange, Post, Request


class RawUpstream:
    """Listens on 127.0.0.1 in a thread of its own while it is entered."""

    def __init__(self, elsewhere: str = "") -> None:
        self.posts: list[Post] = []
        self.others: list[tuple[str, str]] = []
        self.connections = 0
        self.elsewhere = elsewhere
        self.port = 0
        self._attempts: Counter[str] = Counter()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def paid(self) -> list[Post]:
        """The POSTs that can cost something."""
        return [post for post in list(self.posts) if post.paid]

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read(reader):
                exchange = self._enter(request, reader, writer)
                await MODES[exchange.post.mode.partition("=")[0]](exchange)
                if exchange.over:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away, as clients in these tests do
        finally:
            writer.close()

    def _enter(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Exchange:
        digest = hashlib.sha256(request.body).hexdigest()
        post = Post(request.path, request.headers, digest, time.monotonic(), "plain")
        if post.paid:
            script, call = request.script(), request.key or digest
            post.mode = script[min(self._attempts[call], len(script) - 1)]
            self._attempts[call] += 1
        if request.method == "POST":
            self.posts.append(post)
        else:
            self.others.append((request.method, request.path))
        argument = post.mode.partition("=")[2]
        return Exchange(request, post, reader, writer, self.elsewhere, argument)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection, read to its last byte; None when there is none."""
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _version = first.split(" ")
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)
