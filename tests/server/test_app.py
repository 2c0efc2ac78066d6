from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client, MCPError
from mcp.types import (
    BlobResourceContents,
    ImageContent,
    Implementation,
    ListToolsResult,
    ResourceLink,
    TextContent,
)

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.redaction import redactor
from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.server.preferences import Preferences
from gpt_image_2_mcp.server.tools import TOOLS
from tests.support.pictures import opened
from tests.support.services import Bench
from tests.support.upstreams import CANARY, canned

pytestmark = pytest.mark.anyio
Era = Literal["auto", "legacy"]
SMALL: dict[str, Any] = {"size": "1024x640", "quality": "low"}


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    mode: Era = request.param
    return mode


@asynccontextmanager
async def connected(bench: Bench, era: Era = "auto") -> AsyncIterator[Client]:
    who = Implementation(name="somebody-new", version="1.0")
    async with Client(create_server(ready(bench.service())), mode=era, client_info=who) as client:
        yield client


def text_of(result: Any) -> str:
    block = result.content[-1]
    assert isinstance(block, TextContent)
    return block.text


async def test_the_server_says_who_it_is_in_both_eras(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[era]
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == [spec.name for spec in TOOLS]
        assert "start_edit_session" in (client.instructions or "")
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.version) == ("gpt-image-2-mcp", "0.1.0")


async def test_all_six_tools_answer_in_both_eras(bench: Bench, era: Era) -> None:
    # The client checks structured content against the output schema of each tool.
    async with connected(bench, era) as client:
        made = await client.call_tool("generate_image", {"prompt": "A red fox", **SMALL})
        edited = await client.call_tool("edit_image", {"prompt": "Snow", "images": ["sketch.png"], **SMALL})
        begun = await client.call_tool(
            "start_edit_session", {"prompt": "Orange", "images": ["sketch.png"], **SMALL}
        )
        session = {"session_id": begun.structured_content["session_id"]}
        turned = await client.call_tool("continue_edit_session", {"prompt": "A boat", **session})
        for result in (made, edited, begun, turned):
            image, link, text = result.content
            assert isinstance(image, ImageContent)
            assert isinstance(link, ResourceLink)
            path = result.structured_content["images"][0]["file_path"]
            (linked,) = (await client.read_resource(link.uri)).contents
            assert isinstance(linked, BlobResourceContents)
            assert linked.blob == image.data
            assert base64.b64decode(image.data) == Path(path).read_bytes()
            assert path in text_of(result)
            assert isinstance(text, TextContent)
        assert f"Session: {session['session_id']}, turn 2" in text_of(turned)
        assert turned.structured_content["turn"] == 2
        listed = await client.call_tool("list_edit_sessions", {})
        assert [s["session_id"] for s in listed.structured_content["sessions"]] == [session["session_id"]]
        ended = await client.call_tool("end_edit_session", session)
        assert ended.structured_content == {"ended": True, **session}


async def test_spending_is_told_in_both_eras(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        await client.call_tool("generate_image", {"prompt": "x", **SMALL})
        told = await client.call_tool("get_spending", {"by": "day"})
    periods = {period["period"]: period for period in told.structured_content["periods"]}
    assert list(periods) == ["session", "day", "month", "total"]
    assert periods["session"]["calls"] == 1
    assert [group["name"] for group in told.structured_content["groups"]] == ["2026-11-22"]
    assert "- This server run: 1 call(s), $0.00" in text_of(told)


def test_the_tool_that_tells_the_spending_is_small_and_read_only() -> None:
    (listed,) = (spec.listing() for spec in TOOLS if spec.name == "get_spending")
    assert len(listed.model_dump_json(by_alias=True, exclude_none=True)) < 480
    assert listed.annotations is not None
    assert listed.annotations.read_only_hint


async def test_each_picture_is_one_image_block_before_the_text(bench: Bench) -> None:
    async with connected(bench) as client:
        result = await client.call_tool("generate_image", {"prompt": "x", "n": "3", **SMALL})
    assert [block.type for block in result.content] == [*["image"] * 3, *["resource_link"] * 3, "text"]
    for block in result.content[:3]:
        assert isinstance(block, ImageContent)
        assert opened(base64.b64decode(block.data)).size == (1024, 640)


async def test_no_base64_stands_outside_image_blocks(bench: Bench) -> None:
    async with connected(bench) as client:
        result = await client.call_tool("generate_image", {"prompt": "x", **SMALL})
    start = result.content[0].data[:60]  # type: ignore[union-attr]
    assert start not in json.dumps(result.structured_content) + text_of(result)


async def test_the_text_alone_tells_every_fact(bench: Bench) -> None:
    async with connected(bench) as client:
        result = await client.call_tool("generate_image", {"prompt": "x", **SMALL})
    facts, text = result.structured_content, text_of(result)
    for fact in (facts["images"][0]["file_path"], "1024x640", "quality=low", "output=107", "$0.00"):
        assert fact in text


async def test_a_wrong_argument_is_an_error_result_that_says_how_to_go_on(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        result = await client.call_tool("generate_image", {"prompt": "x", "sise": "auto"})
    assert result.is_error
    assert result.structured_content is None
    assert text_of(result) == (
        "There is no argument `sise` (did you mean `size`?). "
        "Correct the argument and call again; nothing was sent."
    )


async def test_an_upstream_error_shows_neither_key_nor_traceback(bench: Bench, era: Era) -> None:
    message = f"Incorrect API key provided: {CANARY}."
    bench.recorder = canned(401, {"error": {"message": message, "code": "invalid_api_key"}})
    async with connected(bench, era) as client:
        result = await client.call_tool("generate_image", {"prompt": "x"})
    assert result.is_error
    assert text_of(result).startswith("OpenAI did not accept the API key. Check OPENAI_API_KEY")
    assert CANARY not in result.model_dump_json()


async def test_a_fault_of_ours_is_told_without_its_text(
    bench: Bench, era: Era, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(gateway: Any) -> Any:
        class Broken:
            async def send(self, job: Any, spool: Any, tell: Any) -> Any:
                raise ZeroDivisionError(f"{job.prompt} {CANARY}")

            read = gateway.read
            tidy = gateway.tidy

        return Broken()

    bench.gateway = broken
    caplog.set_level(logging.INFO)
    async with connected(bench, era) as client:
        result = await client.call_tool("generate_image", {"prompt": "a secret fox"})
    assert result.is_error
    sentence = "The server failed while the picture was being made (ZeroDivisionError)."
    assert text_of(result).startswith(sentence)
    assert "test_app.py" in caplog.text
    for private in (CANARY, "secret fox"):
        assert private not in result.model_dump_json() + caplog.text


async def test_a_fault_before_the_call_is_told_without_its_text(
    bench: Bench, era: Era, caplog: pytest.LogCaptureFixture
) -> None:
    bench.refuse_folder = ZeroDivisionError(f"a secret fox {CANARY}")  # type: ignore[assignment]
    async with connected(bench, era) as client:
        result = await client.call_tool("generate_image", {"prompt": "a secret fox"})
    assert text_of(result).startswith("generate_image failed inside the server (ZeroDivisionError).")
    assert "services.py" in caplog.text
    for private in (CANARY, "secret fox"):
        assert private not in result.model_dump_json() + caplog.text


async def test_an_unknown_tool_is_a_protocol_error(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        with pytest.raises(MCPError, match="Unknown tool make_coffee; there are generate_image"):
            await client.call_tool("make_coffee", {})


async def test_missing_arguments_are_no_crash(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        result = await client.call_tool("generate_image")
    assert text_of(result).startswith("`prompt` is required.")


async def test_an_errors_hint_stands_beside_its_sentence(bench: Bench) -> None:
    bench.refuse_folder = StorageError("/etc is a system folder.", hint="Choose another output_dir.")
    async with connected(bench) as client:
        result = await client.call_tool("generate_image", {"prompt": "x"})
    assert text_of(result) == "/etc is a system folder. Choose another output_dir."


async def test_an_error_is_told_without_the_key_whatever_it_looks_like(bench: Bench) -> None:
    bench.refuse_folder = StorageError("The folder of our-own-server-key is full.")
    server = create_server(ready(bench.service()), Preferences(redact=redactor("our-own-server-key")))
    async with Client(server) as client:
        result = await client.call_tool("generate_image", {"prompt": "x"})
    assert text_of(result) == "The folder of [redacted] is full."


def test_paid_tools_are_neither_read_only_nor_idempotent() -> None:
    hints = {spec.name: spec.annotations for spec in TOOLS}
    for name in ("generate_image", "edit_image", "start_edit_session", "continue_edit_session"):
        assert (hints[name].read_only_hint, hints[name].destructive_hint) == (False, False)
        # Left out, these are false and true by the protocol.
        assert (hints[name].idempotent_hint, hints[name].open_world_hint) == (None, None)
    assert hints["list_edit_sessions"].read_only_hint
    assert hints["end_edit_session"].idempotent_hint


@pytest.mark.parametrize("hides_images", [False, True])
def test_all_tools_together_stay_small_in_a_models_context(hides_images: bool) -> None:
    tools = [spec.listing(hides_images=hides_images) for spec in TOOLS]
    listing = ListToolsResult(tools=tools).model_dump_json(by_alias=True, exclude_none=True)
    assert len(listing.encode()) <= 16_000


async def test_a_client_on_another_machine_is_offered_what_is_taken_from_it(bench: Bench, era: Era) -> None:
    server = create_server(ready(bench.service()), Preferences(local_paths=False))
    async with Client(server, mode=era) as client:
        tools = (await client.list_tools()).tools
        offered = json.dumps([tool.input_schema for tool in tools]) + str(client.instructions)
    for word in ("output_dir", "clipboard", "latest:", "[Image", "file path"):
        assert word not in offered
    assert "data: URL" in offered
