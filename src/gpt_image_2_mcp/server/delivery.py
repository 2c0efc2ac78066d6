"""Turns a result or an error into what an MCP client is sent."""

from __future__ import annotations

from pathlib import Path

import pybase64
from anyio.to_thread import run_sync
from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent
from pydantic import BaseModel

from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.models import ImageFile, ImageResult
from gpt_image_2_mcp.redaction import redact
from gpt_image_2_mcp.server.summaries import summarize


async def deliver(result: BaseModel) -> CallToolResult:
    """Pictures inline, then the summary; the same facts as structured content."""
    pictures = await run_sync(_inline, result.images) if isinstance(result, ImageResult) else []
    content: list[ContentBlock] = [*pictures, TextContent(type="text", text=summarize(result))]
    return CallToolResult(content=content, structured_content=result.model_dump(mode="json"))


def _inline(images: list[ImageFile]) -> list[ImageContent]:
    blocks = []
    for image in images:
        try:
            data = Path(image.file_path).read_bytes()
        except OSError:  # moved away since it was saved: the path is still told
            continue
        text = pybase64.b64encode_as_string(data)
        blocks.append(ImageContent(type="image", data=text, mime_type=image.mime_type))
    return blocks


def deliver_error(error: ImageServerError) -> CallToolResult:
    """One sentence of what happened and one of what to do. No structured content: clients of the TypeScript
    SDK check it against the output schema, of errors too.
    """
    return CallToolResult(content=[TextContent(type="text", text=redact(str(error)))], is_error=True)
