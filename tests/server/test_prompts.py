from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS, TextContent

from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.server.prompt_texts import PROMPTS, PromptSpec
from tests.support.pictures import opened
from tests.support.services import Bench

pytestmark = pytest.mark.anyio
Era = Literal["auto", "legacy"]
NAMES = [spec.name for spec in PROMPTS]
# Each prompt without and with a picture, as far as it takes one.
FILLED_IN: list[tuple[str, dict[str, str]]] = [
    ("product_photo", {"product": "a red enamel mug"}),
    ("product_photo", {"product": "a red enamel mug", "image": "sketch.png", "setting": "oak table"}),
    ("infographic", {"title": "Tea", "points": "Boil; Steep 3 min\nPour"}),
    ("consistent_character", {"character": "a fox in a blue coat"}),
    ("consistent_character", {"character": "a fox", "image": "sketch.png", "scene": "at sea"}),
    ("logo_variations", {"name": "Fox & Co", "n": "2"}),
    ("logo_variations", {"name": "Fox & Co", "image": "sketch.png", "n": "3"}),
    ("restore_photo", {"image": "sketch.png", "damage": "a torn corner", "colours": "colourise"}),
]


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    mode: Era = request.param
    return mode


@asynccontextmanager
async def connected(bench: Bench, era: Era = "auto") -> AsyncIterator[Client]:
    async with Client(create_server(ready(bench.service())), mode=era) as client:
        yield client


async def message_of(client: Client, name: str, arguments: dict[str, str]) -> str:
    """The one message of a prompt."""
    (message,) = (await client.get_prompt(name, arguments)).messages
    assert message.role == "user"
    assert isinstance(message.content, TextContent)
    return message.content.text


def call_in(message: str) -> tuple[str, dict[str, Any]]:
    """The call that a message asks for."""
    tool = re.search(r"call the tool `(\w+)`", message)
    block = re.search(r"```json\n(.*?)\n```", message, re.DOTALL)
    assert tool is not None
    assert block is not None
    arguments: dict[str, Any] = json.loads(block[1])
    return tool[1], arguments


def spec_of(name: str) -> PromptSpec:
    return next(spec for spec in PROMPTS if spec.name == name)


def test_every_prompt_is_tried_with_and_without_the_picture_it_takes() -> None:
    tried = {(name, "image" in given) for name, given in FILLED_IN}
    for spec in PROMPTS:
        pictures = [argument for argument in spec.arguments if argument.picture]
        if not (pictures and pictures[0].required):
            assert (spec.name, False) in tried
        if pictures:
            assert (spec.name, True) in tried


@pytest.mark.parametrize(("name", "given"), FILLED_IN)
async def test_the_call_a_prompt_suggests_makes_a_picture(
    bench: Bench, name: str, given: dict[str, str]
) -> None:
    async with connected(bench) as client:
        message = await message_of(client, name, {**given, "quality": "low", "size": "1024x640"})
        tool, arguments = call_in(message)
        result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[-1]
    images = result.structured_content["images"]
    assert len(images) == int(given.get("n", "1"))
    assert opened(Path(images[0]["file_path"]).read_bytes()).size == (1024, 640)
    assert tool == ("edit_image" if "image" in given else "generate_image")


@pytest.mark.parametrize(("name", "given"), FILLED_IN)
async def test_what_a_person_filled_in_stands_in_the_call(
    bench: Bench, era: Era, name: str, given: dict[str, str]
) -> None:
    async with connected(bench, era) as client:
        _, arguments = call_in(await message_of(client, name, given))
    for blank, text in given.items():
        if blank == "image":
            assert arguments["images"] == [text]
        elif blank == "n":
            assert arguments["n"] == int(text)
        elif blank not in ("points", "colours"):
            assert text in arguments["prompt"]
    assert arguments["quality"] in ("medium", "high")
    assert not re.search(r"\n\n|[ \t]\n|None|\{|\}", arguments["prompt"])


async def test_the_texts_of_an_infographic_are_quoted_one_by_one(bench: Bench) -> None:
    async with connected(bench) as client:
        points = {"title": "Tea", "points": ' Boil;; Steep "3" min \n Pour; '}
        _, arguments = call_in(await message_of(client, "infographic", points))
    assert 'text: "Tea"\nBelow it 3 sections' in arguments["prompt"]
    assert '1. "Boil"\n2. "Steep "3" min"\n3. "Pour"\n' in arguments["prompt"]
    assert "verbatim" in arguments["prompt"]


async def test_prompts_are_listed_with_what_they_need(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        prompts = (await client.list_prompts()).prompts
    assert [prompt.name for prompt in prompts] == NAMES
    for prompt in prompts:
        assert prompt.title
        assert prompt.description
        assert any(argument.required for argument in prompt.arguments or [])
        assert all(argument.description for argument in prompt.arguments or [])


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("haiku", {}, "There is no prompt haiku. There are product_photo, infographic"),
        ("product_photo", {}, "product_photo needs product."),
        ("product_photo", {"product": "  "}, "product_photo needs product."),
        ("infographic", {"title": "T"}, "infographic needs points."),
        ("infographic", {"title": "T", "points": " ; "}, "`points` must say something."),
        (
            "product_photo",
            {"product": "mug", "colour": "red"},
            "product_photo has no argument colour. It has",
        ),
        ("product_photo", {"product": "mug", "size": "huge"}, "`size` must be `auto` or WIDTHxHEIGHT"),
        ("product_photo", {"product": "mug", "quality": "best"}, "`quality` must be one of"),
        ("logo_variations", {"name": "Fox", "n": "11"}, "`n` must be at most 10"),
        ("restore_photo", {"image": "a.png", "colours": "blue"}, "`colours` must be keep or colourise."),
    ],
)
async def test_what_cannot_be_filled_in_is_refused_with_the_reason(
    bench: Bench, era: Era, name: str, given: dict[str, str], message: str
) -> None:
    async with connected(bench, era) as client:
        with pytest.raises(MCPError) as caught:
            await client.get_prompt(name, given)
    assert caught.value.error.message.startswith(message)
    assert caught.value.error.code == INVALID_PARAMS


@pytest.mark.parametrize("spec", PROMPTS, ids=NAMES)
def test_the_words_offered_for_an_option_are_the_tools_own(spec: PromptSpec) -> None:
    from gpt_image_2_mcp.requests import GenerateRequest, parse_arguments

    for argument in spec.arguments:
        if argument.name in GenerateRequest.model_fields:
            for word in argument.words:
                parse_arguments(GenerateRequest, {"prompt": "x", argument.name: word})
