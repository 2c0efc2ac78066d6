"""The server over streamable HTTP, on a loopback port and in both eras."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import MCPError

from gpt_image_2_mcp.errors import ConfigurationError
from gpt_image_2_mcp.server.http import listen
from gpt_image_2_mcp.server.lines import MOST_PARTS, parts
from gpt_image_2_mcp.server.terms import Address
from gpt_image_2_mcp.server.tools import TOOLS
from gpt_image_2_mcp.service import ImageService
from tests.support.held import hold
from tests.support.listening import JSON_RPC, TOKEN, Era, call, disconnecting, headers_of, listening, until
from tests.support.pictures import noise, picture
from tests.support.services import Bench

pytestmark = pytest.mark.anyio
SMALL: dict[str, Any] = {"prompt": "A red fox", "size": "1024x640", "quality": "low"}


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    mode: Era = request.param
    return mode


@pytest.mark.parametrize("stateless", [False, True])
async def test_the_tools_answer_in_both_eras_with_and_without_sessions(
    bench: Bench, era: Era, stateless: bool
) -> None:
    async with listening(bench.service(), stateless=stateless) as at, at.client(era) as client:
        assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[era]
        assert [tool.name for tool in (await client.list_tools()).tools] == [spec.name for spec in TOOLS]
        made = await client.call_tool("generate_image", SMALL)
        wrong = await client.call_tool("generate_image", {"prompt": "x", "sise": "auto"})
    assert made.content[0].type == "image"
    assert Path(made.structured_content["images"][0]["file_path"]).is_file()
    assert wrong.is_error


@pytest.mark.parametrize("local_paths", [False, True])
async def test_a_model_is_told_where_paths_are_not_read(bench: Bench, era: Era, local_paths: bool) -> None:
    async with listening(bench.service(), local_paths=local_paths) as at, at.client(era) as client:
        told = client.instructions or ""
    assert "start_edit_session" in told
    assert ("reads no paths" in told) is not local_paths


# Who is let in


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, 'Bearer realm="gpt-image-2-mcp"'),
        ("", 'Bearer realm="gpt-image-2-mcp"'),
        ("Bearer", 'Bearer realm="gpt-image-2-mcp"'),
        ("Bearer wrong", 'Bearer realm="gpt-image-2-mcp", error="invalid_token"'),
        (f"Bearer {TOKEN}x", 'Bearer realm="gpt-image-2-mcp", error="invalid_token"'),
        (f"Bearer {TOKEN[:-1]}", 'Bearer realm="gpt-image-2-mcp", error="invalid_token"'),
        (f"Basic {TOKEN}", 'Bearer realm="gpt-image-2-mcp", error="invalid_token"'),
        (f"Bearer {TOKEN} {TOKEN}", 'Bearer realm="gpt-image-2-mcp", error="invalid_token"'),
        ("Bearer eyJhbGciOiJub25lIn0.e30.", 'Bearer realm="gpt-image-2-mcp", error="invalid_token"'),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
async def test_without_the_token_nobody_is_let_in(
    bench: Bench, method: str, header: str | None, challenge: str
) -> None:
    headers = JSON_RPC | ({"Authorization": header} if header is not None else {})
    async with listening(bench.service()) as at, at.http(token=None) as http:
        answer = await http.request(method, f"/mcp?access_token={TOKEN}", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, challenge)
    assert TOKEN not in answer.text


async def test_the_scheme_may_be_written_in_any_case(bench: Bench) -> None:
    async with listening(bench.service()) as at, at.http(token=None) as http:
        answer = await http.get("/mcp", headers={"Authorization": f"bEARER {TOKEN}"})
    assert answer.status_code == 400, "let in, and told that a session is missing"


async def test_a_client_shows_why_it_was_not_let_in(bench: Bench, era: Era) -> None:
    async with listening(bench.service()) as at:
        with pytest.raises((MCPError, ExceptionGroup)) as caught:
            async with at.client(era, token="wrong"):
                raise AssertionError("it was let in")
    errors = caught.value.exceptions if isinstance(caught.value, ExceptionGroup) else (caught.value,)
    assert "The bearer token is wrong. Set the header `Authorization: Bearer TOKEN`" in str(errors)


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ({"Host": "evil.example"}, 421, "This server is not called by that host name."),
        ({"Host": "127.0.0.1.evil.example:80"}, 421, "This server is not called by that host name."),
        ({"Host": "localhost"}, 200, ""),
        ({"Host": "localhost:9000"}, 200, ""),
        ({"Origin": "null"}, 403, "Web pages of that origin may not call this server."),
        ({"Origin": "http://evil.example"}, 403, "Web pages of that origin may not call this server."),
        ({"Origin": "http://localhost.evil.example"}, 403, "Web pages of that origin may not"),
        ({"Origin": "http://localhost:3000.evil.example"}, 403, "Web pages of that origin may not"),
        ({"Origin": "http://localhost:"}, 403, "Web pages of that origin may not call this server."),
        ({"Origin": "http://localhost:5173"}, 200, ""),
    ],
)
async def test_hosts_and_origins_are_checked_in_both_eras(
    bench: Bench, era: Era, headers: dict[str, str], status: int, sentence: str
) -> None:
    async with listening(bench.service()) as at, at.http() as http:
        own = await headers_of(http, era, "list_edit_sessions")
        answer = await http.post("/mcp", json=call("list_edit_sessions", era=era), headers=own | headers)
    assert answer.status_code == status
    if sentence:
        assert answer.json()["error"]["message"].startswith(sentence)


async def test_they_are_checked_where_the_sdk_by_itself_would_not(bench: Bench, era: Era) -> None:
    # 0.0.0.0 without explicit settings: any Host and Origin gets 200 (mcp 2.3.0).
    async with listening(bench.service(), hosts=("images.example.com",), origins=()) as at, at.http() as http:
        own = {"Host": "images.example.com"} | JSON_RPC
        own |= {"MCP-Protocol-Version": "2026-07-28" if era == "auto" else "2025-11-25"}
        assert (await http.post("/mcp", json={}, headers=own)).status_code == 400
        assert (await http.post("/mcp", json={}, headers=own | {"Host": "127.0.0.1"})).status_code == 421
        origin = {"Origin": "http://127.0.0.1"}
        assert (await http.post("/mcp", json={}, headers=own | origin)).status_code == 403


async def test_a_page_of_an_allowed_origin_may_ask_beforehand_without_the_token(bench: Bench) -> None:
    wish = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with (
        listening(bench.service(), origins=("https://chat.example.com",)) as at,
        at.http(token=None) as http,
    ):
        allowed = await http.options("/mcp", headers=wish | {"Origin": "https://chat.example.com"})
        refused = await http.options("/mcp", headers=wish | {"Origin": "https://chat.example.community"})
    assert allowed.headers["access-control-allow-origin"] == "https://chat.example.com"
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("path", ["/", "/mcp/x", "/.well-known/oauth-protected-resource", "/docs", "/sse"])
async def test_there_is_nothing_else_to_be_found(bench: Bench, path: str) -> None:
    async with listening(bench.service()) as at, at.http(token=None) as http:
        assert (await http.get(path)).status_code == 404


async def test_the_clients_token_reaches_neither_openai_nor_the_log_nor_the_disk(
    bench: Bench, era: Era, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening(bench.service()) as at, at.client(era) as client:
        await client.call_tool("generate_image", SMALL)
    (sent,) = bench.recorder.requests
    assert TOKEN not in str(sent.headers.raw) + sent.content.decode()
    ours = [
        r.getMessage() for r in caplog.records if not r.name.startswith(("mcp.client", "httpx2", "httpcore2"))
    ]
    assert ours
    assert TOKEN not in "\n".join(ours)
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]


async def test_what_belongs_to_nobody_looks_like_what_is_not_there(bench: Bench) -> None:
    async with listening(bench.service()) as at, at.http() as http:
        headers = await headers_of(http, "legacy", "get_result")
        guessed = headers | {"Mcp-Session-Id": "0" * 32}
        answer = await http.post("/mcp", json=call("list_edit_sessions", era="legacy"), headers=guessed)
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Session not found")


# How much


@pytest.mark.parametrize("declared", [True, False])
async def test_a_request_that_is_too_large_is_told_what_to_do(bench: Bench, era: Era, declared: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield bytes(1 << 16)

    async with listening(bench.service()) as at, at.http() as http:
        headers = await headers_of(http, era, "edit_image")
        body = bytes(2 << 20) if declared else pieces()
        answer = await http.post("/mcp", content=body, headers=headers)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"].startswith(
        "The request is larger than 1 MiB. Give large pictures"
    )


async def test_a_picture_within_the_limit_comes_in_by_data_url(bench: Bench, era: Era) -> None:
    url = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    async with listening(bench.service()) as at, at.client(era) as client:
        made = await client.call_tool("edit_image", {**SMALL, "images": [url]})
    assert not made.is_error


@pytest.mark.parametrize("marks", [b"[],", b"{},", b"0,", b"["])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_of_too_many_parts_is_refused_before_it_is_parsed(
    bench: Bench, declared: bool, marks: bytes
) -> None:
    async with listening(bench.service(), body_limit=16 << 20) as at, at.http() as http:
        headers = await headers_of(http, "auto", "edit_image")
        whole = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"images":[' + marks * 4_000_000

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(whole), 1 << 16):
                yield whole[start : start + (1 << 16)]

        answer = await http.post("/mcp", content=whole if declared else pieces(), headers=headers)
        healthy = await http.get("/healthz")
    assert (answer.status_code, healthy.status_code) == (413, 200)
    assert answer.json()["error"]["message"] == (
        "The request has more than 100,000 parts and was not read; nothing was sent. "
        "Give pictures as https or data: URLs, not as lists of bytes."
    )


async def test_parts_are_counted_up_to_what_is_allowed(bench: Bench, era: Era) -> None:
    body = call("list_edit_sessions", era=era, x=[])
    spare = MOST_PARTS - parts(json.dumps(body).encode())
    async with listening(bench.service()) as at, at.http() as http:
        headers = await headers_of(http, era, "list_edit_sessions")
        body["params"]["arguments"]["x"] = [0] * (spare + 1)
        just = await http.post("/mcp", json=body, headers=headers)
        body["params"]["arguments"]["x"] = [0] * (spare + 2)
        over = await http.post("/mcp", json=body, headers=headers)
    assert (just.status_code, over.status_code) == (200, 413)


async def test_a_large_picture_comes_in_by_data_url(bench: Bench, era: Era) -> None:
    url = f"data:image/png;base64,{base64.b64encode(noise(1600, 1400)).decode()}"
    assert len(url) > 8 << 20
    async with listening(bench.service(), body_limit=16 << 20) as at, at.client(era) as client:
        made = await client.call_tool("edit_image", {**SMALL, "images": [url]})
    assert not made.is_error


async def test_more_connections_than_allowed_are_told_so_and_later_served(bench: Bench) -> None:
    async with listening(bench.service(), connections=3) as at:
        idle = [await anyio.connect_tcp("127.0.0.1", at.port) for _ in range(2)]
        async with at.http() as http:
            assert (await http.get("/healthz")).status_code == 200
        idle += [await anyio.connect_tcp("127.0.0.1", at.port) for _ in range(2)]
        async with at.http() as http:
            assert (await http.get("/healthz")).status_code == 503
        for connection in idle:
            await connection.aclose()
        async with at.http() as http:

            async def served() -> bool:
                return (await http.get("/healthz")).status_code == 200

            await until(served)


# Health


async def test_health_and_readiness_need_no_token(bench: Bench) -> None:
    async with listening(bench.service()) as at, at.http(token=None) as http:
        healthy = await http.get("/healthz", headers={"Host": "10.0.0.7"})
        ready = await http.get("/readyz", headers={"Host": "10.0.0.7"})
    assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a_server_that_could_keep_no_answer_is_not_ready_and_tells_strangers_no_more(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    service = bench.service()
    bench.spool.parent.mkdir(exist_ok=True)
    bench.spool.touch()  # a file where the folder should be
    async with listening(service) as at, at.http(token=None) as http:
        ready = await http.get("/readyz")
        assert (await http.get("/healthz")).status_code == 200
    assert (ready.status_code, ready.json()) == (503, {"status": "not ready", "reason": "storage"})
    assert str(bench.folder) in caplog.text


# Calls that outlast their requests


async def test_a_call_goes_on_when_its_client_disconnects_and_is_joined_when_it_is_sent_again(
    bench: Bench, era: Era
) -> None:
    doors, service = hold(bench), bench.service()
    (door,) = doors
    async with listening(service) as at, at.http() as http, anyio.create_task_group() as group:
        headers, gone = await headers_of(http, era, "generate_image"), anyio.Event()
        body = call("generate_image", era=era, **SMALL)
        group.start_soon(disconnecting, at.port, headers, body, gone)
        await door.arrived.wait()
        gone.set()
        await until(waiting(service, 0))

        group.start_soon(then, until(waiting(service, 1)), door.go.set)
        again = call("generate_image", era=era, request=2, **SMALL)
        text = (await http.post("/mcp", json=again, headers=headers)).text
    assert len(door.jobs) == 1
    assert bench.recorder.posts == ["/v1/images/generations"]
    (name,) = bench.names()
    assert name in text


async def test_a_call_whose_client_is_gone_for_good_is_collected_by_another(bench: Bench, era: Era) -> None:
    doors, service = hold(bench), bench.service()
    (door,) = doors
    async with listening(service) as at, at.http() as http, anyio.create_task_group() as group:
        headers, gone = await headers_of(http, era, "generate_image"), anyio.Event()
        body = call("generate_image", era=era, **SMALL)
        group.start_soon(disconnecting, at.port, headers, body, gone)
        await door.arrived.wait()
        gone.set()
        await until(waiting(service, 0))
        door.go.set()
        async with at.client(era) as client:
            collected = await client.call_tool("get_result", {})
    assert collected.structured_content["status"] == "done"
    assert collected.content[0].type == "image"


async def then(first: Awaitable[object], do: Callable[[], object]) -> None:
    await first
    do()


def waiting(service: ImageService, number: int) -> Callable[[], Awaitable[bool]]:
    """Whether so many requests wait for a call."""

    async def look() -> bool:
        return sum(service._operations._waiting.values()) == number

    return look


# Streams


async def test_streams_are_kept_alive_and_not_held_back_by_proxies(
    bench: Bench, era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp.server._streamable_http_modern._SSE_PING_INTERVAL", 0.02)
    monkeypatch.setattr("sse_starlette.sse.EventSourceResponse.DEFAULT_PING_INTERVAL", 0.02)
    doors, service = hold(bench), bench.service()
    async with listening(service) as at, at.http() as http:
        headers = await headers_of(http, era, "generate_image")
        body = call("generate_image", era=era, **SMALL)
        async with http.stream("POST", "/mcp", json=body, headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["x-accel-buffering"] == "no"
            lines = answer.aiter_lines()
            assert (await anext(lines)).startswith(": ping")
            doors[0].go.set()
            data = [line async for line in lines if line.startswith("data: ")]
    assert json.loads(data[-1].removeprefix("data: "))["result"]["content"][0]["type"] == "image"


# Leaving


async def test_a_server_that_leaves_tells_those_who_wait_what_to_collect(bench: Bench, era: Era) -> None:
    doors, service = hold(bench), bench.service()
    async with listening(service) as at, at.http() as http, anyio.create_task_group() as group:

        async def leave() -> None:
            await doors[0].arrived.wait()
            await at.server.leave()

        headers = await headers_of(http, era, "generate_image")
        group.start_soon(leave)
        told = (await http.post("/mcp", json=call("generate_image", era=era, **SMALL), headers=headers)).text
        doors[0].go.set()
    (operation_id,) = re.findall(r'"structuredContent":{"status":"working","operation_id":"(\w+)"', told)
    (name,) = bench.names()
    assert operation_id[:6] in name, "what was told of is made before the server is gone"


async def test_a_stream_that_is_only_listened_to_ends_with_the_server(bench: Bench) -> None:
    async with listening(bench.service()) as at, at.http() as http:
        headers = await headers_of(http, "legacy", "x")
        async with http.stream("GET", "/mcp", headers=headers) as answer:
            assert answer.status_code == 200
            await at.server.leave()
            assert [line async for line in answer.aiter_lines()] == []


async def test_an_address_that_is_taken_is_refused_with_a_sentence() -> None:
    with listen(Address("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=rf"127.0.0.1:{port} cannot be listened on \(Address alr"
        ):
            listen(Address("127.0.0.1", port))
    with pytest.raises(ConfigurationError, match="cannot be listened on"):
        listen(Address("no-such-name.invalid", 0))
