"""Opens connections: a name is resolved once, and what is dialled is the address that was checked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from itertools import zip_longest
from typing import Final

import anyio
import httpcore2

from gpt_image_2_mcp.hosts import HTTPS_PORT
from gpt_image_2_mcp.sources.addresses import Address, Reach, reach_of

Stream = httpcore2.AsyncNetworkStream
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text, in the order in which they should be tried."""
Connect = Callable[[str, int, float], Awaitable[Stream]]
"""A connection to an address and port, made within so many seconds."""

_RESOLVE_S: Final = 5
_CONNECT_S: Final = 5
_MOST_TRIED: Final = 4
_NO_CONNECTION = (httpcore2.ConnectError, httpcore2.ConnectTimeout, OSError)


async def system_resolve(host: str, port: int) -> list[str]:
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [address for *_, (address, _port) in found]


async def tcp_connect(address: str, port: int, seconds: float) -> Stream:
    return await httpcore2.AnyIOBackend().connect_tcp(address, port, seconds)


class Dialler:
    """Connects to public addresses on port 443, and to the `allow_hosts`, host and port, inside as well.

    A refusal is the `ConnectError` of a connection that failed, without a word: nobody can tell one by it.
    """

    def __init__(
        self,
        allow_hosts: frozenset[tuple[str, int]] = frozenset(),
        *,
        resolve: Resolve = system_resolve,
        connect: Connect = tcp_connect,
    ) -> None:
        self._allow_hosts = allow_hosts
        self._resolve = resolve
        self._connect = connect

    def takes_port(self, host: str, port: int) -> bool:
        return port == HTTPS_PORT or (host, port) in self._allow_hosts

    def may_be_public(self, host: str, port: int) -> bool:
        """Whether a host looks as if others could find it too; only dialling would tell."""
        try:
            outside = reach_of(ip_address(host)) is Reach.PUBLIC
        except ValueError:
            outside = "." in host
        return outside and port == HTTPS_PORT and (host, port) not in self._allow_hosts

    @asynccontextmanager
    async def dialled(self, host: str, port: int) -> AsyncGenerator[Stream]:
        """A connection to `host`, which is canonical; closed at the end.

        Raises:
            httpcore2.ConnectError: it may not be dialled, or does not answer.
            OSError: its name has no address. TimeoutError: or none in time.
        """
        stream = await self._first_to_answer(await self._checked_addresses(host, port), port)
        try:
            yield stream
        finally:
            await stream.aclose()

    async def _checked_addresses(self, host: str, port: int) -> list[Address]:
        """One forbidden answer refuses the whole: such names are made to get past a check of some answers."""
        named = (host, port) in self._allow_hosts
        fit = {Reach.PUBLIC, Reach.INTERNAL} if named else {Reach.PUBLIC}
        addresses = await self._addresses(host, port) if self.takes_port(host, port) else []
        if not addresses or any(reach_of(address) not in fit for address in addresses):
            raise httpcore2.ConnectError
        return addresses

    async def _addresses(self, host: str, port: int) -> list[Address]:
        with suppress(ValueError):
            return [ip_address(host)]
        async with asyncio.timeout(_RESOLVE_S):
            return [ip_address(text) for text in await self._resolve(host, port)]

    async def _first_to_answer(self, addresses: Sequence[Address], port: int) -> Stream:
        tried = list(_families_by_turns(addresses))[:_MOST_TRIED]
        for address in tried:
            with suppress(*_NO_CONNECTION):
                stream = await self._connect(str(address), port, _CONNECT_S / len(tried))
                if _peer(stream) == address:
                    return stream
                await stream.aclose()
        raise httpcore2.ConnectError


def _families_by_turns(addresses: Sequence[Address]) -> Iterator[Address]:
    """As in RFC 8305: where one family leads nowhere, the second attempt is of the other."""
    first = [address for address in addresses if address.version == addresses[0].version]
    other = [address for address in addresses if address.version != addresses[0].version]
    for pair in zip_longest(first, other):
        yield from (address for address in pair if address is not None)


def _peer(stream: Stream) -> Address | None:
    """Whom the system says the connection is to."""
    try:
        return ip_address(stream.get_extra_info("server_addr")[0])
    except (TypeError, ValueError):
        return None
