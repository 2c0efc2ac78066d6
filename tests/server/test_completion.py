from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, PromptReference, ResourceTemplateReference

from gpt_image_2_mcp.ports import Gateway
from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.server.resources import PARTIAL, PICTURE, PREVIEW
from tests.support.services import Bench
from tests.support.upstreams import tiny

pytestmark = pytest.mark.anyio
Era = Literal["auto", "legacy"]


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.recorder = tiny()
    return bench


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    mode: Era = request.param
    return mode


@asynccontextmanager
async def connected(bench: Bench, era: Era = "auto") -> AsyncIterator[Client]:
    async with Client(create_server(ready(bench.service())), mode=era) as client:
        yield client


async def generated(client: Client, n: int = 1) -> list[str]:
    """The ids of `n` pictures."""
    result = await client.call_tool("generate_image", {"prompt": "a fox", "n": n})
    return [image["id"] for image in result.structured_content["images"]]


async def completed(
    client: Client, ref: PromptReference | ResourceTemplateReference, name: str, value: str
) -> list[str]:
    answer = await client.complete(ref, {"name": name, "value": value})
    return answer.completion.values


def prompt(name: str) -> PromptReference:
    return PromptReference(type="ref/prompt", name=name)


def template(uri: str) -> ResourceTemplateReference:
    return ResourceTemplateReference(type="ref/resource", uri=uri)


async def test_words_of_a_prompt_are_completed_from_their_beginning(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        assert await completed(client, prompt("product_photo"), "quality", "") == [
            "low",
            "medium",
            "high",
            "auto",
        ]
        assert await completed(client, prompt("product_photo"), "quality", "H") == ["high"]
        assert await completed(client, prompt("product_photo"), "size", "1536") == ["1536x1024"]
        assert await completed(client, prompt("restore_photo"), "colours", "c") == ["colourise"]
        assert await completed(client, prompt("product_photo"), "product", "mu") == []


async def test_a_prompts_picture_is_completed_with_the_latest_ones(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        (older,) = await generated(client)
        bench.clock.pass_(seconds=1)
        (newer,) = await generated(client)
        ask = prompt("restore_photo")
        both = [f"image://{newer}", f"image://{older}"]
        names = ["latest", "clipboard", "latest:screenshot", "latest:download"]
        assert await completed(client, ask, "image", "") == [*names, *both]
        assert await completed(client, ask, "image", "latest:") == ["latest:screenshot", "latest:download"]
        assert await completed(client, ask, "image", "ima") == both
        assert await completed(client, ask, "image", f"image://{older[:5]}") == [f"image://{older}"]
        assert await completed(client, ask, "image", "/home/me") == []


@pytest.mark.parametrize("uri", [PICTURE, PREVIEW])
async def test_a_templates_id_is_completed_from_its_beginning(bench: Bench, era: Era, uri: str) -> None:
    async with connected(bench, era) as client:
        first, second = await generated(client, n=2)
        assert await completed(client, template(uri), "id", "") == [second, first]
        assert await completed(client, template(uri), "id", first) == [first]
        assert await completed(client, template(uri), "id", "zz") == []


async def test_no_more_values_come_than_the_protocol_allows(bench: Bench) -> None:
    async with connected(bench) as client:
        for _ in range(11):
            await generated(client, n=10)
        answer = await client.complete(template(PICTURE), {"name": "id", "value": ""})
        assert len(answer.completion.values) == 100
        assert answer.completion.has_more is True
        few = await client.complete(prompt("product_photo"), {"name": "quality", "value": ""})
        assert few.completion.has_more is False


async def test_a_partial_picture_is_completed_by_calls_under_way(bench: Bench) -> None:
    sent, answered = asyncio.Event(), asyncio.Event()

    def held(gateway: Gateway) -> Gateway:
        class Held:
            outline = gateway.outline
            complete = gateway.complete
            read = gateway.read
            tidy = gateway.tidy

            async def send(self, job: Any, spool: Any, tell: Any) -> Any:
                sent.set()
                await answered.wait()
                return await gateway.send(job, spool, tell)

        return Held()

    bench.gateway = held
    async with connected(bench) as client:
        call = asyncio.ensure_future(client.call_tool("generate_image", {"prompt": "a fox"}))
        await sent.wait()
        (operation,) = await completed(client, template(PARTIAL), "operation", "")
        assert await completed(client, template(PARTIAL), "operation", operation[:4]) == [operation]
        assert await completed(client, template(PARTIAL), "i", "") == ["0", "1", "2"]
        answered.set()
        result = await call
        assert result.structured_content["operation_id"] == operation
        assert await completed(client, template(PARTIAL), "operation", "") == []


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        (prompt("haiku"), "mood"),
        (prompt("product_photo"), "mood"),
        (template("image://{mood}"), "mood"),
        (template(PICTURE), "i"),
    ],
)
async def test_what_there_is_not_cannot_be_completed(
    bench: Bench, era: Era, ref: PromptReference | ResourceTemplateReference, name: str
) -> None:
    async with connected(bench, era) as client:
        with pytest.raises(MCPError) as caught:
            await completed(client, ref, name, "")
    assert caught.value.error.code == INVALID_PARAMS
