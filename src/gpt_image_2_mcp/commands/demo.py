"""`demo`: the main job on the sandbox, through the real server over a real stdio connection."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import click

from gpt_image_2_mcp.commands.running import fail
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.settings import child_environment

_LIGHTHOUSE = "A coastal lighthouse at dawn, photorealistic"


@click.command()
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, resolve_path=True),
    help="Folder to save in, instead of the project's own.",
)
def demo(output_dir: str | None) -> None:
    """Make, edit and refine pictures on the sandbox: no key, no network, no cost."""
    try:
        anyio.run(_demo, output_dir)
    except ImageServerError as error:
        fail(error)


async def _demo(output_dir: str | None) -> None:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    # What a person types is allowed by being set; as an argument it would have to lie below a root.
    chosen = {"GPT_IMAGE_2_OUTPUT_DIR": output_dir} if output_dir else {}
    environment = child_environment({"GPT_IMAGE_2_SANDBOX": "1", **chosen})
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "gpt_image_2_mcp", "serve"], env=environment
    )
    async with Client(stdio_client(command)) as client:
        await _walk_through(client)


async def _walk_through(client: Any) -> None:
    click.echo(f"Connected over stdio, MCP {client.protocol_version}. Sandbox: nothing is sent or billed.\n")
    made = await _step(client, "generate_image", prompt=_LIGHTHOUSE, size="1536x1024", quality="high")
    first = made["images"][0]["file_path"]
    await _step(client, "edit_image", prompt="Make it a winter evening", images=[first], size="1024x1024")
    turn = await _step(client, "start_edit_session", prompt="Make the sky more orange", images=[first])
    session = turn["session_id"]
    await _step(client, "continue_edit_session", session_id=session, prompt="Add a small boat on the horizon")
    await client.call_tool("end_edit_session", {"session_id": session})
    click.echo("For real pictures, start gpt-image-2-mcp from an MCP client with OPENAI_API_KEY set.")


async def _step(client: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    text = result.content[-1].text
    if result.is_error:
        raise ImageServerError(f"{tool} failed: {text}")
    click.echo(f"{tool}: {arguments['prompt']}\n{text}\n")
    structured: dict[str, Any] = result.structured_content
    return structured
