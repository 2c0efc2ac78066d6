"""The way to a server with no proxy in between: bodies of every kind, kept connections, errors."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import ModuleType

import httpx2
import pytest

from gpt_image_2_mcp.gateways import _http, _network, _transport
from gpt_image_2_mcp.gateways._transport import DirectTransport, direct_to

pytestmark = pytest.mark.anyio

BODY = b"0123456789" * 20_000


@dataclass
class Server:
    """Gives these raw answers one after another, and hangs up after a connection's last."""

    answers: list[bytes]
    a_connection: int = 100
    connections: int = 0
    asked: list[bytes] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[httpx2.AsyncClient]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            async with httpx2.AsyncClient(base_url=self.url, transport=DirectTransport()) as client:
                yield client
        finally:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # the client may leave
            for _ in range(self.a_connection):
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self.asked.append(head + await reader.readexactly(int(length or 0)))
                writer.write(self.answers.pop(0))
                await writer.drain()
        writer.close()


def answer(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


def measured(body: bytes = BODY, length: int = len(BODY)) -> bytes:
    return answer(body, f"Content-Length: {length}")


def in_chunks(*chunks: bytes) -> bytes:
    said = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return answer(said + b"0\r\n\r\n", "Transfer-Encoding: chunked")


@pytest.mark.parametrize(
    ("raw", "a_connection"),
    [(measured(), 2), (in_chunks(BODY[:7], BODY[7:]), 2), (answer(BODY), 1)],
    ids=["measured", "in chunks", "until the end"],
)
async def test_a_body_comes_whole_however_its_length_is_told(raw: bytes, a_connection: int) -> None:
    async with Server([raw, raw], a_connection).listening() as client:
        for _ in range(2):
            assert (await client.post("/x", content=BODY)).content == BODY


async def test_a_request_goes_out_as_httpx2_wrote_it() -> None:
    server = Server([measured()])
    async with server.listening() as client:
        await client.post("/a%20b?c=d", content=b"body", headers={"X-Case": "Kept"})
    (asked,) = server.asked
    assert asked.startswith(b"POST /a%20b?c=d HTTP/1.1\r\n")
    assert b"\r\nX-Case: Kept\r\n" in asked
    assert asked.endswith(b"\r\n\r\nbody")


async def test_a_connection_is_used_again_until_the_server_closes_it() -> None:
    server = Server([measured()] * 4, a_connection=2)
    async with server.listening() as client:
        for _ in range(4):
            await client.get("/")
    assert server.connections == 2


async def test_calls_at_the_same_time_have_connections_of_their_own() -> None:
    server = Server([measured()] * 20)
    async with server.listening() as client:
        found = await asyncio.gather(*(client.get("/") for _ in range(20)))
    assert [each.content for each in found] == [BODY] * 20
    assert server.connections == 20


async def test_an_answer_that_is_left_early_takes_its_connection_along() -> None:
    server = Server([measured()] * 2)
    async with server.listening() as client:
        async with client.stream("GET", "/") as left:
            assert left.status_code == 200
        assert (await client.get("/")).content == BODY
    assert server.connections == 2


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", httpx2.RemoteProtocolError),
        (b"SSH-2.0-OpenSSH\r\n\r\n", httpx2.RemoteProtocolError),
        (measured(BODY[:-1]), httpx2.RemoteProtocolError),
        (in_chunks(BODY)[:-9], httpx2.RemoteProtocolError),
    ],
    ids=["nothing", "another protocol", "a byte short", "a chunk short"],
)
async def test_what_is_no_whole_answer_is_an_error_of_httpx2s(raw: bytes, error: type[Exception]) -> None:
    async with Server([raw], a_connection=1).listening() as client:
        with pytest.raises(error):
            await client.get("/")


@pytest.mark.parametrize("refusal", [b"HTTP/1.1 413 Too large\r\nContent-Length: 2\r\n\r\n{}", b""])
async def test_who_reads_no_more_is_late_unless_the_answer_says_why(refusal: bytes) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(refusal)
        with suppress(ConnectionError):
            await left.wait()
        writer.close()

    left = asyncio.Event()
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    patience = httpx2.Timeout(5, write=0.2)
    async with httpx2.AsyncClient(base_url=url, transport=DirectTransport(), timeout=patience) as client:
        asked = client.post("/", content=bytes(32 * 1024 * 1024))
        if refusal:
            assert (await asked).status_code == 413
        else:
            with pytest.raises(httpx2.WriteTimeout):
                await asked
    left.set()
    server.close()
    await server.wait_closed()


async def test_a_scheme_that_is_none_is_an_error_of_httpx2s() -> None:
    async with httpx2.AsyncClient(transport=DirectTransport()) as client:
        with pytest.raises(httpx2.UnsupportedProtocol):
            await client.get("gopher://127.0.0.1/")


async def test_a_connection_that_was_idle_too_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server([measured()] * 5)
    async with server.listening() as client:
        await asyncio.gather(*(client.get("/") for _ in range(3)))
        assert server.connections == 3
        monkeypatch.setattr(_transport, "_KEPT_S", -1.0)
        await client.get("/")
        assert server.connections == 4
        monkeypatch.undo()
        await client.get("/")
    assert server.connections == 4


async def test_connections_that_were_closed_meanwhile_are_passed_over() -> None:
    server = Server([measured()] * 31, a_connection=1)
    async with server.listening() as client:
        await asyncio.gather(*(client.get("/") for _ in range(30)))
        await client.get("/")
    assert server.connections == 31


async def test_each_server_has_connections_of_its_own() -> None:
    one, other = Server([measured()] * 2), Server([measured()] * 2)
    async with other.listening(), one.listening() as client:
        for url in (one.url, other.url) * 2:
            assert (await client.get(url)).content == BODY
    assert (one.connections, other.connections) == (1, 1)


async def test_a_call_that_outlives_the_client_ends_well() -> None:
    transport = DirectTransport()
    async with Server([measured()]).listening() as client:
        request = client.build_request("GET", "/")
        response = await transport.handle_async_request(request)
        await transport.aclose()
        assert await response.aread() == BODY
        await response.aclose()
        assert not any(transport._idle.values())


async def test_nobody_there_is_an_error_of_httpx2s() -> None:
    async with Server([]).listening() as client:
        url = client.base_url
    async with httpx2.AsyncClient(base_url=url, transport=DirectTransport()) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("/")


def test_errors_keep_their_names() -> None:
    assert {kind.__name__ for kind in _transport._SAID} == {
        said.__name__ for said in _transport._SAID.values()
    }


@pytest.mark.parametrize("module", [_network, _http])
def test_every_error_that_is_raised_below_has_its_word(module: ModuleType) -> None:
    source = inspect.getsource(module)
    raised = {name for name in re.findall(r"httpcore2\.(\w+)", source) if name.endswith(("Error", "Timeout"))}
    assert raised
    assert raised <= {kind.__name__ for kind in _transport._SAID}


@pytest.mark.parametrize("error", [*_transport._SAID, ValueError])
def test_an_error_is_said_in_httpx2s_words_and_others_are_let_through(error: type[Exception]) -> None:
    with pytest.raises(_transport._SAID.get(error, error), match="boom") as raised:  # noqa: SIM117
        with _transport._in_httpx2s_words():
            raise error("boom")
    assert type(raised.value) is _transport._SAID.get(error, error)


# Proxies


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_where_a_proxy_may_stand_in_between_the_way_is_httpx2s(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert direct_to("https://api.openai.com/v1") is None
    assert isinstance(direct_to("http://127.0.0.1:8080/v1"), DirectTransport)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "NO_PROXY"])
def test_what_is_no_proxy_for_https_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert isinstance(direct_to("https://api.openai.com/v1"), DirectTransport)
