"""What the settings say reaches the classes that do it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gpt_image_2_mcp.assembly import open_service
from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.requests import EditRequest
from gpt_image_2_mcp.settings import read_settings
from tests.support.authority import Authority
from tests.support.pictures import picture
from tests.support.sites import head

pytestmark = pytest.mark.anyio


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
        environ = {"GPT_IMAGE_2_SANDBOX": "1", "GPT_IMAGE_2_WORKER": "inline"}
        request = EditRequest(prompt="a hat", images=[url])
        async with open_service(read_settings(dict(environ))) as service:
            with pytest.raises(InputError, match="is not fetched"):
                await service.edit(request)

        allowed = {"GPT_IMAGE_2_ALLOW_HOSTS": url.removeprefix("https://").partition("/")[0]}
        async with open_service(read_settings(environ | allowed)) as service:
            result = await service.edit(request)

    assert result.status == "done"
