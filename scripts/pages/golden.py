"""What clients get on the wire: the tool list, and the answers to a handshake."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.opening import Opening
from gpt_image_2_mcp.server.profiles import PROFILES
from gpt_image_2_mcp.server.tools import TOOLS


def golden_tools() -> str:
    """The tool list as clients get it."""
    listing = [spec.listing().model_dump(mode="json", by_alias=True, exclude_none=True) for spec in TOOLS]
    return json.dumps(listing, indent=2, ensure_ascii=False) + "\n"


LISTINGS: Final = ("tools/list", "prompts/list", "resources/templates/list", "ping")
"""What clients ask of a server that they do not use, and any service would answer alike."""


def greeting() -> str:
    """What the server answers before it is called, kept ready for as long as the SDK is not needed."""
    hello = {version: _answers(version, "a client")[0] for version in HANDSHAKE_PROTOCOL_VERSIONS}
    (hides, *_) = [row.clients[0] for row in PROFILES if row.hides_images and not row.since]
    shown, hidden = (_listings(client) for client in ("a client", hides))
    tools = {"shown": shown.pop("tools/list"), "hidden": hidden.pop("tools/list")}
    assert shown == hidden  # noqa: S101 - the rest does not depend on the client
    known = {"initialize": hello, "tools/list": tools} | shown
    return json.dumps(known, ensure_ascii=False, separators=(",", ":")) + "\n"


def _listings(client: str) -> dict[str, Any]:
    first, *others = [_answers(version, client)[1:] for version in HANDSHAKE_PROTOCOL_VERSIONS]
    assert all(other == first for other in others)  # noqa: S101 - one for all versions
    return dict(zip(LISTINGS, first, strict=True))


def _answers(version: str, client: str) -> list[Any]:
    """The results of initialize and of the listings on the wire."""
    who = {"name": client, "version": "1"}
    hello = {"protocolVersion": version, "capabilities": {}, "clientInfo": who}
    asked: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        *({"id": number, "method": method} for number, method in enumerate(LISTINGS, 2)),
    ]
    return anyio.run(_said, [{"jsonrpc": "2.0"} | each for each in asked])


def _nothing() -> NoReturn:
    raise RuntimeError("a handshake opens no service")


async def _said(asked: list[dict[str, Any]]) -> list[Any]:
    server = create_server(Opening(_nothing))
    said: list[Any] = []
    send, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](len(asked))
    outgoing, receive = anyio.create_memory_object_stream[SessionMessage](len(asked))
    async with anyio.create_task_group() as group, send, receive:
        group.start_soon(server.run, incoming, outgoing, server.create_initialization_options())
        for each in asked:
            await send.send(SessionMessage(jsonrpc_message_adapter.validate_python(each)))
            if "id" in each:
                answer = (await receive.receive()).message
                said.append(json.loads(answer.model_dump_json(by_alias=True, exclude_unset=True))["result"])
        group.cancel_scope.cancel()
    return said
