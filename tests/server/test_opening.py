from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.server.opening import Opening, opening, ready
from gpt_image_2_mcp.service import ImageService
from tests.support.services import Bench

pytestmark = pytest.mark.anyio


class Door:
    """Opens a service, and notes when; as often as `broken` says it does not."""

    def __init__(self, service: ImageService, broken: int = 0) -> None:
        self.service, self.broken = service, broken
        self.noted: list[str] = []
        self.opened = asyncio.Event()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[ImageService]:
        if self.broken:
            self.broken -= 1
            raise StorageError("the disk is full")
        self.noted.append("opened")
        self.opened.set()
        yield self.service
        self.noted.append("closed")


@pytest.fixture
def service(tmp_path: Path) -> ImageService:
    return Bench(tmp_path).service()


async def test_it_is_opened_by_the_first_who_needs_it_and_closed_at_the_end(service: ImageService) -> None:
    door = Door(service)
    async with opening(door) as given:
        assert door.noted == []
        assert [await given() for _ in range(2)] == [service, service]
        assert door.noted == ["opened"]
    assert door.noted == ["opened", "closed"]


async def test_who_needs_it_while_it_is_being_opened_waits_for_the_same(service: ImageService) -> None:
    door = Door(service)
    given = Opening(door)
    assert list(await asyncio.gather(given(), given())) == [service, service]
    assert door.noted == ["opened"]


async def test_it_is_opened_unasked_once_the_tools_were_listed(service: ImageService) -> None:
    door = Door(service)
    async with opening(door) as given:
        given.tools_listed()
        await door.opened.wait()


async def test_it_is_opened_unasked_for_a_client_that_knows_the_tools_from_before(
    service: ImageService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt_image_2_mcp.server.opening.UNLISTED_S", 0.0)
    door = Door(service)
    async with opening(door):
        await door.opened.wait()


async def test_what_keeps_it_closed_is_told_to_who_needs_it_and_the_next_one_tries_again(
    service: ImageService, caplog: pytest.LogCaptureFixture
) -> None:
    door = Door(service, broken=2)
    given = Opening(door)
    given.tools_listed()
    await given.open_unasked()
    assert "not ready: the disk is full" in caplog.text
    with pytest.raises(StorageError):
        await given()
    assert await given() is service


async def test_one_that_was_never_opened_is_closed_without_ado(service: ImageService) -> None:
    door = Door(service)
    async with opening(door) as given:
        await given.let_go()
    assert door.noted == []


async def test_one_that_is_ready_is_the_service_itself(service: ImageService) -> None:
    assert await ready(service)() is service
