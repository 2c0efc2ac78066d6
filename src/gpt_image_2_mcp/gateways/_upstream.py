"""The one HTTP client to the API: a request out once, its raw body onto disk, transport errors translated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Literal, NamedTuple

import httpx2
from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import OutcomeUnknown, Unsendable, UpstreamError, UpstreamTimeout
from gpt_image_2_mcp.gateways._events import Follower
from gpt_image_2_mcp.gateways._obstacles import unreachable
from gpt_image_2_mcp.gateways._patience import Patience
from gpt_image_2_mcp.gateways._receiving import OnPartial, Receiver
from gpt_image_2_mcp.gateways._rejections import images_per_minute, rejection
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.limits import MB, Limits
from gpt_image_2_mcp.models import EncodedPicture
from gpt_image_2_mcp.redaction import SHORTEST_KEY

_MAX_ERROR_BYTES: Final = 64 * 1024
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OTHER_PROXY: Final = (
    "Nothing was sent: name an http:// or https:// proxy there, or take the variable out of the server's "
    "environment, then restart."
)
_LAST_WORDS_S: Final = 2.0
"""How long a stream that has said everything may take to end."""

FilePart = tuple[str, tuple[str, bytes | IO[bytes], str]]
"""Field name, then file name, content and MIME type."""


async def _unwatched(_index: int, _picture: EncodedPicture) -> None:
    return None


class Spooled(NamedTuple):
    """An answer that stands on disk, and the account's limit of pictures if its headers name it."""

    path: Path
    images_per_minute: int | None


class Reply(NamedTuple):
    """The answer to a small request; `document` is empty where there is a `refusal`."""

    headers: Mapping[str, str]
    document: dict[str, Any]
    refusal: UpstreamError | None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. gpt-image-2 at high quality takes 155-280 s, so the first byte may be long in coming.

    A stream may be silent for `stream_idle`, and before `first_byte` is over for the rest of that: its head
    comes at once, and the model takes no less time than without a stream.
    """

    connect: float = 10
    pool: float = 5
    write: float = 30
    first_byte: float = 300
    idle: float = 30
    stream_idle: float = 120
    total: float = 600

    def for_client(self) -> httpx2.Timeout:
        return httpx2.Timeout(self.first_byte, connect=self.connect, pool=self.pool, write=self.write)


@dataclass(frozen=True, slots=True)
class Account:
    """Where the API is and who is calling; `server` is what it is called in sentences."""

    base_url: str
    key: Secret
    organization: str | None = None
    project: str | None = None
    key_header: Literal["Authorization", "api-key"] = "Authorization"
    server: str = "OpenAI"

    def headers(self) -> dict[str, str]:
        key = self.key.reveal()
        named = {
            self.key_header: f"Bearer {key}" if key and self.key_header == "Authorization" else key,
            "OpenAI-Organization": self.organization,
            "OpenAI-Project": self.project,
        }
        return {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **{name: value for name, value in named.items() if value},
        }


class Upstream:
    """Sends requests of one account. The client is opened at the first call, for the start's sake.

    Nothing here repeats a request and redirects are not followed: promise 1.
    """

    def __init__(
        self,
        account: Account,
        transport: Callable[[], httpx2.AsyncBaseTransport | None] = lambda: None,
        timeouts: Timeouts = Timeouts(),
        max_answer: int = Limits().answer,
    ) -> None:
        self._account = account
        self._transport = transport
        self._timeouts = timeouts
        self._max_answer = max_answer
        self._client: httpx2.AsyncClient | None = None
        self._may_be_proxied = False

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def spool(
        self,
        path: str,
        targets: Sequence[Path],
        *,
        idempotency_key: str,
        json: Mapping[str, Any] | None = None,
        data: Mapping[str, str] | None = None,
        files: Sequence[FilePart] | None = None,
        large: bool = False,
        on_partial: OnPartial = _unwatched,
    ) -> Spooled:
        """POST once and stream the raw answer into the first of `targets` that takes it, which is returned
        when the answer stands there whole and flushed. `idempotency_key` is sent, and trusted for nothing.
        `large`: there are pictures in the JSON, so it is written in a thread.

        An event stream is whole when it has said everything, though its connection break.

        Raises:
            UpstreamError: with the class that says whether the call may have been billed.
            StorageError: the answer could not be written.
        """
        async with self._translated():
            client, headers = self._open(), {"Idempotency-Key": idempotency_key}
            build = partial(
                client.build_request, "POST", path, headers=headers, json=json, data=data, files=files
            )
            request = await run_sync(build) if large else build()
            sent = asyncio.get_running_loop().time()
            response = await client.send(request, stream=True)
            try:
                if not response.is_success:
                    raise self._rejection(response, await _error_body(response))
                body = await self._receive(response, targets, sent, on_partial)
                return Spooled(body, images_per_minute(response.headers))
            finally:
                await response.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        data: Mapping[str, str] | None = None,
        files: Sequence[FilePart] | None = None,
    ) -> dict[str, Any]:
        """One small request that costs nothing, such as a file upload; its JSON object."""
        reply = await self.ask(method, path, data=data, files=files)
        if reply.refusal:
            raise reply.refusal
        return reply.document

    async def ask(
        self,
        method: str,
        path: str,
        *,
        data: Mapping[str, str] | None = None,
        files: Sequence[FilePart] | None = None,
    ) -> Reply:
        """Such a request, a refusal of which is an answer too."""
        async with self._translated():
            response = await self._open().request(method, path, data=data, files=files)
        if not response.is_success:
            refusal = self._rejection(response, response.content[:_MAX_ERROR_BYTES])
            return Reply(response.headers, {}, refusal)
        try:
            document = response.json()
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            return Reply(response.headers, document, None)
        what = f"The API's answer to {method} {path.split('/')[0]} is not a JSON object."
        return Reply(response.headers, {}, UpstreamError(what))

    async def fetch(self, address: str) -> bytes | None:
        """What stands at an address of the API's own server; None if nothing does, or far too much."""
        async with self._translated():
            client = self._open()
            async with client.stream("GET", address, headers={"Accept": "image/*"}) as response:
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if not response.is_success or len(body) > self._max_answer:
                        return None
                return bytes(body) if response.is_success else None

    def own_address(self, address: str) -> str | None:
        """`address`, which may be relative, as one of the API's own server; None if it is another's.

        A server that listens on this machine may call it by another of its names.
        """
        base = httpx2.URL(self._account.base_url)
        try:
            target = base.join(address)
        except httpx2.InvalidURL:
            return None
        names = _LOOPBACK if base.host in _LOOPBACK else {base.host}
        if (target.scheme, _port(target)) != (base.scheme, _port(base)) or target.host not in names:
            return None
        return str(target.copy_with(host=base.host, userinfo=b"", fragment=None))

    def _rejection(self, response: httpx2.Response, body: bytes) -> UpstreamError:
        """Keys of other servers look like anything; ours is struck out before a text is cut at its length."""
        key = self._account.key.reveal()
        if len(key) >= SHORTEST_KEY:
            for form in (key, key.replace("/", "\\/")):  # some servers write "/" as "\/"
                body = body.replace(form.encode(), b"[redacted]")
        return rejection(response.status_code, response.headers, body, self._account.server)

    def _open(self) -> httpx2.AsyncClient:
        if self._client is None:
            from gpt_image_2_mcp.gateways._transport import direct_to

            transport = self._transport() or direct_to(self._account.base_url)
            self._may_be_proxied = transport is None
            self._client = self._opened(transport)
        return self._client

    def _opened(self, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
        from gpt_image_2_mcp.gateways._transport import certificates_read

        try:
            with certificates_read():
                return httpx2.AsyncClient(
                    base_url=self._account.base_url,
                    headers=self._account.headers(),
                    timeout=self._timeouts.for_client(),
                    transport=transport,
                    # Plain http is for this machine alone: no HTTP_PROXY may read the key.
                    mounts={"http://": None},
                    follow_redirects=False,
                    limits=httpx2.Limits(max_connections=None),
                )
        except (ImportError, ValueError):  # SOCKS takes a package; other schemes are unknown (httpx2 2.16.2)
            if not self._may_be_proxied:
                raise
            what = (
                "The proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names is of a kind that cannot be used."
            )
            raise Unsendable(what, hint=_OTHER_PROXY) from None

    async def _receive(
        self, response: httpx2.Response, targets: Sequence[Path], sent: float, on_partial: OnPartial
    ) -> Path:
        patience = partial(self._patience, sent)
        receiver = Receiver(targets, _follower(response), patience, on_partial)
        return await receiver.receive(self._bounded(response))

    async def _bounded(self, response: httpx2.Response) -> AsyncGenerator[bytes]:
        left = self._max_answer
        async with aclosing(response.aiter_raw()) as pieces:
            async for piece in pieces:
                left -= len(piece)
                if left < 0:
                    raise OutcomeUnknown(
                        f"{self._account.server}'s answer is larger than {self._max_answer // MB} MB."
                    )
                yield piece

    def _patience(self, sent: float, follower: Follower | None) -> float:
        """Seconds of silence after which an answer is given up."""
        if follower is None:
            return self._timeouts.idle
        if follower.all_said:
            return min(_LAST_WORDS_S, self._timeouts.idle)
        waited = asyncio.get_running_loop().time() - sent
        return max(self._timeouts.stream_idle, self._timeouts.first_byte - waited)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """The one place where httpx2's errors become ours."""
        try:
            async with Patience(self._timeouts.total):
                yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            host = httpx2.URL(self._account.base_url).host
            raise unreachable(host, error, may_be_proxied=self._may_be_proxied) from None
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.LocalProtocolError) as error:
            raise Unsendable(f"The request could not be sent ({type(error).__name__}).") from None
        except (TimeoutError, httpx2.TimeoutException):
            raise UpstreamTimeout(f"{self._account.server} did not answer in time.") from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            kind = type(error).__name__
            raise OutcomeUnknown(f"The connection broke after the request was sent ({kind}).") from None


def _port(url: httpx2.URL) -> int | None:
    return url.port or {"https": 443, "http": 80}.get(url.scheme)


def _follower(response: httpx2.Response) -> Follower | None:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Follower() if kind == "text/event-stream" else None


async def _error_body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= _MAX_ERROR_BYTES:
            break
    return bytes(body[:_MAX_ERROR_BYTES])
