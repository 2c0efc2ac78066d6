"""The way of httpx2's requests to a server with no proxy in between: over connections of our own."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.request import getproxies

import httpcore2
import httpx2
from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import Unsendable
from gpt_image_2_mcp.gateways._http import Connection
from gpt_image_2_mcp.gateways._network import Network

_KEPT_S: Final = 5.0
"""How long a connection may be idle, as httpx2 has it."""
_MOST_KEPT: Final = 20
_PORTS: Final = {"https": 443, "http": 80}
_SAID: Final[dict[type[Exception], type[httpx2.TransportError]]] = {
    httpcore2.ConnectError: httpx2.ConnectError,
    httpcore2.ConnectTimeout: httpx2.ConnectTimeout,
    httpcore2.LocalProtocolError: httpx2.LocalProtocolError,
    httpcore2.ReadError: httpx2.ReadError,
    httpcore2.ReadTimeout: httpx2.ReadTimeout,
    httpcore2.RemoteProtocolError: httpx2.RemoteProtocolError,
    httpcore2.WriteError: httpx2.WriteError,
    httpcore2.WriteTimeout: httpx2.WriteTimeout,
}

Origin = tuple[str, str, int]
"""Scheme, host and port."""


def direct_to(base_url: str) -> httpx2.AsyncBaseTransport | None:
    """The transport to a server; None where a proxy may stand in between, which is httpx2's to judge.

    Plain http goes past every proxy.

    Raises:
        httpx2.InvalidURL: it is none.
    """
    secure = httpx2.URL(base_url).scheme == "https"
    return None if secure and {"https", "all"} & getproxies().keys() else DirectTransport()


@contextmanager
def certificates_read() -> Iterator[None]:
    """Certificates that cannot be read are proof that nothing was sent."""
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        reason = "no certificates" if isinstance(error, ssl.SSLError) else error.strerror or "cannot be read"
        raise Unsendable(
            f"SSL_CERT_FILE or SSL_CERT_DIR leads to no certificates that can be read ({reason}).",
            hint="Nothing was sent: correct it in the server's environment, or take it out, then restart.",
        ) from None


class DirectTransport(httpx2.AsyncBaseTransport):
    """HTTP/1.1 by as many connections as it takes. Certificates are checked as httpx2 checks them."""

    def __init__(self) -> None:
        self._network = Network()
        self._tls: ssl.SSLContext | None = None
        self._idle: defaultdict[Origin, list[tuple[float, Connection]]] = defaultdict(list)
        self._closed = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        origin = _origin(request.url)
        with _in_httpx2s_words():
            connection = await self._kept(origin)
            if connection is None:
                connect_s = request.extensions.get("timeout", {}).get("connect")
                connection = Connection(await self._opened(origin, connect_s))
            try:
                head = await connection.ask(request)
            except BaseException:
                await connection.aclose()
                raise
        return httpx2.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(connection, lambda: self._release(origin, connection)),
            extensions={"http_version": b"HTTP/" + head.http_version, "reason_phrase": head.reason},
        )

    async def aclose(self) -> None:
        """Calls that are under way go on, and close their connections themselves."""
        self._closed = True
        for idle in list(self._idle.values()):
            while idle:
                await idle.pop()[1].aclose()

    async def _kept(self, origin: Origin) -> Connection | None:
        """The connection that was used last, if the server still listens to it; old ones are closed."""
        idle, oldest = self._idle[origin], asyncio.get_running_loop().time() - _KEPT_S
        while idle and idle[0][0] < oldest:
            await idle.pop(0)[1].aclose()
        while idle:
            _, connection = idle.pop()
            if not connection.is_readable:
                return connection
            await connection.aclose()
        return None

    async def _release(self, origin: Origin, connection: Connection) -> None:
        idle = self._idle[origin]
        if self._closed or not connection.can_go_on or len(idle) >= _MOST_KEPT:
            await connection.aclose()
        else:
            idle.append((asyncio.get_running_loop().time(), connection))

    async def _opened(self, origin: Origin, connect_s: float | None) -> httpcore2.AsyncNetworkStream:
        scheme, host, port = origin
        tls = await self._trust() if scheme == "https" else None
        stream = await self._network.connect_tcp(host, port, connect_s)
        return await stream.start_tls(tls, host, connect_s) if tls else stream

    async def _trust(self) -> ssl.SSLContext:
        """Made at the first use: reading the system's certificates takes tens of milliseconds."""
        if self._tls is None:
            with certificates_read():
                self._tls = await run_sync(httpx2.create_ssl_context)
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class _Body(httpx2.AsyncByteStream):
    def __init__(self, connection: Connection, release: Callable[[], Awaitable[None]]) -> None:
        self._connection = connection
        self._release = release
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_httpx2s_words():
            while piece := await self._connection.piece():
                yield piece

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self._release()


def _origin(url: httpx2.URL) -> Origin:
    if url.scheme not in _PORTS:
        raise httpx2.UnsupportedProtocol(f"No way is known to {url.scheme}://.")
    return url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]


@contextmanager
def _in_httpx2s_words() -> Iterator[None]:
    try:
        yield
    except tuple(_SAID) as error:
        raise _SAID[type(error)](str(error)) from error
