"""What the settings say reaches the classes that do it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gpt_image_2_mcp.assembly import open_roots, open_service
from gpt_image_2_mcp.errors import InputError, StorageError
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest
from gpt_image_2_mcp.results import ImageResult
from gpt_image_2_mcp.settings import read_settings
from tests.support.authority import Authority
from tests.support.pictures import picture
from tests.support.sites import head

pytestmark = pytest.mark.anyio
SANDBOX = {"GPT_IMAGE_2_SANDBOX": "1", "GPT_IMAGE_2_WORKER": "inline"}


async def serve_picture(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(head(200, "Connection: close") + picture())
    await writer.drain()
    writer.close()


async def test_a_named_host_may_be_edited_from_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    server = await asyncio.start_server(serve_picture, "127.0.0.1", 0, ssl=authority.serving("localhost"))
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/a.png"
        request = EditRequest(prompt="a hat", images=[url])
        async with open_service(read_settings(dict(SANDBOX))) as service:
            with pytest.raises(InputError, match="is not fetched"):
                await service.edit(request)

        allowed = {"GPT_IMAGE_2_ALLOW_HOSTS": url.removeprefix("https://").partition("/")[0]}
        async with open_service(read_settings(SANDBOX | allowed)) as service:
            result = await service.edit(request)

    assert result.status == "done"


def test_folders_that_are_set_are_roots_each_for_its_purpose(home: Path) -> None:
    environ = {"GPT_IMAGE_2_OUTPUT_DIR": "/srv/out", "GPT_IMAGE_2_INPUT_ROOTS": "/srv/photos"}
    reading, writing = open_roots(read_settings(environ))

    assert reading.find(Path("/srv/out/a.png"))
    assert writing.find(Path("/srv/out/a.png"))
    assert reading.find(Path("/srv/photos/a.png"))
    assert not writing.find(Path("/srv/photos/a.png"))
    assert reading.find(home / ".claude" / "image-cache" / "1.png")
    assert not reading.find(Path("/srv/a.png"))


async def test_pictures_go_below_the_roots_alone_unless_any_folder_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt_image_2_mcp.roots._temporary", lambda: iter(()))  # where the tests stand
    request = GenerateRequest(prompt="a hat", size="1024x640", output_dir=str(tmp_path / "elsewhere"))
    async with open_service(read_settings(dict(SANDBOX))) as service:
        with pytest.raises(StorageError, match="is no folder that pictures are written to") as caught:
            await service.generate(request)
    assert "~/.config/gpt-image-2-mcp/output, ~/Pictures" in caught.value.message
    assert not (tmp_path / "elsewhere").exists()

    async with open_service(read_settings(SANDBOX | {"GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR": "1"})) as service:
        result = await service.generate(request)
    assert isinstance(result, ImageResult)
    assert Path(result.images[0].file_path).parent == tmp_path / "elsewhere"
