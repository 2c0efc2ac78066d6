"""Fetches input images over https: bounded in size, time and hops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import httpx2

from gpt_image_2_mcp.capabilities import MAX_INPUT_BYTES
from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.redaction import clean

MAX_HOPS: Final = 3
_TOTAL_S: Final = 30
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class HttpsFetcher:
    """Downloads one picture at a time, each with a client of its own, so no cookie is carried over."""

    def __init__(self, transport: Callable[[], httpx2.AsyncBaseTransport | None] = lambda: None) -> None:
        self._transport = transport

    async def fetch(self, url: str) -> bytes:
        """The body behind `url`.

        Raises:
            InputError: it is not https on every hop, too large, too slow, or does not answer with 200.
        """
        try:
            async with asyncio.timeout(_TOTAL_S), self._client() as client:
                return await self._follow(client, httpx2.URL(url), url)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, UnicodeError):
            raise _failed(url, "could not be fetched") from None
        except TimeoutError:
            raise _failed(url, f"took longer than {_TOTAL_S} s") from None

    def _client(self) -> httpx2.AsyncClient:
        # No proxies or credentials from the environment; identity: no compressed bombs.
        return httpx2.AsyncClient(
            transport=self._transport(),
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(10, connect=5),
            headers={"Accept": "image/png, image/jpeg, image/webp", "Accept-Encoding": "identity"},
        )

    async def _follow(self, client: httpx2.AsyncClient, target: httpx2.URL, asked: str) -> bytes:
        for _ in range(MAX_HOPS + 1):
            if target.scheme != "https" or target.userinfo or not target.host:
                raise _failed(asked, "leads to an address that is not plain https")
            async with client.stream("GET", target) as response:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    target = target.join(response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise _failed(asked, "did not answer with a picture")
                return await _bounded_body(response, asked)
        raise _failed(asked, f"redirects more than {MAX_HOPS} times")


async def _bounded_body(response: httpx2.Response, asked: str) -> bytes:
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > MAX_INPUT_BYTES:
        raise _failed(asked, "is larger than 50 MB")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_INPUT_BYTES:
            raise _failed(asked, "is larger than 50 MB")
    return bytes(body)


def _failed(url: str, why: str) -> InputError:
    return InputError(
        f"{clean(url, 200)} {why}.", hint="Download the picture and give its path; nothing was sent."
    )
