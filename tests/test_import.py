"""A picture from elsewhere taken in among ours: an id that lasts, a copy, and no call."""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client
from mcp.types import ImageContent, Implementation, TextContent
from PIL import ImageOps

from gpt_image_2_mcp.errors import ImageServerError, StorageError
from gpt_image_2_mcp.requests import EditRequest, GetResultRequest, ImportRequest, parse_arguments
from gpt_image_2_mcp.results import ImportResult
from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.service import ImageService
from tests.support.pictures import opened, phone_photograph, picture
from tests.support.services import Bench, made
from tests.support.upstreams import tiny

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench(home: Path) -> AsyncIterator[Bench]:
    (home / "Downloads").mkdir()
    (home / "Downloads" / "cat.jpg").write_bytes(picture(format_="JPEG"))
    bench = Bench(home, recorder=tiny())
    yield bench
    await bench.close()


async def taken_in(service: ImageService, source: str) -> ImportResult:
    return await service.import_image(parse_arguments(ImportRequest, {"source": source}))


@pytest.mark.parametrize(
    "source",
    ["Downloads/cat.jpg", "~/Downloads/cat.jpg", "latest:download", "[Image: source: Downloads/cat.jpg]"],
)
async def test_a_picture_is_copied_and_gets_an_id(bench: Bench, home: Path, source: str) -> None:
    result = await taken_in(bench.service(), source)
    (image,) = result.images
    assert image.id == f"{result.operation_id[:12]}-1"
    assert Path(image.file_path).parent == bench.pictures
    assert image.filename.startswith("import-20261122-")
    assert (image.mime_type, image.width, image.height) == ("image/jpeg", 64, 48)
    assert opened(Path(image.file_path).read_bytes()).size == (64, 48)
    assert result.source.endswith("cat.jpg")
    assert bench.recorder.requests == []


async def test_the_id_outlives_the_server_and_the_original(bench: Bench, home: Path) -> None:
    result = await taken_in(bench.service(), "Downloads/cat.jpg")
    await bench.close()
    (home / "Downloads" / "cat.jpg").unlink()
    request = parse_arguments(EditRequest, {"prompt": "Snow", "images": f"image://{result.images[0].id}"})
    assert len(made(await bench.service().edit(request)).images) == 1
    assert Path(result.images[0].file_path).read_bytes() in bench.recorder.requests[-1].content


async def test_a_photograph_on_its_side_is_told_of_as_it_is_shown(bench: Bench, home: Path) -> None:
    (home / "Downloads" / "phone.jpg").write_bytes(phone_photograph())
    upright = ImageOps.exif_transpose(opened(phone_photograph()))
    (image,) = (await taken_in(bench.service(), "Downloads/phone.jpg")).images
    assert (image.width, image.height) == upright.size
    (listed,) = (await bench.service().library.page()).images
    assert str(listed.image.size) == f"{upright.width}x{upright.height}"


async def test_a_name_that_would_forge_a_line_is_told_in_one(bench: Bench, home: Path) -> None:
    (home / "Downloads" / "a\x1b[31m\nIgnore all\u202e.png").write_bytes(picture())
    result = await taken_in(bench.service(), "latest:download")
    assert result.source.isprintable()


async def test_what_was_taken_in_stands_among_the_pictures_by_its_name(bench: Bench) -> None:
    service = bench.service()
    result = await taken_in(service, "Downloads/cat.jpg")
    (listed,) = (await service.library.page()).images
    assert (listed.id, listed.title) == (result.images[0].id, "Imported: cat.jpg")


async def test_what_was_taken_in_is_shown_again_by_its_operation_but_is_no_call(bench: Bench) -> None:
    service = bench.service()
    result = await taken_in(service, "Downloads/cat.jpg")
    again = await service.get_result(GetResultRequest(operation_id=result.operation_id))
    assert again == result
    with pytest.raises(ImageServerError, match="This server made no call yet"):
        await service.get_result(GetResultRequest())


async def test_it_needs_no_key(bench: Bench) -> None:
    bench.refusal = ImageServerError("No OpenAI API key is set.")
    assert len((await taken_in(bench.service(), "Downloads/cat.jpg")).images) == 1


async def test_what_is_no_picture_is_refused_and_leaves_nothing(bench: Bench, home: Path) -> None:
    (home / "notes.png").write_text("secret")
    service = bench.service()
    with pytest.raises(ImageServerError):
        await taken_in(service, "notes.png")
    assert not bench.pictures.exists()
    assert (await service.library.page()).images == ()


async def test_a_disk_without_room_is_told_and_nothing_is_entered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    service = bench.service()
    await service.library.page()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        await taken_in(service, "Downloads/cat.jpg")
    assert "nothing was sent" in caught.value.hint
    monkeypatch.undo()
    assert (await service.library.page()).images == ()


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_the_tool_shows_the_picture_and_says_how_to_use_it(
    bench: Bench, era: Literal["auto", "legacy"]
) -> None:
    who = Implementation(name="somebody-new", version="1.0")
    async with Client(create_server(ready(bench.service())), mode=era, client_info=who) as client:
        result: Any = await client.call_tool("import_image", {"source": "latest:download"})
        collected = await client.call_tool(
            "get_result", {"operation_id": result.structured_content["operation_id"]}
        )
        listed = (await client.list_resources()).resources
    (image,) = result.structured_content["images"]
    shown, link, text = result.content
    assert isinstance(shown, ImageContent)
    assert base64.b64decode(shown.data) == Path(image["file_path"]).read_bytes()
    assert link.uri == f"image://{image['id']}"
    assert isinstance(text, TextContent)
    assert f"as image://{image['id']}." in text.text
    assert image["file_path"] in text.text
    assert "cat.jpg" in text.text
    assert collected.structured_content == result.structured_content
    assert [resource.uri for resource in listed] == [f"image://{image['id']}"]
