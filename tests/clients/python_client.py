"""Drives the server with the official Python client, in either era."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, Literal

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ImageContent, TextContent

Era = Literal["auto", "legacy"]


async def drive(
    era: Era, environment: dict[str, str], transport: str, target: str, *rest: str
) -> dict[str, Any]:
    """What the client saw, as the drivers of other clients print it."""
    told: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with AsyncExitStack() as stack:
        connection: Any
        if transport == "stdio":
            server = StdioServerParameters(command=target, args=list(rest), env=environment)
            connection = stdio_client(server)
        else:
            headers = {"Authorization": f"Bearer {rest[0]}"}
            http = httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60)
            connection = streamable_http_client(target, http_client=await stack.enter_async_context(http))
        client = await stack.enter_async_context(Client(connection, mode=era))
        tools = (await client.list_tools()).tools
        made = await client.call_tool(
            "generate_image",
            {"prompt": "A red fox", "size": "1024x640", "quality": "low"},
            progress_callback=on_progress,
        )
        refused = await client.call_tool("generate_image", {"prompt": "A red fox", "sise": "auto"})
    return {
        "tools": [tool.name for tool in tools],
        "images": [block.data for block in made.content if isinstance(block, ImageContent)],
        "text": "\n".join(block.text for block in made.content if isinstance(block, TextContent)),
        "structured": made.structured_content,
        "error": "\n".join(block.text for block in refused.content if isinstance(block, TextContent)),
        "progress": told,
    }
