"""Fetches input images over https: from checked addresses, bounded in size, time and hops."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpcore2
import httpx2
from anyio.to_thread import run_sync

from gpt_image_2_mcp.capabilities import MAX_INPUT_BYTES
from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.hosts import HTTPS_PORT, canonical_host
from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.sources.dialling import Dialler

MAX_HOPS: Final = 3
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PATH_HINT: Final = "Download the picture and give its path; nothing was sent."
_HOSTS_HINT: Final = (
    "Private addresses and other ports are for the hosts that GPT_IMAGE_2_ALLOW_HOSTS names in this server's "
    f"configuration. {_PATH_HINT}"
)
# httpcore2's errors have no class in common; ValueErrors come from URL parsers and codecs.
_NETWORK_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpx2.InvalidURL,
    OSError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Of one picture, its redirects included. httpcore2 itself ends headers at about 100 KiB."""

    total_s: float = 30
    handshake_s: float = 5
    pause_s: float = 10
    max_bytes: int = MAX_INPUT_BYTES
    max_headers: int = 100


class HttpsFetcher:
    """Downloads one picture at a time, each hop on a connection of its own.

    There is no HTTP client in between, so there are no proxies, credentials, cookies or kept connections.
    Certificates are checked against the system's, or those of SSL_CERT_FILE: that variable says whom to trust
    and not where to go, and it is set by whoever starts the server.
    """

    def __init__(
        self,
        dialler: Dialler | None = None,
        limits: FetchLimits = FetchLimits(),
        tls: Callable[[], ssl.SSLContext] = httpx2.create_ssl_context,
    ) -> None:
        self._dialler = dialler or Dialler()
        self._limits = limits
        self._tls = tls
        self._context: ssl.SSLContext | None = None

    async def fetch(self, url: str) -> bytes:
        """The body behind `url`.

        Raises:
            InputError: it is not https on every hop, leads inside, is too large, too slow, or not answered
                with 200. Whatever kept a host from being reached, the text is the same: it tells nobody what
                is inside.
        """
        limit = self._limits.total_s
        try:
            async with asyncio.timeout(limit):
                return await self._follow(url)
        except _NETWORK_ERRORS:
            raise _refusal(url, "could not be fetched", hint=_HOSTS_HINT) from None

    def is_public(self, url: str) -> bool:
        """Whether a URL may be shown to others: it would be fetched from here, and names no host by which
        only this machine finds it.
        """
        try:
            target = httpx2.URL(url)
            host, port = self._origin(target, url)
        except (InputError, httpx2.InvalidURL, ValueError):
            return False
        return self._dialler.may_be_public(host, port)

    async def _follow(self, asked: str) -> bytes:
        target = httpx2.URL(asked)
        for _ in range(MAX_HOPS + 1):
            host, port = self._origin(target, asked)
            async with self._answer(target, host, port) as answer:
                headers = httpx2.Headers(answer.headers)
                if answer.status not in _REDIRECTS or "location" not in headers:
                    return await self._picture(answer, headers, asked)
                target = target.join(headers["location"])
        raise _refusal(asked, f"redirects more than {MAX_HOPS} times")

    def _origin(self, target: httpx2.URL, asked: str) -> tuple[str, int]:
        """Host and port, from the same parsed URL that the request is made of."""
        host = canonical_host(target.raw_host.decode())
        port = HTTPS_PORT if target.port is None else target.port
        if (
            target.scheme == "https"
            and not target.userinfo
            and host is not None
            and self._dialler.takes_port(host, port)
        ):
            return host, port
        raise _refusal(
            asked,
            "is or leads to a URL that is not fetched: it must be https, on port 443, without a user name",
            hint=_HOSTS_HINT,
        )

    @asynccontextmanager
    async def _answer(self, target: httpx2.URL, host: str, port: int) -> AsyncGenerator[httpcore2.Response]:
        """The answer's head, its body still to come. Certificate and Host header are the host's."""
        limits = self._limits
        async with self._dialler.dialled(host, port) as plain:
            stream = await plain.start_tls(await self._trust(), host, limits.handshake_s)
            url = httpcore2.URL(scheme="https", host=host, port=port, target=target.raw_path)
            async with httpcore2.AsyncHTTP11Connection(url.origin, stream).stream(
                "GET",
                url,
                headers=_request_headers(target),
                extensions={"timeout": {"read": limits.pause_s, "write": limits.pause_s}},
            ) as answer:
                yield answer

    async def _trust(self) -> ssl.SSLContext:
        """Made at the first use: reading the system's certificates takes tens of milliseconds."""
        if self._context is None:
            self._context = await run_sync(self._tls)
            self._context.set_alpn_protocols(["http/1.1"])
        return self._context

    async def _picture(self, answer: httpcore2.Response, headers: httpx2.Headers, asked: str) -> bytes:
        # An encoding we did not ask for could be a bomb.
        encoded = headers.get("content-encoding", "identity").strip().lower() != "identity"
        if answer.status != 200 or encoded or len(answer.headers) > self._limits.max_headers:
            raise _refusal(asked, "did not answer with a picture")
        most = self._limits.max_bytes
        too_large = _refusal(asked, f"is larger than {most / 2**20:.3g} MB")
        if int(headers.get("content-length", 0)) > most:
            raise too_large
        body = bytearray()
        async for chunk in answer.aiter_stream():
            body += chunk
            if len(body) > most:
                raise too_large
        return bytes(body)


def _request_headers(target: httpx2.URL) -> dict[bytes | str, bytes | str]:
    return {
        b"Host": target.netloc,
        b"User-Agent": b"gpt-image-2-mcp",
        b"Accept": b"image/png, image/jpeg, image/webp",
        b"Accept-Encoding": b"identity",
        b"Connection": b"close",
    }


def _refusal(url: str, why: str, hint: str = _PATH_HINT) -> InputError:
    """`url` is shown without a user name and password."""
    shown = clean(re.sub(r"//[^/?#]*@", "//", url), 200)
    return InputError(f"{shown} {why}.", hint=hint)
