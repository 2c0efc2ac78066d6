"""Turns a result or an error into what an MCP client is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pybase64
from anyio.to_thread import run_sync
from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import BaseModel

from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.redaction import redact
from gpt_image_2_mcp.results import ImageFile, Pictured
from gpt_image_2_mcp.server.summaries import summarize

INLINE_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of base64 in one result: clients on the TypeScript SDK close the connection over 10 MiB (1.32.2)."""


async def deliver(result: BaseModel) -> CallToolResult:
    """Pictures inline, as many as fit, then the summary; the same facts as structured content."""
    pictures = result.images if isinstance(result, Pictured) else []
    blocks = await run_sync(_inline, pictures)
    text = summarize(result)
    if len(blocks) < len(pictures):
        text += (
            f"\n- Shown here: {len(blocks)} of {len(pictures)} pictures; the others are too large or gone."
        )
    content: list[ContentBlock] = [*blocks, TextContent(type="text", text=text)]
    return CallToolResult(content=content, structured_content=result.model_dump(mode="json"))


def _inline(images: list[ImageFile]) -> list[ImageContent]:
    blocks: list[ImageContent] = []
    left = INLINE_LIMIT
    for image in images:
        if image.size_bytes * 4 / 3 > left:
            continue
        try:
            text = pybase64.b64encode_as_string(Path(image.file_path).read_bytes())
        except OSError:  # moved away since it was saved: the path is still told
            continue
        left -= len(text)
        blocks.append(ImageContent(type="image", data=text, mime_type=image.mime_type))
    return blocks


def deliver_error(error: ImageServerError) -> CallToolResult:
    """One sentence of what happened and one of what to do. No structured content: clients of the TypeScript
    SDK check it against the output schema, of errors too.
    """
    return CallToolResult(content=[TextContent(type="text", text=redact(str(error)))], is_error=True)
