"""A network that is not there: names, addresses, and sites that answer in raw HTTP/1.1 without TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import anyio
import httpcore2

from gpt_image_2_mcp.sources.dialling import Dialler
from gpt_image_2_mcp.sources.https import FetchLimits, HttpsFetcher

PUBLIC = "93.184.215.14"
"""An address that is nobody's business here: it is never dialled for real."""
Piece = bytes | Exception | None
"""What a read gives: bytes, an error, or None for a pause without end."""


@dataclass(frozen=True)
class Asked:
    """A request as a site hears it; `sni` is the name that the handshake was for."""

    target: str
    headers: dict[str, str]
    sni: str | None
    address: str

    @property
    def url(self) -> str:
        return f"https://{self.headers['host']}{self.target}"


def head(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Reason", *headers, "", ""]).encode()


def serve(status: int = 200, body: bytes = b"PICTURE", *headers: str) -> list[Piece]:
    """A whole answer with its length declared."""
    return [head(status, f"Content-Length: {len(body)}", *headers), body]


def redirect(target: str, status: int = 302) -> list[Piece]:
    return [head(status, f"Location: {target}", "Content-Length: 0")]


@dataclass
class Network:
    """Answers every request by `answer`, and keeps what was resolved, dialled and asked.

    `names` gives a host's addresses, and those of every next resolution where there are several lists; a host
    that it does not know is at `PUBLIC`. `peer` is whom the system says a connection is to.
    """

    answer: Callable[[Asked], Iterable[Piece]] = lambda _asked: serve()
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    refuses: frozenset[str] = frozenset()
    peer: Callable[[str], object] = lambda address: (address, 443)
    resolved: list[str] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    open: list[httpcore2.AsyncNetworkStream] = field(default_factory=list)

    def dialler(self, *allow_hosts: tuple[str, int]) -> Dialler:
        return Dialler(frozenset(allow_hosts), resolve=self.resolve, connect=self.connect)

    def fetcher(self, *allow_hosts: tuple[str, int], limits: FetchLimits = FetchLimits()) -> HttpsFetcher:
        return HttpsFetcher(
            self.dialler(*allow_hosts), limits, lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )

    async def resolve(self, host: str, port: int) -> list[str]:
        self.resolved.append(host)
        answers = self.names.get(host, [[PUBLIC]])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def connect(self, address: str, port: int, seconds: float) -> httpcore2.AsyncNetworkStream:
        self.dialled.append((address, port))
        if address in self.refuses:
            raise httpcore2.ConnectError
        wire = _Wire(self, address)
        self.open.append(wire)
        return wire


class _Wire(httpcore2.AsyncNetworkStream):
    """One connection: hears a request's head out, then gives the answer piece by piece."""

    def __init__(self, network: Network, address: str) -> None:
        self._network, self._address = network, address
        self._sni: str | None = None
        self._heard = b""
        self._pieces: Iterator[Piece] = iter(())

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's signature
    ) -> httpcore2.AsyncNetworkStream:
        self._sni = server_hostname
        return self

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._heard += buffer
        if buffer and self._heard.endswith(b"\r\n\r\n"):
            asked = self._parse()
            self._network.asked.append(asked)
            self._pieces = iter(self._network.answer(asked))

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        await anyio.lowlevel.checkpoint()
        piece = next(self._pieces, b"")
        if piece is None:
            await asyncio.Event().wait()
        if isinstance(piece, Exception):
            raise piece
        return piece or b""

    async def aclose(self) -> None:
        if self in self._network.open:
            self._network.open.remove(self)

    def get_extra_info(self, info: str) -> object:
        return self._network.peer(self._address) if info == "server_addr" else None

    def _parse(self) -> Asked:
        first, *rest = self._heard.decode("ascii").split("\r\n")
        method, target, _version = first.split(" ")
        assert method == "GET"
        headers = dict(line.split(": ", 1) for line in rest if line)
        return Asked(target, {k.lower(): v for k, v in headers.items()}, self._sni, self._address)
