"""The server as a client starts it: a real process on real pipes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from gpt_image_2_mcp.server.tools import TOOLS
from tests.support.pictures import opened, picture
from tests.support.upstreams import CANARY

SMALL: dict[str, Any] = {"size": "1024x640", "quality": "low"}
COMMAND = [sys.executable, "-m", "gpt_image_2_mcp"]


def environment(home: Path, **changes: str) -> dict[str, str]:
    kept = {"PATH": os.environ["PATH"], "HOME": str(home)}  # noqa: TID251 - to start a child
    # coverage.py measures children by these, where it is at work
    kept |= {k: v for k, v in os.environ.items() if k.startswith("COVERAGE_")}  # noqa: TID251
    return kept | {"GPT_IMAGE_2_SANDBOX": "1"} | changes


@pytest.mark.anyio
@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_all_six_tools_answer_over_stdio_in_both_eras(
    home: Path, era: Literal["auto", "legacy"]
) -> None:
    (home / "sketch.png").write_bytes(picture())
    server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environment(home), cwd=home)
    with (home / "stderr").open("w") as log:
        async with Client(stdio_client(server, errlog=log), mode=era) as client:
            made = await client.call_tool("generate_image", {"prompt": "A red fox", **SMALL})
            first = made.structured_content["images"][0]["file_path"]
            await client.call_tool("edit_image", {"prompt": "Snow", "images": first, **SMALL})
            begun = await client.call_tool(
                "start_edit_session", {"prompt": "Orange", "images": ["./sketch.png"], **SMALL}
            )
            session = {"session_id": begun.structured_content["session_id"]}
            await client.call_tool("continue_edit_session", {"prompt": "A boat", **session})
            listed = await client.call_tool("list_edit_sessions", {})
            ended = await client.call_tool("end_edit_session", session)
    assert listed.structured_content["sessions"][0]["turns"] == 2
    assert ended.structured_content["ended"]
    folder = Path(first).parent
    assert folder.parent == home / ".config" / "gpt-image-2-mcp" / "output"
    assert folder.name.startswith("home-")
    kinds = sorted(path.name.split("-")[0] for path in folder.iterdir())
    assert kinds == ["edit", "image", "session", "session"]
    for path in folder.iterdir():
        assert opened(path.read_bytes()).size == (1024, 640)


@pytest.mark.anyio
async def test_a_session_outlives_the_server(home: Path) -> None:
    (home / "sketch.png").write_bytes(picture())
    server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], env=environment(home), cwd=home)
    async with Client(stdio_client(server)) as client:
        begun = await client.call_tool(
            "start_edit_session", {"prompt": "Orange", "images": ["sketch.png"], **SMALL}
        )
    async with Client(stdio_client(server)) as client:
        session = {"session_id": begun.structured_content["session_id"]}
        turned = await client.call_tool("continue_edit_session", {"prompt": "A boat", **session})
    assert turned.structured_content["turn"] == 2


@contextmanager
def started(home: Path, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        COMMAND,
        cwd=home,
        env=environment(home, **changes),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def ask(process: subprocess.Popen[bytes], method: str, params: dict[str, Any]) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    pipe(process.stdin).write(json.dumps(message).encode() + b"\n")
    pipe(process.stdin).flush()


def initialize(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    ask(process, "initialize", hello)
    answer: dict[str, Any] = json.loads(pipe(process.stdout).readline())
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    pipe(process.stdin).write(json.dumps(done).encode() + b"\n")
    pipe(process.stdin).flush()
    return answer


def test_stdout_carries_json_rpc_alone_and_the_key_appears_nowhere(home: Path) -> None:
    changes = {"GPT_IMAGE_2_MCP_DEBUG": "1", "OPENAI_API_KEY": CANARY, "OPENAI_USE_DIRECT_EDITS": "1"}
    with started(home, **changes) as process:
        initialize(process)
        ask(process, "tools/call", {"name": "generate_image", "arguments": {"prompt": "a fox", **SMALL}})
        told = pipe(process.stdout).readline()
        assert json.loads(told)["method"] == "notifications/resources/list_changed"
        answer = pipe(process.stdout).readline()
        assert json.loads(answer)["result"]["content"][-1]["type"] == "text"
        rest, log = process.communicate(timeout=30)
    for line in rest.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0"
    assert b"OPENAI_USE_DIRECT_EDITS is ignored" in log
    assert b"at most about $0.00" in log
    assert b"a fox" not in log
    state = b"".join(path.read_bytes() for path in (home / ".local").rglob("*") if path.is_file())
    for place in (answer, rest, log, state):
        assert CANARY.encode() not in place


def test_it_lists_its_tools_without_a_key_and_refuses_calls_with_a_hint(home: Path) -> None:
    with started(home, GPT_IMAGE_2_SANDBOX="0") as process:
        initialize(process)
        ask(process, "tools/list", {})
        assert len(json.loads(pipe(process.stdout).readline())["result"]["tools"]) == len(TOOLS)
        ask(process, "tools/call", {"name": "generate_image", "arguments": {"prompt": "a fox"}})
        result = json.loads(pipe(process.stdout).readline())["result"]
    assert result["isError"]
    assert "No OpenAI API key is set" in result["content"][0]["text"]


def test_a_wrong_setting_stops_the_start_with_a_sentence(home: Path) -> None:
    with started(home, GPT_IMAGE_2_SESSION_MAX="many") as process:
        out, log = process.communicate(timeout=30)
    assert process.returncode == 2
    assert out == b""
    assert log.decode() == (
        "Error: GPT_IMAGE_2_SESSION_MAX must be a whole number, 0 or more. "
        "Correct it in the client's configuration and restart.\n"
    )


def test_a_client_that_nobody_knows_stops_the_start_with_those_that_are_known(home: Path) -> None:
    with started(home, GPT_IMAGE_2_CLIENT_PROFILE="netscape") as process:
        out, log = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, b"")
    assert log.startswith(
        b"Error: GPT_IMAGE_2_CLIENT_PROFILE names no client that is known. Known are default, "
    )


def test_it_leaves_when_stdin_closes(home: Path) -> None:
    with started(home) as process:
        initialize(process)
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_leaves_at_a_signal_though_stdin_is_open(home: Path, number: signal.Signals) -> None:
    with started(home) as process:
        initialize(process)
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
        assert b"Traceback" not in pipe(process.stderr).read()


@pytest.mark.parametrize("worker", ["process", "inline"])
def test_a_picture_under_way_is_saved_though_stdin_closes(home: Path, worker: str) -> None:
    with started(home, GPT_IMAGE_2_WORKER=worker) as process:
        initialize(process)
        big = {"prompt": "a fox", "size": "2048x2048", "quality": "low"}
        ask(process, "tools/call", {"name": "generate_image", "arguments": big})
        until(lambda: journalled(home) == ["sent"])
        process.communicate(timeout=60)
    assert process.returncode == 0
    until(lambda: journalled(home) == ["done"])
    (path,) = (home / ".config" / "gpt-image-2-mcp" / "output").rglob("*.png")
    assert opened(path.read_bytes()).size == (2048, 2048)


def until(happened: Callable[[], bool]) -> None:
    """Poll another process's doing, for half a minute at most."""
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def journalled(home: Path) -> list[str]:
    """The states of the operations in the sandbox's journal."""
    file = home / ".local" / "state" / "gpt-image-2-mcp" / "sandbox" / "state.sqlite3"
    if not file.exists():
        return []
    with closing(sqlite3.connect(file, timeout=10)) as db:
        tables = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'operations'").fetchone()[0]
        return [row[0] for row in db.execute("SELECT state FROM operations")] if tables else []


def test_a_client_that_stops_listening_ends_it_quietly(home: Path) -> None:
    with started(home) as process:
        initialize(process)
        pipe(process.stdout).close()
        ask(process, "tools/list", {})
        assert process.wait(timeout=30) == 0
        assert b"Traceback" not in pipe(process.stderr).read()
