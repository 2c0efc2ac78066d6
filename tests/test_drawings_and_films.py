"""What the sandbox draws and animates, from the answer to what the client is sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pybase64
import pytest
from mcp.types import ImageContent, TextContent

from gpt_image_2_mcp.execution import Execution
from gpt_image_2_mcp.gateways.images import ImagesGateway
from gpt_image_2_mcp.models import Completed, Operation, Placement
from gpt_image_2_mcp.outcomes import told
from gpt_image_2_mcp.requests import GenerateRequest, GetResultRequest, RenderOptions
from gpt_image_2_mcp.results import ImageResult
from gpt_image_2_mcp.roots import real_path
from gpt_image_2_mcp.sandbox import create_app
from gpt_image_2_mcp.server.delivery import Delivery
from gpt_image_2_mcp.stores.files import FileImageStore
from gpt_image_2_mcp.stores.leases import FileLeases
from gpt_image_2_mcp.stores.spool import SpoolFolder
from tests.support.outlets import NoLine, Notebook
from tests.support.services import Bench, made
from tests.support.upstreams import canned, upstream

pytestmark = pytest.mark.anyio
ID = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
MODEL = "gpt-image-2.6-flare"


async def drawn_by_the_sandbox(**options: Any) -> dict[str, Any]:
    """Its answer to a generation."""
    transport = httpx2.ASGITransport(create_app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://sandbox/v1") as client:
        body = {"prompt": "a fox", "model": MODEL, **options}
        answer = await client.post("/images/generations", json=body, headers={"Authorization": "Bearer x"})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def bytes_in(document: dict[str, Any]) -> bytes:
    return pybase64.b64decode(document["data"][0]["b64_json"])


def words(content: list[Any]) -> str:
    assert isinstance(content[-1], TextContent)
    return content[-1].text


# A drawing: as an answer that is found on disk


@dataclass
class Kept(Notebook):
    """Keeps what was completed, too."""

    async def commit(self, operation_id: str, completed: Completed) -> bool:
        operation = self.operations[operation_id]
        self.operations[operation_id] = replace(operation, state="done", completed=completed)
        return True


async def brought_to_its_end(folder: Path, document: dict[str, Any], options: RenderOptions) -> Operation:
    """The operation whose raw answer a dead process left."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    placement = Placement(folder / "pictures", "image", "20261122-150301", ID, root=real_path(folder))
    notebook = Kept(
        {ID: Operation(ID, "received", "generate", "a fox", options, placement, "", "", now, now)}
    )
    spools = SpoolFolder(folder / "spool")
    spools.probe()
    (folder / "spool" / f"{ID}.images.0.resp").write_text(json.dumps(document))
    gateway, leases = ImagesGateway(upstream(canned())), FileLeases(folder / "locks")
    await Execution(notebook, gateway, FileImageStore(), spools, leases, NoLine()).resume(ID)
    return await notebook.get(ID)


DRAWING = RenderOptions.model_construct(model=MODEL, output_format="svg", size="1024x1024")


async def result_of(folder: Path, document: dict[str, Any], options: RenderOptions = DRAWING) -> ImageResult:
    done = await brought_to_its_end(folder, document, options)
    assert done.completed is not None, done.failure
    return told(done, done.completed, sandbox=True, session_ended=False)


async def test_a_drawing_is_saved_as_it_came_and_described(tmp_path: Path) -> None:
    document = await drawn_by_the_sandbox(output_format="svg", size="1024x1024")
    result = await result_of(tmp_path, document)
    (image,) = result.images
    assert Path(image.file_path).read_bytes() == bytes_in(document)
    assert image.filename == "image-20261122-150301-0f1e2d.svg"
    assert (image.mime_type, image.width, image.height) == ("image/svg+xml", None, None)
    assert (result.applied.output_format, result.applied.size) == ("svg", "1024x1024")
    assert result.note is None

    delivered = await Delivery().deliver(result)
    assert [block.type for block in delivered.content] == ["text"]
    assert "SVG drawing" in words(delivered.content)
    assert "<svg" not in words(delivered.content)
    assert not (tmp_path / "spool" / f"{ID}.images.0.resp").exists()


async def test_what_its_author_took_is_told_beside_the_cost(tmp_path: Path) -> None:
    document = await drawn_by_the_sandbox(output_format="svg", svg={"model": "gpt-6-sketch"})
    result = await result_of(tmp_path, document)
    assert result.svg_usage is not None
    assert result.svg_usage.model_dump() == document["svg_usage"]
    total = document["svg_usage"]["total_tokens"]
    assert f"- SVG author gpt-6-sketch: {total} tokens, billed in addition" in words(
        (await Delivery().deliver(result)).content
    )


async def test_a_drawing_that_nobody_asked_for_is_kept_as_the_answer_it_is(tmp_path: Path) -> None:
    document = await drawn_by_the_sandbox(output_format="svg")
    done = await brought_to_its_end(tmp_path, document, RenderOptions(model=MODEL))
    assert (done.state, done.completed) == ("unknown", None)
    assert (tmp_path / "spool" / f"{ID}.images.0.resp").exists()


async def test_of_a_drawing_no_transparency_is_measured(tmp_path: Path) -> None:
    options = DRAWING.model_copy(update={"background": "transparent"})
    result = await result_of(tmp_path, await drawn_by_the_sandbox(output_format="svg"), options)
    assert result.note is None


async def test_pixels_instead_of_a_drawing_are_told_as_what_they_are(tmp_path: Path) -> None:
    result = await result_of(tmp_path, await drawn_by_the_sandbox(size="1024x640", quality="low"))
    assert (result.applied.output_format, result.images[0].mime_type) == ("png", "image/png")
    assert "Size 1024x1024 was asked for and 1024x640 was made." in (result.note or "")


# A film: through the whole service


async def test_a_film_is_saved_as_it_came_shown_by_its_first_frame_and_collected_again(bench: Bench) -> None:
    document = await drawn_by_the_sandbox(
        output_format="gif", size="512x512", frame_count=4, frame_duration_ms=150, quality="low"
    )
    bench.recorder = canned(body=document)
    service = bench.service()
    result = made(await service.generate(GenerateRequest(prompt="a fox", model=MODEL)))
    (image,) = result.images
    assert Path(image.file_path).read_bytes() == bytes_in(document)
    assert (image.filename[-4:], image.mime_type) == (".gif", "image/gif")
    assert (image.width, image.height, image.frames, image.duration_ms) == (512, 512, 4, 600)
    assert result.applied.output_format == "gif"
    again = made(await service.get_result(GetResultRequest(operation_id=result.operation_id)))
    assert again == result

    delivered = await Delivery().deliver(again)
    (block,) = [block for block in delivered.content if isinstance(block, ImageContent)]
    assert block.mime_type == "image/jpeg"
    assert "4 frames in 0.6 s" in words(delivered.content)
    assert "first frame of 4 shown here as a preview of 512x512" in words(delivered.content)
