"""What is listed without a service is what the server lists with one."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from mcp import Client

from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.server.shelf import first_page
from gpt_image_2_mcp.stores.latest import latest
from tests.support.services import Bench
from tests.support.upstreams import tiny

pytestmark = pytest.mark.anyio


async def both(bench: Bench, prompts: tuple[str, ...], **more: Any) -> tuple[Any, Any]:
    """The first page as the server lists it after these calls, and as it is listed without one."""
    bench.recorder = tiny()
    async with Client(create_server(ready(bench.service())), mode="legacy") as client:
        for prompt in prompts:
            asked = {"prompt": prompt, "size": "1024x640", "quality": "low", **more}
            assert not (await client.call_tool("generate_image", asked)).is_error
            bench.clock.pass_(minutes=5)
        listed = await client.list_resources()
    served = listed.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return served, first_page(partial(latest, bench.folder / "state"))


async def test_pictures_are_told_in_the_same_words(bench: Bench) -> None:
    served, known = await both(bench, ("A red fox\nin deep   snow, " + "far " * 40, "A \u202elighthouse"))
    assert known == served
    assert len(known["resources"]) == 2
    assert "nextCursor" not in known


async def test_a_first_page_ends_as_the_servers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for room in ("library", "server.shelf"):
        monkeypatch.setattr(f"gpt_image_2_mcp.{room}.PAGE", 2)
    served, known = await both(bench, ("A fox",), n=3)
    assert known == served
    assert known["nextCursor"]


async def test_where_nothing_was_made_the_list_is_empty(bench: Bench) -> None:
    served, known = await both(bench, ())
    assert known == served == {"resources": []}


def test_what_cannot_be_read_is_left_to_a_service() -> None:
    assert first_page(lambda _most: None) is None
