"""The one HTTP client to the API: a request out once, its raw body onto disk, transport errors translated."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx2
from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import OutcomeUnknown, StorageError, Unreachable, UpstreamError, UpstreamTimeout
from gpt_image_2_mcp.gateways._rejections import rejection
from gpt_image_2_mcp.models import Secret

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
_MAX_ERROR_BYTES: Final = 64 * 1024
_WRITE_BYTES: Final = 1024 * 1024
_SHORTEST_KEY: Final = 12
"""Characters; below it stand the words that local servers take for a key, such as `none`."""

FilePart = tuple[str, tuple[str, bytes, str]]
"""Field name, then file name, bytes and MIME type."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. gpt-image-2 at high quality takes 155-280 s, so the first byte may be long in coming."""

    connect: float = 10
    pool: float = 5
    write: float = 30
    first_byte: float = 300
    idle: float = 30
    total: float = 600

    def for_client(self) -> httpx2.Timeout:
        return httpx2.Timeout(self.first_byte, connect=self.connect, pool=self.pool, write=self.write)


@dataclass(frozen=True, slots=True)
class Account:
    """Where the API is and who is calling."""

    base_url: str
    key: Secret
    organization: str | None = None
    project: str | None = None

    def headers(self) -> dict[str, str]:
        named = {"OpenAI-Organization": self.organization, "OpenAI-Project": self.project}
        return {
            "Authorization": f"Bearer {self.key.reveal()}",
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
    ) -> None:
        self._account = account
        self._transport = transport
        self._timeouts = timeouts
        self._client: httpx2.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def spool(
        self,
        path: str,
        target: Path,
        *,
        json: Mapping[str, Any] | None = None,
        data: Mapping[str, str] | None = None,
        files: Sequence[FilePart] | None = None,
    ) -> None:
        """POST once and stream the raw answer into `target`, which then stands whole and flushed.

        Raises:
            UpstreamError: with the class that says whether the call may have been billed.
            StorageError: the answer could not be written.
        """
        async with self._translated():
            request = self._open().build_request("POST", path, json=json, data=data, files=files)
            response = await self._open().send(request, stream=True)
            try:
                if not response.is_success:
                    raise self._rejection(response, await _error_body(response))
                await self._receive(response, target)
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
        async with self._translated():
            response = await self._open().request(method, path, data=data, files=files)
            if not response.is_success:
                raise self._rejection(response, response.content[:_MAX_ERROR_BYTES])
            try:
                document = response.json()
            except (ValueError, RecursionError):
                document = None
            if not isinstance(document, dict):
                raise UpstreamError(
                    f"The API's answer to {method} {path.split('/')[0]} is not a JSON object."
                )
            return document

    def _rejection(self, response: httpx2.Response, body: bytes) -> UpstreamError:
        """Keys of other servers look like anything, so ours is struck out by its text."""
        key = self._account.key.reveal().encode()
        if len(key) >= _SHORTEST_KEY:
            body = body.replace(key, b"[redacted]")
        return rejection(response.status_code, response.headers, body)

    def _open(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                base_url=self._account.base_url,
                headers=self._account.headers(),
                timeout=self._timeouts.for_client(),
                transport=self._transport(),
                follow_redirects=False,
                limits=httpx2.Limits(max_connections=None),
            )
        return self._client

    async def _receive(self, response: httpx2.Response, target: Path) -> None:
        part = target.with_name(target.name + ".part")
        file = await run_sync(_create, part)
        try:
            buffered, total = bytearray(), 0
            async with asyncio.timeout(self._timeouts.idle) as idle:
                async for chunk in response.aiter_raw():
                    idle.reschedule(asyncio.get_running_loop().time() + self._timeouts.idle)
                    total += len(chunk)
                    if total > MAX_ANSWER_BYTES:
                        raise OutcomeUnknown(f"OpenAI's answer is larger than {MAX_ANSWER_BYTES >> 20} MB.")
                    buffered += chunk
                    if len(buffered) >= _WRITE_BYTES:
                        await run_sync(_write, file, bytes(buffered))
                        buffered.clear()
            await run_sync(_finish, file, bytes(buffered), part, target)
        finally:
            await run_sync(file.close)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[None]:
        """The one place where httpx2's errors become ours."""
        try:
            async with asyncio.timeout(self._timeouts.total):
                yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            host = httpx2.URL(self._account.base_url).host
            raise Unreachable(f"{host} could not be reached ({type(error).__name__}).") from None
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.LocalProtocolError) as error:
            raise Unreachable(f"The request could not be sent ({type(error).__name__}).") from None
        except (TimeoutError, httpx2.TimeoutException):
            raise UpstreamTimeout("OpenAI did not answer in time.") from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            kind = type(error).__name__
            raise OutcomeUnknown(f"The connection broke after the request was sent ({kind}).") from None


async def _error_body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= _MAX_ERROR_BYTES:
            break
    return bytes(body[:_MAX_ERROR_BYTES])


def _create(part: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)
    except OSError as error:
        raise _unwritable(part, error) from None


def _write(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]  # a write to a nearly full disk comes back short
    except OSError as error:
        raise _unwritable(Path(str(file.name)), error) from None


def _finish(file: BinaryIO, data: bytes, part: Path, target: Path) -> None:
    _write(file, data)
    try:
        os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise _unwritable(part, error) from None


def _unwritable(part: Path, error: OSError) -> StorageError:
    return StorageError(
        f"The answer could not be written to {part.parent} ({error.strerror}).",
        hint="Free some disk space or set GPT_IMAGE_2_STATE_DIR; the call may have been billed.",
    )
