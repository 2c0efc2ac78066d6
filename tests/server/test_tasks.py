"""Tasks as a client meets them: its own polling over the real client, in memory and over stdio."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.extension import ClientExtension
from mcp.client.stdio import stdio_client
from mcp.types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    CallToolResult,
    ImageContent,
    TextContent,
)
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY

from gpt_image_2_mcp.ports import Gateway
from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.server.preferences import Preferences
from gpt_image_2_mcp.server.tasks import EXTENSION
from tests.faults.upstream import RawUpstream
from tests.support.polling import Polling, ask
from tests.support.services import Bench
from tests.support.upstreams import CANARY, canned, tiny

pytestmark = pytest.mark.anyio


@dataclass
class Hold:
    """Keeps calls on their way to the API until they are let go."""

    sent: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, gateway: Gateway) -> Gateway:
        hold = self

        class Held:
            outline = gateway.outline
            complete = gateway.complete
            read = gateway.read
            tidy = gateway.tidy

            async def send(self, job: Any, spool: Any, tell: Any) -> Any:
                hold.sent.set()
                await hold.let_go.wait()
                return await gateway.send(job, spool, tell)

        return Held()


@pytest.fixture
def hold() -> Hold:
    return Hold()


@pytest.fixture
async def bench(tmp_path: Path, hold: Hold, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr("gpt_image_2_mcp.server.calls.TASK_WAIT_S", 0.0)
    bench = Bench(tmp_path, recorder=tiny(), gateway=hold)
    bench.before_close.append(hold.let_go.set)
    yield bench
    await bench.close()


@asynccontextmanager
async def connected(bench: Bench, *extensions: ClientExtension, **more: Any) -> AsyncIterator[Client]:
    async with Client(create_server(ready(bench.service())), extensions=extensions, **more) as client:
        yield client


@asynccontextmanager
async def under_way(bench: Bench, hold: Hold) -> AsyncIterator[tuple[Client, Polling, asyncio.Task[Any]]]:
    """A client with a call that became a task and is held on its way."""
    polling = Polling()
    async with connected(bench, polling) as client:
        call = asyncio.ensure_future(client.call_tool("generate_image", {"prompt": "a fox"}))
        begun = asyncio.ensure_future(polling.begun.wait())
        await asyncio.wait([call, begun], return_when=asyncio.FIRST_COMPLETED)
        assert not call.done(), call.exception()
        await hold.sent.wait()
        yield client, polling, call


async def test_a_call_that_takes_longer_is_a_task_whose_result_is_the_calls(bench: Bench, hold: Hold) -> None:
    async with under_way(bench, hold) as (client, polling, call):
        assert client.server_capabilities.extensions == {EXTENSION: {}}
        hold.let_go.set()
        result = await call
    image, text = result.content
    assert isinstance(image, ImageContent)
    assert isinstance(text, TextContent)
    path = Path(result.structured_content["images"][0]["file_path"])
    assert base64.b64decode(image.data) == path.read_bytes()
    assert str(path) in text.text
    (created,) = polling.created
    assert created.task_id == result.structured_content["operation_id"]
    assert len(bench.recorder.posts) == 1


async def test_a_task_says_how_it_stands_and_how_often_to_ask(bench: Bench, hold: Hold) -> None:
    async with under_way(bench, hold) as (client, polling, call):
        created = polling.created[0].model_dump(by_alias=True)
        bench.clock.pass_(seconds=12)
        task = await ask(client.session, "tasks/get", taskId=created["taskId"])
        hold.let_go.set()
        await call
    for state in (created, task):
        assert state["status"] == "working"
        assert state["createdAt"] == "2026-11-22T15:03:01.000Z"
        assert state["lastUpdatedAt"] == "2026-11-22T15:03:01.000Z"
        assert state["ttlMs"] is None
        assert 1000 <= state["pollIntervalMs"] <= 5000
        assert "result" not in state
    assert created["resultType"] == "task"
    assert task["resultType"] == "complete"
    assert task["statusMessage"].startswith("12 s of usually about ")


async def test_a_task_is_found_by_another_server_and_stays_completed(bench: Bench, hold: Hold) -> None:
    async with under_way(bench, hold) as (_, polling, call):
        hold.let_go.set()
        first = await call
    await bench.close()
    async with connected(bench, Polling()) as client:
        for _ in range(2):
            task = await ask(client.session, "tasks/get", taskId=polling.created[0].task_id)
            assert task["status"] == "completed"
            assert CallToolResult.model_validate(task["result"]).content == first.content
            assert task["resultType"] == "complete"


async def test_a_call_that_fails_is_a_completed_task_with_the_error_in_its_result(
    bench: Bench, hold: Hold
) -> None:
    bench.recorder = canned(401, {"error": {"message": "no", "code": "invalid_api_key"}})
    async with under_way(bench, hold) as (_, polling, call):
        hold.let_go.set()
        result = await call
    assert result.is_error
    assert result.content[0].text.startswith("OpenAI did not accept the API key.")
    assert polling.seen[-1]["status"] == "completed"


async def test_cancelling_a_task_leaves_the_paid_call_to_go_on_and_says_so(bench: Bench, hold: Hold) -> None:
    async with under_way(bench, hold) as (client, polling, call):
        id_ = polling.created[0].task_id
        assert (await ask(client.session, "tasks/cancel", taskId=id_))["resultType"] == "complete"
        task = await ask(client.session, "tasks/get", taskId=id_)
        assert task["status"] == "working"
        assert "may be billed, so it goes on; its picture is kept" in task["statusMessage"]
        hold.let_go.set()
        result = await call
        assert Path(result.structured_content["images"][0]["file_path"]).exists()
        await ask(client.session, "tasks/cancel", taskId=id_)
        assert (await ask(client.session, "tasks/get", taskId=id_))["status"] == "completed"


async def test_answers_to_questions_that_no_task_asked_are_taken_and_forgotten(
    bench: Bench, hold: Hold
) -> None:
    async with under_way(bench, hold) as (client, polling, call):
        id_ = polling.created[0].task_id
        done = await ask(
            client.session, "tasks/update", taskId=id_, inputResponses={"x": {"action": "accept"}}
        )
        assert done["resultType"] == "complete"
        hold.let_go.set()
        await call


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update"])
async def test_an_unknown_task_is_a_wrong_argument(bench: Bench, method: str) -> None:
    async with connected(bench, Polling()) as client:
        with pytest.raises(MCPError, match="There is no task with that id") as caught:
            await ask(client.session, method, taskId="0" * 32, inputResponses={})
    assert caught.value.error.code == INVALID_PARAMS


@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update"])
async def test_a_client_that_did_not_declare_tasks_is_told_what_they_need(bench: Bench, method: str) -> None:
    async with connected(bench) as client:
        with pytest.raises(MCPError) as caught:
            await ask(client.session, method, taskId="0" * 32, inputResponses={})
    assert caught.value.error.code == MISSING_REQUIRED_CLIENT_CAPABILITY
    assert caught.value.error.data == {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}


async def test_a_client_of_the_handshake_knows_no_tasks(bench: Bench, hold: Hold) -> None:
    hold.let_go.set()
    async with connected(bench, Polling(), mode="legacy") as client:
        result = await client.call_tool("generate_image", {"prompt": "a fox"})
        assert len(result.structured_content["images"]) == 1
        with pytest.raises(MCPError) as caught:
            await ask(client.session, "tasks/get", taskId=result.structured_content["operation_id"])
    assert caught.value.error.code == METHOD_NOT_FOUND


async def test_a_client_that_did_not_declare_tasks_gets_the_picture(bench: Bench, hold: Hold) -> None:
    hold.let_go.set()
    async with connected(bench) as client:
        result = await client.call_tool("generate_image", {"prompt": "a fox"})
    assert len(result.structured_content["images"]) == 1


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("list_edit_sessions", {}), ("generate_image", {"prompt": "x", "size": "1x1"}), ("get_result", {})],
)
async def test_what_is_free_or_refused_is_answered_at_once(
    bench: Bench, tool: str, arguments: dict[str, Any]
) -> None:
    polling = Polling()
    async with connected(bench, polling) as client:
        await client.call_tool(tool, arguments)
    assert polling.created == []


async def test_a_call_that_ends_soon_needs_no_polling(
    bench: Bench, hold: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt_image_2_mcp.server.calls.TASK_WAIT_S", 60.0)
    hold.let_go.set()
    polling = Polling()
    async with connected(bench, polling) as client:
        result = await client.call_tool("generate_image", {"prompt": "a fox"})
    assert len(result.structured_content["images"]) == 1
    assert polling.created == []


async def test_get_result_still_collects_what_is_a_task_too(bench: Bench, hold: Hold) -> None:
    async with under_way(bench, hold) as (client, polling, call):
        id_ = polling.created[0].task_id
        working = await client.call_tool("get_result", {"operation_id": id_, "wait_seconds": 0})
        assert working.structured_content["status"] == "working"
        hold.let_go.set()
        await call
        collected = await client.call_tool("get_result", {"operation_id": id_})
    assert collected.structured_content["status"] == "done"


async def test_a_task_goes_over_a_real_pipe(home: Path) -> None:
    command = [sys.executable, "-m", "gpt_image_2_mcp", "serve"]
    polling = Polling()
    with RawUpstream() as api:
        settings = {"OPENAI_API_KEY": CANARY, "OPENAI_BASE_URL": api.base_url, "HOME": str(home)}
        server = StdioServerParameters(
            command=command[0], args=command[1:], env={**settings, "GPT_IMAGE_2_WAIT_SECONDS": "1"}, cwd=home
        )
        async with Client(stdio_client(server), extensions=[polling]) as client:
            result = await client.call_tool("generate_image", {"prompt": "A fox [fault:delay=3]"})
    assert len(result.structured_content["images"]) == 1
    assert len(polling.created) == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_who_collects_a_call_is_shown_its_pictures_as_the_call_asked(
    bench: Bench, hold: Hold, mode: Literal["auto", "legacy"]
) -> None:
    preferences = Preferences(wait_s=0.0)
    async with Client(create_server(ready(bench.service()), preferences), mode=mode) as client:
        working = await client.call_tool("generate_image", {"prompt": "a fox", "inline": "none"})
        assert working.structured_content["status"] == "working"
        hold.let_go.set()
        operation = {"operation_id": working.structured_content["operation_id"]}
        while (result := await client.call_tool("get_result", operation)).structured_content[
            "status"
        ] == "working":
            pass
        again = await client.call_tool("get_result", {**operation, "inline": "full"})
    assert not any(isinstance(block, ImageContent) for block in result.content)
    assert any(isinstance(block, ImageContent) for block in again.content)


async def test_a_task_shows_its_pictures_as_its_call_asked(bench: Bench, hold: Hold) -> None:
    hold.let_go.set()
    async with connected(bench, Polling()) as client:
        result = await client.call_tool("generate_image", {"prompt": "a fox", "inline": "none"})
    assert not any(isinstance(block, ImageContent) for block in result.content)
