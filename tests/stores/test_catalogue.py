"""The catalogue: what the journal's commit entered, found by id and listed, the newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import ImageNotFound
from gpt_image_2_mcp.ports import Catalogue
from gpt_image_2_mcp.stores.catalogue import SqliteCatalogue
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.sqlite import Database
from tests.stores.samples import Clock, completed, database, drawing, film, image, operation

pytestmark = pytest.mark.anyio
FIRST = "3f9a1c0b7d2e" + "0" * 20
TWIN = "3f9a1c0b7d2e" + "1" * 20
OTHER = "3f9b" + "a" * 28


@pytest.fixture
async def opened(folder: Path) -> AsyncIterator[Database]:
    async with database(folder) as held:
        yield held


@pytest.fixture
def catalogue(opened: Database) -> Catalogue:
    return SqliteCatalogue(opened)


async def made(opened: Database, clock: Clock, id_: str, *numbers: int, **more: str) -> None:
    journal = SqliteJournal(opened, clock)
    await journal.reserve(operation(clock, id_, **more))
    await journal.move(id_, "reserved", "received")
    await journal.commit(id_, completed(*numbers))
    clock.forward(seconds=1)


async def test_a_picture_comes_back_as_it_was_entered(
    opened: Database, catalogue: Catalogue, clock: Clock
) -> None:
    now = clock()
    await made(opened, clock, FIRST, 7, 8, prompt="a \u72d0")
    found = await catalogue.find("3f9a1c0b7d2e-2")
    assert found.image == image(8)
    assert (found.id, found.full_id) == ("3f9a1c0b7d2e-2", f"{FIRST}-2")
    assert (found.operation_id, found.number, found.title, found.made_at) == (FIRST, 2, "a \u72d0", now)


async def test_drawings_and_films_are_listed_and_found_as_pictures_are(
    opened: Database, catalogue: Catalogue, clock: Clock
) -> None:
    journal = SqliteJournal(opened, clock)
    await journal.reserve(operation(clock, FIRST))
    await journal.move(FIRST, "reserved", "received")
    await journal.commit(FIRST, replace(completed(), images=(drawing(), film())))
    assert (await catalogue.find(f"{FIRST}-1")).image == drawing()
    assert {found.image.mime_type for found in await catalogue.recent(9)} == {"image/svg+xml", "image/gif"}
    found = (await catalogue.find(f"{FIRST}-2")).image
    assert found == replace(film(), animation=None), "how it moves stands with the operation alone"


@pytest.mark.parametrize(
    "said", ["3f9a1c0b7d2e-1", f"{FIRST}-1", FIRST, "3f9a", "3f9a1c", " 3F9A1C0B7D2E-1 ", "3f9a-1"]
)
async def test_an_unmistakable_beginning_is_enough(
    opened: Database, catalogue: Catalogue, clock: Clock, said: str
) -> None:
    await made(opened, clock, FIRST, 7)
    await made(opened, clock, OTHER, 8)
    assert (await catalogue.find(said)).image == image(7)


@pytest.mark.parametrize(
    "said",
    ["", "3f9", "3f9a1c0b7d2e-3", "ffff", "%", "____", "3f9a1c0b7d2e-", "3f9a1c0b7d2e-1-1", "\u0663f9a"],
)
async def test_what_is_no_id_is_not_found(
    opened: Database, catalogue: Catalogue, clock: Clock, said: str
) -> None:
    await made(opened, clock, FIRST, 7, 8)
    with pytest.raises(ImageNotFound, match="There is no picture with the id"):
        await catalogue.find(said)


async def test_a_call_of_several_pictures_is_asked_which(
    opened: Database, catalogue: Catalogue, clock: Clock
) -> None:
    await made(opened, clock, FIRST, 7, 8)
    with pytest.raises(ImageNotFound, match="2 pictures have ids that begin with 3f9a") as caught:
        await catalogue.find("3f9a")
    assert caught.value.hint == "Say which: 3f9a1c0b7d2e-1, 3f9a1c0b7d2e-2."


async def test_two_calls_with_one_short_id_are_told_apart_by_their_whole_ids(
    opened: Database, catalogue: Catalogue, clock: Clock
) -> None:
    await made(opened, clock, FIRST, 7)
    await made(opened, clock, TWIN, 8)
    with pytest.raises(ImageNotFound) as caught:
        await catalogue.find("3f9a1c0b7d2e-1")
    assert caught.value.hint == f"Say which: {FIRST}-1, {TWIN}-1."
    assert (await catalogue.find(f"{TWIN}-1")).image == image(8)


async def test_the_latest_pictures_come_first_and_go_on_where_a_page_ended(
    opened: Database, catalogue: Catalogue, clock: Clock
) -> None:
    await made(opened, clock, FIRST, 1)
    await made(opened, clock, OTHER, 2, 3)
    ids = ["3f9baaaaaaaa-2", "3f9baaaaaaaa-1", "3f9a1c0b7d2e-1"]
    assert [entry.id for entry in await catalogue.recent(9)] == ids
    walked: list[str] = []
    before: tuple[datetime, str] | None = None
    while page := await catalogue.recent(1, before):
        walked.append(page[0].id)
        before = (page[0].made_at, page[0].full_id)
    assert walked == ids


async def test_the_latest_pictures_can_be_asked_for_by_the_beginning_of_their_ids(
    opened: Database, catalogue: Catalogue, clock: Clock
) -> None:
    await made(opened, clock, FIRST, 1)
    await made(opened, clock, OTHER, 2)
    assert [entry.id for entry in await catalogue.recent(9, beginning="3f9a")] == ["3f9a1c0b7d2e-1"]
    assert await catalogue.recent(9, (clock() - timedelta(days=1), "~"), "3f9a") == ()


async def imported(opened: Database, clock: Clock, id_: str, origin: str) -> None:
    done = operation(clock, id_, action="import", state="done", prompt=origin, completed=completed(9))
    await SqliteJournal(opened, clock).record(done)
    clock.forward(seconds=1)


async def test_what_is_recorded_as_done_is_found_and_comes_back(
    opened: Database, catalogue: Catalogue, clock: Clock
) -> None:
    await imported(opened, clock, OTHER, "/home/me/cat.png")
    found = await catalogue.find("3f9b")
    assert (found.title, found.image) == ("Imported: cat.png", image(9))
    kept = await SqliteJournal(opened, clock).get(OTHER)
    assert (kept.action, kept.state, kept.completed) == ("import", "done", completed(9))
    assert await SqliteJournal(opened, clock).unfinished() == ()


async def test_the_latest_is_this_servers_and_no_import(
    opened: Database, catalogue: Catalogue, clock: Clock
) -> None:
    with pytest.raises(ImageNotFound, match="No picture was made yet"):
        await catalogue.latest()
    await made(opened, clock, FIRST, 1, 2)
    await made(opened, clock, TWIN, 3, server="other")
    await imported(opened, clock, OTHER, "/home/me/cat.png")
    assert (await SqliteCatalogue(opened, "5e4d3c2b").latest()).image == image(2)
    assert (await SqliteCatalogue(opened, "other").latest()).image == image(3)
    assert (await SqliteCatalogue(opened, "new").latest()).image == image(3)


async def test_an_empty_catalogue_is_no_error(catalogue: Catalogue) -> None:
    assert await catalogue.recent(9) == ()
