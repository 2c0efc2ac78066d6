"""Pictures over https, from a stand-in for the network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.sources import https
from gpt_image_2_mcp.sources.https import MAX_HOPS, HttpsFetcher
from tests.support.upstreams import streamed

pytestmark = pytest.mark.anyio
URL = "https://pictures.example/cat.png"
Handler = Callable[[httpx2.Request], httpx2.Response]


class Site:
    """Answers by a handler and keeps what was asked."""

    def __init__(self, handler: Handler) -> None:
        self.asked: list[httpx2.Request] = []
        self._handler = handler

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return self._handler(request)

    def fetcher(self) -> HttpsFetcher:
        return HttpsFetcher(lambda: httpx2.MockTransport(self.answer))

    @property
    def urls(self) -> list[str]:
        return [str(request.url) for request in self.asked]


class Chunks(httpx2.AsyncByteStream):
    def __init__(self, *chunks: bytes, error: Exception | None = None) -> None:
        self._chunks, self._error = chunks, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._error:
            raise self._error


def serving(status: int = 200, body: bytes = b"PICTURE", headers: dict[str, str] | None = None) -> Site:
    return Site(lambda _request: streamed(status, body, headers))


def redirecting(*targets: str, status: int = 302) -> Site:
    steps = list(targets)

    def handler(_request: httpx2.Request) -> httpx2.Response:
        if steps:
            return httpx2.Response(status, headers={"location": steps.pop(0)})
        return streamed(200, b"PICTURE")

    return Site(handler)


async def refusal(site: Site, url: str = URL) -> str:
    with pytest.raises(InputError) as caught:
        await site.fetcher().fetch(url)
    assert "give its path" in caught.value.hint
    return caught.value.message


async def test_the_body_is_fetched() -> None:
    site = serving(body=b"PICTURE" * 1000)

    assert await site.fetcher().fetch(URL) == b"PICTURE" * 1000
    assert site.urls == [URL]


async def test_the_request_carries_no_credentials_and_asks_for_plain_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    site = serving(headers={"set-cookie": "a=b"})
    await site.fetcher().fetch(URL)
    await site.fetcher().fetch(URL)

    for request in site.asked:
        assert request.method == "GET"
        assert request.headers["accept-encoding"] == "identity"
        assert not {"authorization", "cookie", "referer"} & set(request.headers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(status: int) -> None:
    site = redirecting("/moved.png", "https://cdn.example/a.png", "//other.example/b.png", status=status)

    assert await site.fetcher().fetch(URL) == b"PICTURE"
    assert site.urls == [
        URL,
        "https://pictures.example/moved.png",
        "https://cdn.example/a.png",
        "https://other.example/b.png",
    ]
    assert [request.method for request in site.asked] == ["GET"] * 4


async def test_redirects_have_an_end() -> None:
    site = redirecting(*["/again"] * 50)

    assert await refusal(site) == f"{URL} redirects more than 3 times."
    assert len(site.asked) == MAX_HOPS + 1


@pytest.mark.parametrize(
    "target",
    [
        "http://pictures.example/cat.png",
        "http://127.0.0.1/latest/meta-data",
        "ftp://pictures.example/cat.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "https://me:secret@pictures.example/cat.png",
    ],
)
async def test_a_redirect_off_plain_https_is_not_followed(target: str) -> None:
    site = redirecting(target)

    message = await refusal(site)

    assert message == f"{URL} leads to an address that is not plain https."
    assert site.urls == [URL]


async def test_a_url_with_a_password_is_refused_unsent() -> None:
    site = serving()

    assert "leads to an address that is not plain https" in await refusal(site, "https://me:pw@x.example/a")
    assert site.asked == []


async def test_a_redirect_to_nonsense_is_refused() -> None:
    assert await refusal(redirecting("https://[::1")) == f"{URL} could not be fetched."


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 500, 503])
async def test_only_a_plain_200_holds_a_picture(status: int) -> None:
    message = await refusal(serving(status, b"a secret page" if status not in (204, 304) else b""))

    assert message == f"{URL} did not answer with a picture."


async def test_a_redirect_without_a_target_holds_no_picture() -> None:
    assert await refusal(serving(302)) == f"{URL} did not answer with a picture."


async def test_a_body_up_to_the_limit_is_fetched_and_one_byte_more_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(https, "MAX_INPUT_BYTES", 1000)

    assert len(await serving(body=bytes(1000)).fetcher().fetch(URL)) == 1000
    assert await refusal(serving(body=bytes(1001))) == f"{URL} is larger than 50 MB."


@pytest.mark.parametrize("declared", ["1001", "9" * 5000])
async def test_a_body_that_is_said_to_be_too_large_is_not_read(
    monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    monkeypatch.setattr(https, "MAX_INPUT_BYTES", 1000)
    body = Chunks(error=AssertionError("nothing may be read"))
    site = Site(lambda _r: httpx2.Response(200, headers={"content-length": declared}, stream=body))

    assert await refusal(site) == f"{URL} is larger than 50 MB."


async def test_a_body_without_a_declared_size_is_read_only_up_to_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(https, "MAX_INPUT_BYTES", 1000)
    body = Chunks(bytes(600), bytes(600), error=AssertionError("one chunk too many was read"))
    site = Site(lambda _r: httpx2.Response(200, stream=body))

    assert await refusal(site) == f"{URL} is larger than 50 MB."


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("secret host name"),
        httpx2.ConnectTimeout("slow"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("not HTTP"),
    ],
)
async def test_a_failing_network_is_said_without_its_words(error: Exception) -> None:
    def handler(_request: httpx2.Request) -> httpx2.Response:
        raise error

    assert await refusal(Site(handler)) == f"{URL} could not be fetched."


async def test_a_connection_that_breaks_in_the_body_is_refused() -> None:
    broken = Chunks(b"half", error=httpx2.ReadError("reset"))

    assert await refusal(Site(lambda _r: httpx2.Response(200, stream=broken))) == (
        f"{URL} could not be fetched."
    )


async def test_a_site_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"first"
            await asyncio.Event().wait()

    monkeypatch.setattr(https, "_TOTAL_S", 0)

    assert "took longer than" in await refusal(Site(lambda _r: httpx2.Response(200, stream=Endless())))


@pytest.mark.parametrize("url", ["https://", "https:///a.png", "https://[::1", "https://a:b/c", "https:x"])
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    site = serving()

    await refusal(site, url)
    assert site.asked == []


async def test_a_long_url_is_shortened_in_the_refusal() -> None:
    assert len(await refusal(serving(404), f"{URL}?{'q' * 5000}")) < 300


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec=None), max_size=30))
async def test_any_url_ends_in_a_picture_or_a_refusal(rest: str) -> None:
    site = serving()
    with suppress(InputError):
        assert await site.fetcher().fetch(f"https:{rest}") == b"PICTURE"

    assert all(request.url.scheme == "https" and request.url.host for request in site.asked)
