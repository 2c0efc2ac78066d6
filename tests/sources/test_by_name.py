"""Pictures by name, through the whole service: what is sent is what the name stands for."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import ImageNotFound, ImageServerError, InputError, PictureChanged
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest, parse_arguments
from gpt_image_2_mcp.results import ImageFile
from gpt_image_2_mcp.roots import Roots
from gpt_image_2_mcp.service import ImageService
from gpt_image_2_mcp.sources.clipboard import Clipboard
from tests.support.pictures import picture
from tests.support.services import Bench, made
from tests.support.upstreams import tiny

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench(home: Path) -> AsyncIterator[Bench]:
    bench = Bench(home, recorder=tiny())
    yield bench
    await bench.close()


async def generated(service: ImageService, n: int = 1) -> list[ImageFile]:
    return made(await service.generate(GenerateRequest(prompt="a fox", n=n))).images


async def edited(service: ImageService, *sources: str) -> list[ImageFile]:
    request = parse_arguments(EditRequest, {"prompt": "Snow", "images": list(sources)})
    return made(await service.edit(request)).images


def sent(bench: Bench) -> bytes:
    """The body of the last call."""
    return bench.recorder.requests[-1].content


def put(path: Path, color: str, changed: float = 1) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = picture(color=color)
    path.write_bytes(data)
    os.utime(path, (changed, changed))
    return data


@pytest.mark.parametrize(
    "form", ["image://{id}", "{id}", "image://{id}/preview", '"image://{id}"', "image://{id:.6}"]
)
async def test_an_earlier_result_is_edited_by_its_id(bench: Bench, form: str) -> None:
    service = bench.service()
    (image,) = await generated(service)
    source = form.replace("{id:.6}", image.id[:6]).replace("{id}", image.id)
    await edited(service, source)
    assert Path(image.file_path).read_bytes() in sent(bench)


async def test_a_picture_that_was_edited_since_is_not_sent(bench: Bench) -> None:
    service = bench.service()
    (image,) = await generated(service)
    Path(image.file_path).write_bytes(picture(color="red"))
    with pytest.raises(PictureChanged, match="is not the one that was saved"):
        await edited(service, f"image://{image.id}")
    assert len(bench.recorder.posts) == 1


async def test_an_id_that_was_never_given_is_refused(bench: Bench) -> None:
    with pytest.raises(ImageNotFound, match="There is no picture with the id 0123456789ab-1"):
        await edited(bench.service(), "image://0123456789ab-1")
    assert bench.recorder.posts == []


async def test_latest_is_the_newest_result_of_this_server(bench: Bench) -> None:
    ours, other = bench.service(), bench.service()
    await generated(ours)
    bench.clock.pass_(seconds=1)
    (newer,) = await edited(ours, "latest")
    bench.clock.pass_(seconds=1)
    await generated(other)
    bench.clock.pass_(seconds=1)
    Path(newer.file_path).write_bytes(picture(color="red"))
    with pytest.raises(PictureChanged, match=newer.filename):
        await edited(ours, "Latest")


async def test_latest_is_the_newest_of_all_where_this_server_made_none(bench: Bench) -> None:
    (image,) = await generated(bench.service())
    await edited(bench.service(), "latest")
    assert Path(image.file_path).read_bytes() in sent(bench)


async def test_without_any_result_there_is_no_latest(bench: Bench) -> None:
    with pytest.raises(ImageNotFound, match="No picture was made yet"):
        await edited(bench.service(), "latest")


async def test_the_newest_screenshot_is_taken_from_the_desktop_or_its_own_folder(
    bench: Bench, home: Path
) -> None:
    put(home / "Desktop" / "a.png", "red", 100)
    newest = put(home / "Pictures" / "Screenshots" / "b.png", "blue", 200)
    await edited(bench.service(), "latest:screenshot")
    assert newest in sent(bench)


async def test_the_newest_download_is_taken_from_the_downloads(bench: Bench, home: Path) -> None:
    newest = put(home / "Downloads" / "b.png", "blue", 100)
    put(home / "Desktop" / "a.png", "red", 200)
    await edited(bench.service(), "latest:download")
    assert newest in sent(bench)


async def test_the_newest_picture_of_a_folder_that_is_closed_is_not_read(bench: Bench, home: Path) -> None:
    put(home / "Downloads" / "b.png", "blue")
    bench.roots = Roots.of(home / "Desktop")
    with pytest.raises(InputError, match="is in no folder that pictures are read from"):
        await edited(bench.service(), "latest:download")
    assert bench.recorder.posts == []


async def test_where_there_is_no_screenshot_its_folders_are_named(bench: Bench, home: Path) -> None:
    with pytest.raises(InputError, match="There is no screenshot: no picture is in") as caught:
        await edited(bench.service(), "latest:screenshot")
    assert str(home / "Desktop") in caught.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="the fake tool is a script with a #! line")
async def test_the_picture_on_the_clipboard_is_sent(bench: Bench, tmp_path: Path) -> None:
    tool, copied = tmp_path / "pngpaste", tmp_path / "copied.png"
    copied.write_bytes(picture(color="purple"))
    tool.write_text(f'#!/bin/sh\ncat "{copied}"\n')
    tool.chmod(0o755)
    bench.clipboard = Clipboard({"PATH": f"{tmp_path}:/usr/bin:/bin"}, "darwin")
    await edited(bench.service(), "clipboard")
    assert copied.read_bytes() in sent(bench)


@pytest.mark.parametrize("name", ["latest", "clipboard", "latest:screenshot"])
async def test_a_file_that_is_called_like_a_name_is_read_by_its_path(
    bench: Bench, home: Path, name: str
) -> None:
    data = put(home / name, "green")
    await edited(bench.service(), f"./{name}")
    assert data in sent(bench)


async def test_names_and_paths_stand_side_by_side(bench: Bench, home: Path) -> None:
    service = bench.service()
    (image,) = await generated(service)
    pasted = put(home / "pasted.png", "red")
    await edited(service, f"[Image: source: {home / 'pasted.png'}]", "latest", f"image://{image.id}")
    assert pasted in sent(bench)
    assert sent(bench).count(Path(image.file_path).read_bytes()) == 2


async def test_what_is_no_name_says_so_as_before(bench: Bench) -> None:
    for source in ("latest:selfie", "clipboards", "image://a/b"):
        with pytest.raises(ImageServerError):
            await edited(bench.service(), source)
    assert bench.recorder.posts == []
