"""The way of httpx2's requests to a server with no proxy in between: over connections of our own."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final, cast
from urllib.request import getproxies

import httpcore2
import httpx2

from gpt_image_2_mcp.gateways._network import Network

_KEPT_S: Final = 5.0
"""How long a connection may be idle, as httpx2 has it."""
_SAID: Final[dict[type[Exception], type[httpx2.TransportError]]] = {
    httpcore2.ConnectError: httpx2.ConnectError,
    httpcore2.ConnectTimeout: httpx2.ConnectTimeout,
    httpcore2.LocalProtocolError: httpx2.LocalProtocolError,
    httpcore2.NetworkError: httpx2.NetworkError,
    httpcore2.PoolTimeout: httpx2.PoolTimeout,
    httpcore2.ProtocolError: httpx2.ProtocolError,
    httpcore2.ProxyError: httpx2.ProxyError,
    httpcore2.ReadError: httpx2.ReadError,
    httpcore2.ReadTimeout: httpx2.ReadTimeout,
    httpcore2.RemoteProtocolError: httpx2.RemoteProtocolError,
    httpcore2.TimeoutException: httpx2.TimeoutException,
    httpcore2.UnsupportedProtocol: httpx2.UnsupportedProtocol,
    httpcore2.WriteError: httpx2.WriteError,
    httpcore2.WriteTimeout: httpx2.WriteTimeout,
}
"""What httpcore2 raises, as httpx2 says it: its own table is private."""


def direct_to(base_url: str) -> httpx2.AsyncBaseTransport | None:
    """The transport to a server; None where a proxy may stand in between, which is httpx2's to judge.

    Plain http goes past every proxy.

    Raises:
        httpx2.InvalidURL: it is none.
    """
    secure = httpx2.URL(base_url).scheme == "https"
    return None if secure and {"https", "all"} & getproxies().keys() else DirectTransport(secure=secure)


class DirectTransport(httpx2.AsyncBaseTransport):
    """httpcore2's HTTP/1.1 over our network. Certificates are checked as httpx2 does, `SSL_CERT_*` included.

    `secure`: whether the server is spoken to by TLS; else no certificates are read.
    """

    def __init__(self, *, secure: bool = True) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context() if secure else None,
            max_connections=None,
            keepalive_expiry=_KEPT_S,
            network_backend=Network(),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        target = httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        with _in_httpx2s_words():
            response = await self._pool.handle_async_request(
                httpcore2.Request(
                    request.method,
                    target,
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _in_httpx2s_words():
            async for piece in cast(AsyncIterable[bytes], self._response.stream):
                yield piece

    async def aclose(self) -> None:
        with _in_httpx2s_words():
            await self._response.aclose()


@contextmanager
def _in_httpx2s_words() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        said = next((_SAID[kind] for kind in type(error).__mro__ if kind in _SAID), None)
        if said is None:
            raise
        raise said(str(error)) from error
