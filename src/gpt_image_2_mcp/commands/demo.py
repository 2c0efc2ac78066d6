"""`demo`: the main job on the sandbox, through the real server over a real stdio connection."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
import click

from gpt_image_2_mcp.commands.running import fail
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.settings import child_environment

_LIGHTHOUSE = "A coastal lighthouse at dawn, photorealistic"


@dataclass(frozen=True, slots=True)
class _Step:
    """One call of a tool: its result in words and as it is structured."""

    tool: str
    arguments: dict[str, Any]
    text: str
    result: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.tool}: {self.arguments['prompt']}\n{self.text}\n"

    @property
    def document(self) -> dict[str, Any]:
        return {"tool": self.tool, "arguments": self.arguments, "result": self.result}


@click.command()
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, resolve_path=True),
    help="Folder to save in, instead of the project's own.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the structured results.")
def demo(*, output_dir: str | None, as_json: bool) -> None:
    """Make, edit and refine pictures on the sandbox: no key, no network, no cost."""
    try:
        anyio.run(_demo, output_dir, as_json)
    except ImageServerError as error:
        fail(error)


async def _demo(output_dir: str | None, as_json: bool) -> None:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    # What a person types is allowed by being set; as an argument it would have to lie below a root.
    chosen = {"GPT_IMAGE_2_OUTPUT_DIR": output_dir} if output_dir else {}
    environment = child_environment({"GPT_IMAGE_2_SANDBOX": "1", **chosen})
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "gpt_image_2_mcp", "serve"], env=environment
    )
    async with Client(stdio_client(command)) as client:
        await (_print_json if as_json else _print)(client)


async def _print(client: Any) -> None:
    click.echo(f"Connected over stdio, MCP {client.protocol_version}. Sandbox: nothing is sent or billed.\n")
    async for step in _walk_through(client):
        click.echo(step)
    click.echo("For real pictures, start gpt-image-2-mcp from an MCP client with OPENAI_API_KEY set.")


async def _print_json(client: Any) -> None:
    steps = [step.document async for step in _walk_through(client)]
    click.echo(json.dumps({"protocol_version": client.protocol_version, "steps": steps}, indent=2))


async def _walk_through(client: Any) -> AsyncIterator[_Step]:
    made = await _step(client, "generate_image", prompt=_LIGHTHOUSE, size="1536x1024", quality="high")
    yield made
    first = made.result["images"][0]["file_path"]
    yield await _step(
        client, "edit_image", prompt="Make it a winter evening", images=[first], size="1024x1024"
    )
    turn = await _step(client, "start_edit_session", prompt="Make the sky more orange", images=[first])
    yield turn
    session = turn.result["session_id"]
    yield await _step(
        client, "continue_edit_session", session_id=session, prompt="Add a small boat on the horizon"
    )
    await client.call_tool("end_edit_session", {"session_id": session})


async def _step(client: Any, tool: str, **arguments: Any) -> _Step:
    result = await client.call_tool(tool, arguments)
    text = result.content[-1].text
    if result.is_error:
        raise ImageServerError(f"{tool} failed: {text}")
    return _Step(tool, arguments, text, result.structured_content)
