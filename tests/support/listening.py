"""The HTTP server on a free loopback port, in the loop of the test."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.server.http import HttpServer, listen
from gpt_image_2_mcp.server.preferences import BY_PROFILE, Preferences
from gpt_image_2_mcp.server.terms import Address, Terms, allowed_hosts, allowed_origins
from gpt_image_2_mcp.service import ImageService

Era = Literal["auto", "legacy"]
TOKEN: Final = "tok-CANARY-0123456789abcdef"
LOOPBACK: Final = Address("127.0.0.1", 0)
TERMS: Final = Terms(
    Secret(TOKEN),
    allowed_hosts(LOOPBACK, (), token_given=True),
    allowed_origins(LOOPBACK, ()),
    body_limit=1 << 20,
    connections=50,
)
JSON_RPC: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
MODERN: Final = "2026-07-28"


@dataclass
class Listening:
    """A server that serves, and ways to speak to it."""

    server: HttpServer
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @asynccontextmanager
    async def http(self, token: str | None = TOKEN) -> AsyncIterator[httpx2.AsyncClient]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with httpx2.AsyncClient(
            headers=headers, base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30
        ) as http:
            yield http

    @asynccontextmanager
    async def client(self, era: Era, token: str | None = TOKEN) -> AsyncIterator[Client]:
        async with (
            self.http(token) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=era) as client,
        ):
            yield client


@asynccontextmanager
async def listening(
    service: ImageService, preferences: Preferences = BY_PROFILE, **terms: Any
) -> AsyncIterator[Listening]:
    """`service` over HTTP; leaving ends it as a signal would."""
    at = listen(LOOPBACK)
    server = HttpServer(service, preferences, replace(TERMS, **terms))
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve, at)
        try:
            yield Listening(server, port_of(at))
        finally:
            with anyio.CancelScope(shield=True):
                await server.leave()


def port_of(at: socket.socket) -> int:
    port: int = at.getsockname()[1]
    return port


def call(tool: str, *, era: Era = "auto", request: int = 1, **arguments: Any) -> dict[str, Any]:
    """The body of a tools/call; `meta` is what the latest era sends along with every request."""
    params: dict[str, Any] = {"name": tool, "arguments": arguments}
    if era == "auto":
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        }
    return {"jsonrpc": "2.0", "id": request, "method": "tools/call", "params": params}


async def headers_of(http: httpx2.AsyncClient, era: Era, tool: str) -> dict[str, str]:
    """What a POST of a tool call says beside its body; in the handshake era after a handshake."""
    if era == "auto":
        return JSON_RPC | {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool}
    hello = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
    greeted = await http.post("/mcp", json=body, headers=JSON_RPC)
    session = JSON_RPC | {
        "Mcp-Session-Id": greeted.headers["mcp-session-id"],
        "MCP-Protocol-Version": "2025-11-25",
    }
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await http.post("/mcp", json=done, headers=session)).status_code == 202
    return session


async def disconnecting(port: int, headers: dict[str, str], body: dict[str, Any], when: anyio.Event) -> None:
    """Send a request over a bare socket and close it, unanswered, when `when` is set."""
    data = json.dumps(body).encode()
    lines = {"Host": f"127.0.0.1:{port}", "Authorization": f"Bearer {TOKEN}", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(f"POST /mcp HTTP/1.1\r\n{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        await when.wait()


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    """Look again whenever the others have had their turn."""
    with anyio.fail_after(20):
        while not await happened():  # noqa: ASYNC110 - what is looked at sets no event
            await anyio.sleep(0.005)
