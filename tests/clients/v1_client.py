"""Drives the server with langchain-mcp-adapters on mcp 1.x, in an environment of its own; prints what it saw.

python v1_client.py stdio COMMAND [ARGUMENT...]
python v1_client.py http URL TOKEN
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from langchain_mcp_adapters.callbacks import Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient


def connection(transport: str, target: str, *rest: str) -> dict[str, Any]:
    if transport == "stdio":
        environment = dict(os.environ)  # noqa: TID251 - the driver's own, for the server
        return {"transport": "stdio", "command": target, "args": list(rest), "env": environment}
    headers = {"Authorization": f"Bearer {rest[0]}"}
    return {"transport": "streamable_http", "url": target, "headers": headers}


def texts(content: list[dict[str, Any]]) -> str:
    return "\n".join(block["text"] for block in content if block["type"] == "text")


async def drive(*words: str) -> dict[str, Any]:
    progress: list[str | None] = []

    async def on_progress(_done: float, _total: float | None, message: str | None, _context: Any) -> None:
        progress.append(message)

    client = MultiServerMCPClient(
        {"images": connection(*words)}, callbacks=Callbacks(on_progress=on_progress)
    )
    tools = await client.get_tools()
    (generate,) = (tool for tool in tools if tool.name == "generate_image")

    async def call(**arguments: Any) -> Any:
        return await generate.ainvoke(
            {"type": "tool_call", "id": "1", "name": generate.name, "args": arguments}
        )

    made = await call(prompt="A red fox", size="1024x640", quality="low")
    refused = await call(prompt="A red fox", sise="auto")
    return {
        "tools": [tool.name for tool in tools],
        "images": [block["base64"] for block in made.content if block["type"] == "image"],
        "text": texts(made.content),
        "structured": made.artifact["structured_content"],
        "error": texts(refused.content) if refused.status == "error" else None,
        "progress": progress,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(drive(*sys.argv[1:]))))
