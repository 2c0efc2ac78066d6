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
    assert b"prompt of 5 characters" in log
    assert b": a fox" in log, "debugging was asked for"
    state = b"".join(path.read_bytes() for path in (home / ".local").rglob("*") if path.is_file())
    for place in (answer, rest, log, state):
        assert CANARY.encode() not in place


def test_a_prompt_is_not_in_the_log_unless_debugging_is_asked_for(home: Path) -> None:
    with started(home, GPT_IMAGE_2_WORKER="process") as process:
        initialize(process)
        ask(process, "tools/call", {"name": "generate_image", "arguments": {"prompt": "a fox", **SMALL}})
        pipe(process.stdout).readline()
        _, log = process.communicate(timeout=30)
    assert b"prompt of 5 characters" in log
    assert b"a fox" not in log + (home / ".local/state/gpt-image-2-mcp/worker.log").read_bytes()


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


def say(process: subprocess.Popen[bytes], line: bytes) -> None:
    pipe(process.stdin).write(line)
    pipe(process.stdin).flush()


def heard(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The next answer; notifications are passed over."""
    while True:
        message: dict[str, Any] = json.loads(pipe(process.stdout).readline())
        if "id" in message:
            return message


def call(number: int | str, tool: str, **arguments: Any) -> bytes:
    params = {"name": tool, "arguments": arguments}
    return (
        json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()
        + b"\n"
    )


def test_a_line_that_is_too_long_is_refused_by_its_id_and_the_next_one_is_served(home: Path) -> None:
    url = "data:image/png;base64," + "A" * (3 << 20)
    with started(home, GPT_IMAGE_2_MAX_LINE_MB="2") as process:
        initialize(process)
        say(process, call("big", "edit_image", prompt="x", images=[url]))
        say(process, b"x" * (3 << 20) + b"\n")
        say(process, call(7, "list_edit_sessions"))
        first, second, third = (heard(process) for _ in range(3))
        out, _ = process.communicate(timeout=30)
    assert first["id"] == "big"
    assert first["error"]["code"] == -32600
    assert first["error"]["message"] == (
        "The message is longer than 2 MB and was not read; nothing was sent. "
        "Give pictures as file paths or https URLs, not as data: URLs."
    )
    assert second["id"] is None
    assert third["result"]["structuredContent"] == {"sessions": []}
    assert (process.returncode, out) == (0, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_line_of_seventy_megabytes_takes_no_more_memory_than_the_longest_one(home: Path) -> None:
    with started(home, GPT_IMAGE_2_MAX_LINE_MB="1") as process:
        initialize(process)
        say(process, call(1, "list_edit_sessions"))
        heard(process)  # the whole server is there, not what it knows by heart alone
        before = peak_mb(process)
        say(process, b'{"jsonrpc":"2.0","id":5,"method":"' + b"x" * (70 << 20) + b'"}\n')
        assert heard(process)["id"] == 5
        assert peak_mb(process) - before < 8


def peak_mb(process: subprocess.Popen[bytes]) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


NO_MESSAGES = (
    # The line, the error's code, and the id that can be told.
    (b'{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"x":"\xff\xfe"}}', -32700, 3),
    (b'{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"x":"\\ud800"}}', -32700, 4),
    (b'{"jsonrpc":"2.0","id":5,"method":"x","params":{"x":' + b"[" * 90_000 + b"}}", -32700, 5),
    (b'{"jsonrpc":"2.0","id":11,"method":"x","params":{"x":' + b"[" * 200_000 + b"}}", -32600, 11),
    (b'{"jsonrpc":"2.0","id":6,"method":"x","params":{"x":' + b"9" * 100_000 + b"}}", -32700, 6),
    (b'{"jsonrpc":"2.0","id":7,"method":"x","params":{"x":[' + b"1," * 200_000 + b"1]}}", -32600, 7),
    (b'{"jsonrpc":"2.0","id":8,"method":5}', -32600, 8),
    (b'{"jsonrpc":"2.0","id":9,"method":"x","params":[]}', -32600, 9),
    (b'[{"jsonrpc":"2.0","id":3,"method":"ping"}]', -32600, None),
    (bytes(range(11, 256)), -32700, None),
    (b"ping", -32700, None),
    (b"null", -32600, None),
)


def test_what_is_no_message_is_refused_and_the_server_stays(home: Path) -> None:
    with started(home) as process:
        initialize(process)
        for line, code, id_ in NO_MESSAGES:
            say(process, b"\n \r\n" + line + b"\n")
            refused = heard(process)
            assert (refused["id"], refused["error"]["code"]) == (id_, code)
        say(process, call(10, "list_edit_sessions"))
        assert heard(process)["id"] == 10
        out, log = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"")
    assert b"Traceback" not in log


def test_numbers_that_are_none_and_ids_that_are_used_twice_do_not_end_it(home: Path) -> None:
    with started(home) as process:
        initialize(process)
        say(process, b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"generate_image",')
        say(process, b'"arguments":{"prompt":"x","n":NaN}}}\n')
        refusal = heard(process)["result"]["content"][0]["text"]
        say(process, call(2, "list_edit_sessions") * 3)
        answers = [heard(process) for _ in range(3)]
    assert refusal.startswith("`n` must be a whole number.")
    assert [answer["id"] for answer in answers] == [2, 2, 2]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_results_that_nobody_reads_do_not_pile_up(home: Path) -> None:
    big = {"prompt": "a fox", "size": "1536x1024", "quality": "high"}
    with started(home) as process:
        initialize(process)
        say(process, call(1, "generate_image", **big))
        made = heard(process)["result"]
        size_mb = len(json.dumps(made)) / 1024 / 1024
        ids = list(range(100, 200))
        before = peak_mb(process)
        say(process, b"".join(call(number, "get_result") for number in ids))
        until(lambda: is_idle(process))
        grown = peak_mb(process) - before
        answers = [heard(process) for _ in ids]
    assert sorted(answer["id"] for answer in answers) == ids
    assert all(answer["result"]["content"] == made["content"] for answer in answers)
    assert grown < 15 * size_mb < len(ids) * size_mb


def is_idle(process: subprocess.Popen[bytes]) -> bool:
    """Whether it takes no processor time for a quarter of a second."""

    def used() -> list[str]:
        return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]

    before = used()
    time.sleep(0.25)
    return used() == before


def test_it_leaves_when_stdin_closes_though_its_answers_are_left_unread(home: Path) -> None:
    with started(home) as process:
        initialize(process)
        for _ in range(300):
            ask(process, "tools/list", {})
        pipe(process.stdin).close()
        assert process.wait(timeout=30) == 0
        assert b"Traceback" not in pipe(process.stderr).read()
        process.stdin = None


def test_what_is_printed_misses_the_wire(home: Path) -> None:
    program = (
        "import anyio, os\n"
        "from gpt_image_2_mcp.server.stdio import stdio_wire\n"
        "async def main():\n"
        "    async with stdio_wire(1000) as wire:\n"
        "        print('printed', flush=True)\n"
        "        os.system('echo from a child; cat')\n"
        "        await wire.outlet.refuse(1, 2, 'said')\n"
        "        await wire.outlet.aclose()\n"
        "    print('afterwards', flush=True)\n"
        "anyio.run(main)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=b"", capture_output=True, env=environment(home), check=True
    )
    said, after = done.stdout.splitlines()
    assert json.loads(said)["error"] == {"code": 2, "message": "said"}
    assert after == b"afterwards"
    assert done.stderr.split() == b"printed from a child".split()
