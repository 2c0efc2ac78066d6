"""The Files endpoints and the shelf behind them."""

from dataclasses import replace

import openai
import pytest

from gpt_image_2_mcp.sandbox import files as files_module
from gpt_image_2_mcp.sandbox.shelf import Shelf, StoredFile

from .clients import app_of, http_client, png, refusal, sdk_client


@pytest.mark.anyio
async def test_a_file_can_be_sent_seen_and_deleted() -> None:
    client = sdk_client()
    created = await client.files.create(
        file=("a.png", png(), "image/png"),
        purpose="vision",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (created.filename, created.bytes, created.purpose) == ("a.png", len(png()), "vision")
    assert created.expires_at == created.created_at + 3600
    assert await client.files.retrieve(created.id) == created
    assert (await client.files.delete(created.id)).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        await client.files.retrieve(created.id)
    with pytest.raises(openai.NotFoundError):
        await client.files.delete(created.id)


@pytest.mark.anyio
async def test_a_file_without_expiry_is_kept() -> None:
    created = await sdk_client().files.create(file=("a.txt", b"x", "text/plain"), purpose="user_data")
    assert created.expires_at is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fields", "with_file", "param"),
    [
        ({}, True, "purpose"),
        ({"purpose": "fun"}, True, "purpose"),
        ({"purpose": "vision"}, False, "file"),
        ({"purpose": "vision", "expires_after[seconds]": "60"}, True, "expires_after.seconds"),
    ],
)
async def test_a_bad_upload_is_refused(fields: dict[str, str], with_file: bool, param: str) -> None:
    files = {"file" if with_file else "other": ("a.png", png(), "image/png")}
    async with http_client() as http:
        error = await refusal(await http.post("files", data=fields, files=files), 400)
    assert error["param"] == param


@pytest.mark.anyio
async def test_a_file_larger_than_all_the_room_is_refused() -> None:
    app = app_of()
    app.state.sandbox = replace(app.state.sandbox, files=Shelf(2, 10, lambda: 0))
    async with http_client(app) as http:
        parts = {"file": ("a.png", png(), "image/png")}
        await refusal(await http.post("files", data={"purpose": "vision"}, files=parts), 413)


def _file(name: str, size: int = 1, expires_at: int | None = None) -> StoredFile:
    return StoredFile(name, bytes(size), expires_at=expires_at)


def test_a_full_shelf_lets_go_of_the_oldest_files() -> None:
    shelf = Shelf(3, 100, lambda: 0)
    for name in "abcd":
        shelf.put(_file(name))
    assert (shelf.get("a"), len(shelf)) == (None, 3)
    shelf.put(_file("e", size=99))
    assert shelf.get("c") is None
    assert shelf.get("d") is not None


def test_a_file_larger_than_the_shelf_is_the_only_one_on_it() -> None:
    shelf = Shelf(3, 10, lambda: 0)
    shelf.put(_file("a"))
    shelf.put(_file("b", size=20))
    assert len(shelf) == 1


def test_a_file_is_gone_when_it_has_expired() -> None:
    now = [0.0]
    shelf = Shelf(3, 100, lambda: now[0])
    shelf.put(_file("a", expires_at=10))
    assert shelf.get("a") is not None
    now[0] = 10.0
    assert not shelf.remove("a")
    assert len(shelf) == 0


def test_every_purpose_of_the_api_is_known() -> None:
    assert set(files_module.PURPOSES) == {"assistants", "batch", "fine-tune", "vision", "user_data", "evals"}
