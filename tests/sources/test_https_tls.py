"""What people have pictures behind still works, over real TLS on this machine.

Public names lead to a server of the test's by an injected resolver and connector; named internal hosts are
dialled by the system's own means.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpcore2
import pytest

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.sources.dialling import Dialler, tcp_connect
from gpt_image_2_mcp.sources.https import HttpsFetcher
from tests.support.authority import Authority
from tests.support.sites import PUBLIC, head

pytestmark = pytest.mark.anyio
PUBLIC_V6 = "2606:2800:21f:cb07::1"
NAMES = ("pictures.example", "cdn.example", "xn--bcher-kva.example", "a_b.example", "localhost")
PICTURE = b"PICTURE" * 10_000


@dataclass
class Server:
    """A site over TLS; `pages` gives raw answers by target, and its address is worn by every connection."""

    pages: dict[str, bytes]
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)

    @asynccontextmanager
    async def listening(
        self, context: ssl.SSLContext | None, host: str = "127.0.0.1"
    ) -> AsyncIterator[Server]:
        server = await asyncio.start_server(self._serve, host, self.port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def connect(self, address: str, port: int, seconds: float) -> httpcore2.AsyncNetworkStream:
        self.dialled.append((address, port))
        return Disguised(await tcp_connect("127.0.0.1", self.port, seconds), address)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # whoever does not like the certificate leaves
            return
        else:
            first, *rest = asked.decode("ascii").split("\r\n")
            target = first.split(" ")[1]
            host = next(line[6:] for line in rest if line.lower().startswith("host: "))
            self.asked.append((host, target))
            writer.write(self.pages.get(target, head(404, "Content-Length: 0")))
            await writer.drain()
        finally:
            writer.close()


class Other(Server):
    """Speaks, but no TLS."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        await writer.drain()
        writer.close()


class Disguised(httpcore2.AsyncNetworkStream):
    """A connection to the test's server that says it is one to `address`."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream, address: str) -> None:
        self._stream, self._address = stream, address

    async def start_tls(self, *args: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        return await self._stream.start_tls(*args, **options)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return (self._address, 443) if info == "server_addr" else self._stream.get_extra_info(info)


def page(body: bytes, *headers: str) -> bytes:
    return head(200, f"Content-Length: {len(body)}", *headers) + body


def moved(target: str, status: int = 302) -> bytes:
    return head(status, f"Location: {target}", "Content-Length: 5") + b"moved"


def chunked(body: bytes, size: int = 999) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    coded = b"".join(f"{len(piece):x};ext=1\r\n".encode() + piece + b"\r\n" for piece in pieces)
    return head(200, "Transfer-Encoding: chunked") + coded + b"0\r\nX-Trailer: 1\r\n\r\n"


PAGES = {
    "/cat.png": page(PICTURE, "Content-Type: image/png", "Set-Cookie: a=b"),
    "/": page(PICTURE),
    "/cat.png?size=l&url=https://10.0.0.1/": page(PICTURE),
    "/gro%C3%9F%20.png": page(PICTURE),
    "/a//b/;c=d/@e:f": page(PICTURE),
    "/chunked": chunked(PICTURE),
    "/no-length": head(200, "Connection: close") + PICTURE,
    "/http-1.0": b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE,
    "/identity": page(PICTURE, "Content-Encoding: identity"),
    "/hints": head(103, "Link: </style.css>; rel=preload") + page(PICTURE),
    "/keep-alive": page(PICTURE, "Connection: keep-alive"),
    "/moved/1": moved("/moved/2", 301),
    "/moved/2": moved("https://cdn.example/moved/3#part", 307),
    "/moved/3": moved("//pictures.example/cat.png", 308),
    "/relative/here/": moved("../../cat.png?size=l&url=https://10.0.0.1/", 303),
    "/to-idn": moved("https://bücher.example/cat.png"),
    "/port-443": moved("https://pictures.example:443/cat.png"),
}
LEGITIMATE = {
    "plain": "https://pictures.example/cat.png",
    "no path": "https://pictures.example",
    "query": "https://pictures.example/cat.png?size=l&url=https://10.0.0.1/",
    "fragment": "https://pictures.example/cat.png#part",
    "port 443": "https://pictures.example:443/cat.png",
    "upper case": "HTTPS://PICTURES.Example/cat.png",
    "letters to be escaped": "https://pictures.example/groß .png",
    "odd path": "https://pictures.example/a//b/;c=d/@e:f",
    "dots in the path": "https://pictures.example/x/../cat.png",
    "underscore": "https://a_b.example/cat.png",
    "international": "https://bücher.example/cat.png",
    "international, upper case": "https://BÜCHER.example/cat.png",
    "international, encoded": "https://xn--bcher-kva.example/cat.png",
    "IPv4 address": f"https://{PUBLIC}/cat.png",
    "IPv6 address": f"https://[{PUBLIC_V6}]/cat.png",
    "IPv6 address, upper case": "https://[2606:2800:21F:CB07:0::1]/cat.png",
    "chunks": "https://pictures.example/chunked",
    "no length": "https://pictures.example/no-length",
    "HTTP/1.0": "https://pictures.example/http-1.0",
    "identity encoding": "https://pictures.example/identity",
    "early hints": "https://pictures.example/hints",
    "kept connection": "https://pictures.example/keep-alive",
    "three redirects": "https://pictures.example/moved/1",
    "relative redirect": "https://pictures.example/relative/here/",
    "redirect to an international name": "https://pictures.example/to-idn",
    "redirect to port 443": "https://pictures.example/port-443",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    return authority.serving(*NAMES, PUBLIC, PUBLIC_V6, "127.0.0.1", "::1")


@pytest.fixture
def fetcher(authority: Authority) -> Callable[..., HttpsFetcher]:
    def make(dialler: Dialler) -> HttpsFetcher:
        return HttpsFetcher(dialler, tls=authority.trusting)

    return make


def answering(*addresses: str) -> Callable[[str, int], Any]:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize("url", LEGITIMATE.values(), ids=LEGITIMATE.keys())
async def test_what_people_have_pictures_behind_is_fetched(
    url: str, tls: ssl.SSLContext, fetcher: Callable[..., HttpsFetcher]
) -> None:
    async with Server(PAGES).listening(tls) as server:
        dialler = Dialler(resolve=answering(PUBLIC), connect=server.connect)
        assert await fetcher(dialler).fetch(url) == PICTURE

    assert {address for address, _port in server.dialled} <= {PUBLIC, PUBLIC_V6}
    assert {port for _address, port in server.dialled} == {443}
    assert len(server.asked) == len(server.dialled)


@pytest.mark.parametrize("addresses", [[PUBLIC_V6], [PUBLIC_V6, PUBLIC], [PUBLIC, PUBLIC_V6]])
async def test_a_host_may_be_on_either_internet(
    addresses: list[str], tls: ssl.SSLContext, fetcher: Callable[..., HttpsFetcher]
) -> None:
    async with Server(PAGES).listening(tls) as server:
        dialler = Dialler(resolve=answering(*addresses), connect=server.connect)
        assert await fetcher(dialler).fetch("https://pictures.example/cat.png") == PICTURE

    assert server.dialled == [(addresses[0], 443)]


def has_ipv6() -> bool:
    with suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


V6 = pytest.param("[::1]", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine"))


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", V6])
async def test_a_named_internal_host_is_fetched_from_by_the_systems_own_means(
    host: str, tls: ssl.SSLContext, fetcher: Callable[..., HttpsFetcher]
) -> None:
    name = host.strip("[]").lower()
    async with Server(PAGES).listening(tls, "::1" if host == "[::1]" else "127.0.0.1") as server:
        dialler = Dialler(frozenset({(name, server.port)}))
        assert await fetcher(dialler).fetch(f"https://{host}:{server.port}/cat.png") == PICTURE

    assert server.asked == [(f"{host.lower()}:{server.port}", "/cat.png")]


async def test_the_certificate_must_be_the_hosts(
    tls: ssl.SSLContext, fetcher: Callable[..., HttpsFetcher]
) -> None:
    async with Server(PAGES).listening(tls) as server:
        dialler = Dialler(resolve=answering(PUBLIC), connect=server.connect)
        with pytest.raises(InputError, match="could not be fetched"):
            await fetcher(dialler).fetch("https://other.example/cat.png")

    assert server.dialled == [(PUBLIC, 443)]
    assert server.asked == []


async def test_a_certificate_of_nobodys_is_not_accepted(tls: ssl.SSLContext) -> None:
    async with Server(PAGES).listening(tls) as server:
        dialler = Dialler(resolve=answering(PUBLIC), connect=server.connect)
        with pytest.raises(InputError, match="could not be fetched"):
            await HttpsFetcher(dialler).fetch("https://pictures.example/cat.png")

    assert server.asked == []


async def test_ssl_cert_file_says_whom_to_trust(
    authority: Authority, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    async with Server(PAGES).listening(tls) as server:
        dialler = Dialler(resolve=answering(PUBLIC), connect=server.connect)
        assert await HttpsFetcher(dialler).fetch("https://pictures.example/cat.png") == PICTURE


@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
async def test_closed_open_and_bad_tls_inside_are_told_alike(
    named: bool, tls: ssl.SSLContext, fetcher: Callable[..., HttpsFetcher]
) -> None:
    """Without a name in the setting none of them is even dialled."""
    told, asked = set(), []
    for stand_in, context in ((Server({}), tls), (Other({}), None)):
        async with stand_in.listening(context) as server:
            url = f"https://wrong-name.example:{server.port}/" if named else "https://inside.example/"
            allowed = {("wrong-name.example", server.port)} if named else set()
            fetching = fetcher(Dialler(frozenset(allowed), resolve=answering("127.0.0.1")))
            told.add(await refusal(fetching, url))
            asked += server.asked
        told.add(await refusal(fetching, url))  # nobody listens there any more

    assert told == {"could not be fetched."}
    assert asked == []


async def refusal(fetcher: HttpsFetcher, url: str) -> str:
    with pytest.raises(InputError) as caught:
        await fetcher.fetch(url)
    return caught.value.message.removeprefix(f"{url} ")


def turns(*answers: str) -> Callable[[str, int], Any]:
    """A resolver that gives another address each time."""
    left: Iterator[str] = iter(answers)

    async def resolve(_host: str, _port: int) -> list[str]:
        return [next(left)]

    return resolve


@pytest.mark.skipif(sys.platform == "darwin", reason="127.0.0.2 and 127.0.0.3 are not set up there")
async def test_a_name_that_is_rebound_while_it_is_asked_leads_where_it_was_checked(
    tls: ssl.SSLContext, fetcher: Callable[..., HttpsFetcher]
) -> None:
    """127.0.0.2 stands for the address that was checked, 127.0.0.3 for the one that must not be reached."""
    async with Server(PAGES).listening(tls, "127.0.0.2") as good:
        bad = Server(PAGES, good.port)
        async with bad.listening(tls, "127.0.0.3"):
            named = frozenset({("pictures.example", good.port)})
            fetching = fetcher(Dialler(named, resolve=turns("127.0.0.2", "127.0.0.3")))
            assert await fetching.fetch(f"https://pictures.example:{good.port}/cat.png") == PICTURE

    assert len(good.asked) == 1
    assert bad.asked == []


async def test_a_name_that_is_rebound_between_two_hops_is_checked_again(
    tls: ssl.SSLContext, fetcher: Callable[..., HttpsFetcher]
) -> None:
    async with Server(PAGES).listening(tls) as server:
        dialler = Dialler(resolve=turns(PUBLIC, "127.0.0.3"), connect=server.connect)
        with pytest.raises(InputError, match="could not be fetched"):
            await fetcher(dialler).fetch("https://pictures.example/moved/1")

    assert server.dialled == [(PUBLIC, 443)]
    assert server.asked == [("pictures.example", "/moved/1")]


async def test_no_proxy_of_the_environments_is_dialled(
    tls: ssl.SSLContext, fetcher: Callable[..., HttpsFetcher], monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    async with Server({}).listening(None) as proxy, Server(PAGES).listening(tls) as server:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        (home / ".netrc").write_text("default login me password secret")
        dialler = Dialler(resolve=answering(PUBLIC), connect=server.connect)
        assert await fetcher(dialler).fetch("https://pictures.example/cat.png") == PICTURE

    assert proxy.asked == []
