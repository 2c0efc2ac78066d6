"""Fetches the pictures that an answer names by their addresses, and keeps them beside it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pybase64
from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import InputError, InvalidAnswer, PictureAway, UpstreamError
from gpt_image_2_mcp.gateways._bodies import Body, read_body
from gpt_image_2_mcp.gateways._events import is_stream
from gpt_image_2_mcp.gateways._sink import Sink
from gpt_image_2_mcp.gateways._upstream import Upstream
from gpt_image_2_mcp.image_formats.headers import read_header
from gpt_image_2_mcp.models import Receipt
from gpt_image_2_mcp.ports import Fetch, Spool
from gpt_image_2_mcp.redaction import clean

FETCH_S: Final = 120.0
"""How long one picture may take."""
_HEADER_BYTES: Final = 256 * 1024


async def nowhere(_address: str) -> bytes:
    """Fetches from no other server."""
    raise InputError("Pictures are fetched from the API's own server alone.")


@dataclass(frozen=True, slots=True)
class Addressed:
    """Reads what stands at the API's own server with its key, and at others through `fetch`, without."""

    upstream: Upstream
    fetch: Fetch = nowhere

    async def complete(self, receipt: Receipt, spool: Spool) -> Receipt:
        """`receipt` with all its pictures; those that could be fetched stay where another is away."""
        fetched, away = dict(receipt.fetched), []
        for index, address in (await run_sync(self._missing, receipt)).items():
            try:
                data = await self._picture(address)
            except UpstreamError as error:
                away.append(error.message)
            else:
                fetched[index] = await run_sync(_keep, data, spool.fetched(index))
        if away:
            others = f" (and {len(away) - 1} more)" if len(away) > 1 else ""
            raise PictureAway(f"{away[0]}{others}")
        return replace(receipt, fetched=tuple(sorted(fetched.items())))

    def _missing(self, receipt: Receipt) -> dict[int, str]:
        """The addresses in an answer whose pictures have not been fetched, by their places in it."""
        path, fetched = receipt.bodies[0], dict(receipt.fetched)
        if is_stream(path):
            return {}
        with suppress(InvalidAnswer):  # reading it will say what is wrong
            found = addresses(read_body(path, torn=receipt.torn))
            return {index: address for index, address in found.items() if index not in fetched}
        return {}

    async def _picture(self, address: str) -> bytes:
        own = self.upstream.own_address(address)
        try:
            async with asyncio.timeout(FETCH_S):
                data = await (self.upstream.fetch(own) if own else self.fetch(address))
        except (InputError, UpstreamError, TimeoutError):
            data = None
        if data is None or read_header(data[:_HEADER_BYTES]) is None:
            where = _host_of(own or address)
            raise PictureAway(f"The picture was made, but it could not be read from its address on {where}.")
        return data


def _host_of(address: str) -> str:
    """Its path and query may be all that keeps others from the picture."""
    try:
        return clean(urlsplit(address).netloc.rpartition("@")[2], 100) or "no server"
    except ValueError:
        return "no server"


def addresses(body: Body) -> dict[int, str]:
    """The addresses of the pictures that do not stand in the answer themselves, by their places in it."""
    data = body.document.get("data")
    entries = [entry if isinstance(entry, dict) else {} for entry in data] if isinstance(data, list) else []
    told = ((index, entry.get("url")) for index, entry in enumerate(entries) if not body.pictured(entry))
    return {index: url for index, url in told if isinstance(url, str) and url}


def _keep(data: bytes, targets: tuple[Path, ...]) -> Path:
    """As base64 text, so that whoever reads an answer knows one form of picture."""
    sink = Sink(targets)
    try:
        sink.write(pybase64.b64encode(data))
        return sink.finish()
    finally:
        sink.close()
