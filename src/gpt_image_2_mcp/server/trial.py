"""Starts a server as a client does, and has it list its tools."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import TextIO, cast

import anyio

from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.reports import Trial


async def try_out(
    command: str, args: Sequence[str], environment: Mapping[str, str], within_s: float
) -> Trial:
    """Start it, shake hands, list its tools, and close it again; whatever goes wrong is told."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as heard:
        try:
            with anyio.fail_after(within_s):
                return Trial(await _tools(command, args, environment, cast(TextIO, heard)))
        except TimeoutError:
            return Trial(said=f"It did not answer within {within_s:.0f} s.", is_slow=True)
        except Exception:  # noqa: BLE001 - a strange program may answer anything, or not be one
            heard.seek(0)
            last = heard.read()[-2000:].strip().rpartition("\n")[2]
            return Trial(said=clean(last, 300) or "It ended, or answered oddly.")


async def _tools(
    command: str, args: Sequence[str], environment: Mapping[str, str], heard: TextIO
) -> tuple[str, ...]:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    how = StdioServerParameters(command=command, args=list(args), env=dict(environment))
    # The handshake of most hosts; a server that is not ours may know no other.
    async with Client(stdio_client(how, errlog=heard), mode="legacy") as client:
        return tuple(tool.name for tool in (await client.list_tools()).tools)
