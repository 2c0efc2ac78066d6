from __future__ import annotations

from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import ImageNotFound, InvalidRequest, PictureChanged
from gpt_image_2_mcp.paging import PAGE
from gpt_image_2_mcp.requests import GenerateRequest
from gpt_image_2_mcp.service import ImageService
from tests.support.services import Bench, made
from tests.support.upstreams import tiny

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.recorder = tiny()
    return bench


async def generated(service: ImageService, n: int = 1) -> list[str]:
    """The ids of `n` pictures of one call."""
    request = GenerateRequest(prompt="a fox", size="1024x640", quality="low", n=n)
    return [image.id for image in made(await service.generate(request)).images]


async def test_a_results_ids_find_the_pictures_it_names(bench: Bench) -> None:
    service = bench.service()
    request = GenerateRequest(prompt="a fox", size="1024x640", quality="low", n=2)
    result = made(await service.generate(request))
    for file in result.images:
        found = await service.library.find(file.id)
        assert str(found.image.path) == file.file_path
        assert await service.library.read(found) == Path(file.file_path).read_bytes()
        assert found.title == "a fox"


async def test_ids_outlive_the_server_that_gave_them(bench: Bench) -> None:
    (id_,) = await generated(bench.service())
    await bench.close()
    assert (await bench.service().library.find(id_)).id == id_


async def test_an_id_that_was_never_given_is_not_found(bench: Bench) -> None:
    with pytest.raises(ImageNotFound, match="no picture with the id 0123456789ab-1"):
        await bench.service().library.find("0123456789ab-1")


@pytest.mark.parametrize("change", ["gone", "changed"])
async def test_a_file_that_is_not_what_was_saved_is_not_given_out(bench: Bench, change: str) -> None:
    service = bench.service()
    found = await service.library.find((await generated(service))[0])
    if change == "gone":
        found.image.path.unlink()
    else:
        found.image.path.write_bytes(b"something else")
    with pytest.raises(PictureChanged, match="no longer there" if change == "gone" else "not the one"):
        await service.library.read(found)


async def test_pages_hold_every_picture_once_the_newest_first(bench: Bench) -> None:
    service = bench.service()
    ids = []
    for _ in range(3):
        ids += await generated(service)
        bench.clock.pass_(seconds=1)
    page = await service.library.page()
    assert [image.id for image in page.images] == ids[::-1]
    assert page.following is None


async def test_a_full_page_says_where_the_next_begins(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt_image_2_mcp.library.PAGE", 2)
    service = bench.service()
    await generated(service, n=5)
    seen: list[str] = []
    cursor: str | None = None
    sizes = []
    while True:
        page = await service.library.page(cursor)
        seen += [image.id for image in page.images]
        sizes.append(len(page.images))
        cursor = page.following
        if cursor is None:
            break
    assert sizes == [2, 2, 1]
    assert len(set(seen)) == len(seen) == 5 < PAGE


@pytest.mark.parametrize(
    "cursor", ["x", "|", "2026-11-22|a", "2026-11-22T12:00:00|a", "2026-11-22T12:00:00+00:00|"]
)
async def test_a_made_up_cursor_is_refused(bench: Bench, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        await bench.service().library.page(cursor)


async def test_ids_complete_from_their_beginning(bench: Bench) -> None:
    service = bench.service()
    first, second = await generated(service, n=2)
    stem = first[:12]
    assert await service.library.ids("", 9) == (second, first)
    assert await service.library.ids(stem[:3].upper(), 9) == (second, first)
    assert await service.library.ids(f"{stem}-2", 9) == (second,)
    assert await service.library.ids("zz", 9) == ()
    assert await service.library.ids("", 1) == (second,)
