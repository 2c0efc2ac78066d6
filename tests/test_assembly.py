"""What the settings say reaches the classes that do it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gpt_image_2_mcp.assembly import open_provider, open_roots, open_service
from gpt_image_2_mcp.errors import ConfigurationError, InputError, MissingKey, StorageError
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest
from gpt_image_2_mcp.results import ImageResult
from gpt_image_2_mcp.settings import read_settings
from tests.support.authority import Authority
from tests.support.pictures import picture
from tests.support.sites import head
from tests.support.upstreams import CANARY

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


@pytest.mark.parametrize(
    ("environ", "name", "needs_key"),
    [
        ({}, "openai", True),
        ({"OPENAI_BASE_URL": "https://res.openai.azure.com/openai/v1"}, "azure", True),
        ({"OPENAI_BASE_URL": "https://proxy.example/v1", "GPT_IMAGE_2_PROVIDER": "azure"}, "azure", True),
        ({"OPENAI_BASE_URL": "http://localhost:8080/v1"}, "compatible", True),
        (
            {"OPENAI_BASE_URL": "http://localhost:8080/v1", "GPT_IMAGE_2_PROVIDER": "localai"},
            "localai",
            False,
        ),
        ({"OPENAI_BASE_URL": "https://openrouter.ai/api/v1", **SANDBOX}, "openai", True),
    ],
)
def test_the_server_is_the_one_that_is_named_or_that_the_address_tells(
    environ: dict[str, str], name: str, needs_key: bool
) -> None:
    provider = open_provider(read_settings(dict(environ)))
    assert (provider.name, provider.needs_key) == (name, needs_key)


def test_what_is_set_of_a_server_goes_before_what_is_known_of_it() -> None:
    environ = {
        "OPENAI_BASE_URL": "https://res.openai.azure.com/openai/v1",
        "GPT_IMAGE_2_IMAGE_FIELD": "image",
        "GPT_IMAGE_2_DEPLOYMENTS": "my-images=gpt-image-2",
    }
    provider = open_provider(read_settings(environ))
    assert provider.image_field == "image"
    assert provider.name_of("gpt-image-2") == "my-images"


@dataclass
class Listening:
    """A server on this machine that answers a POST with an address on itself, and a GET with a picture."""

    heads: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(asked.lower())
        body = picture() if asked.startswith("GET") else b'{"data":[{"url":"/kept/a.png"}]}'
        writer.write(head(200, "Connection: close", f"Content-Length: {len(body)}") + body)
        await writer.drain()
        writer.close()


@pytest.mark.parametrize(
    ("provider", "key", "header"),
    [
        ("azure", CANARY, f"api-key: {CANARY}"),
        ("litellm", CANARY, f"authorization: bearer {CANARY}"),
        ("localai", CANARY, f"authorization: bearer {CANARY}"),
        ("localai", "", ""),
    ],
)
async def test_a_server_on_this_machine_is_asked_as_it_wants_to_be_with_a_key_or_without(
    provider: str, key: str, header: str
) -> None:
    listening = Listening()
    server = await asyncio.start_server(listening.answer, "127.0.0.1", 0)
    async with server:
        environ = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1",
            "OPENAI_API_KEY": key,
            "GPT_IMAGE_2_PROVIDER": provider,
            "GPT_IMAGE_2_WORKER": "inline",
        }
        async with open_service(read_settings(environ)) as service:
            result = await service.generate(GenerateRequest(prompt="a hat"))
    assert isinstance(result, ImageResult)
    assert Path(result.images[0].file_path).read_bytes() == picture()
    assert len(listening.heads) == 2
    for asked in listening.heads:
        assert header.lower() in asked
        assert ("authorization:" in asked) + ("api-key:" in asked) == bool(key)


async def test_a_server_that_has_no_responses_is_not_to_be_forced_to_them() -> None:
    environ = {"OPENAI_BASE_URL": "https://openrouter.ai/api/v1", "OPENAI_FORCE_RESPONSES_EDITS": "1"}
    with pytest.raises(
        ConfigurationError, match="OPENAI_FORCE_RESPONSES_EDITS is set, and OpenRouter has no"
    ):
        async with open_service(read_settings(environ)):
            pass


async def test_without_a_key_the_server_that_wants_one_is_named() -> None:
    environ = {"OPENAI_BASE_URL": "https://openrouter.ai/api/v1", "GPT_IMAGE_2_WORKER": "inline"}
    async with open_service(read_settings(environ)) as service:
        with pytest.raises(MissingKey, match="No OpenRouter API key is set"):
            await service.generate(GenerateRequest(prompt="a hat"))


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
