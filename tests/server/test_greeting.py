"""A client is answered before the SDK is there, and never twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from gpt_image_2_mcp.server import greeting as module
from gpt_image_2_mcp.server.greeting import Greeted, Greeting, greet_while
from gpt_image_2_mcp.server.profiles import named
from gpt_image_2_mcp.server.tools import TOOLS
from tests.server.test_stdio import COMMAND, environment

LATEST = HANDSHAKE_PROTOCOL_VERSIONS[-1]
INITIALIZED = {"method": "notifications/initialized"}
LIST = {"id": "two", "method": "tools/list"}


def hello(version: str = LATEST, **client: object) -> dict[str, Any]:
    who = {"name": "a client", "version": "1"} | client
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": who}
    return {"id": 1, "method": "initialize", "params": params}


def lines(*messages: dict[str, Any]) -> bytes:
    return b"".join(json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n" for message in messages)


def answers(said: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
def test_a_handshake_is_answered_to_the_tools(version: str) -> None:
    greeting = Greeting()
    welcome, listed = answers(greeting.hear(lines(hello(version), INITIALIZED, LIST)))
    assert welcome["result"]["protocolVersion"] == version
    assert listed["id"] == "two"
    assert [tool["name"] for tool in listed["result"]["tools"]] == [spec.name for spec in TOOLS]
    assert greeting.greeted == Greeted(lines(hello(version), INITIALIZED), frozenset({1}), listed=True)


def test_a_message_may_come_in_pieces() -> None:
    greeting, data = Greeting(), lines(hello())
    assert greeting.hear(data[:40]) == b""
    assert greeting.greeted.unread == data[:40]
    assert len(answers(greeting.hear(data[40:]))) == 1


@pytest.mark.parametrize(
    ("profile", "client", "described"),
    [(None, "a client", True), (None, "opencode", False), ("opencode", "a client", False)],
)
def test_the_list_is_that_of_the_client(profile: str | None, client: str, described: bool) -> None:
    greeting = Greeting(named(profile) if profile else None)
    _, listed = answers(greeting.hear(lines(hello(name=client), LIST)))
    assert ("outputSchema" in listed["result"]["tools"][0]) is described


@pytest.mark.parametrize(
    "message",
    [
        {"id": 1, "method": "server/discover", "params": {}},
        {"id": 1, "method": "tools/list"},
        {"id": 1, "method": "ping"},
        INITIALIZED,
        hello("1999-01-01"),
        hello(name=5),
        {"id": True, "method": "initialize", "params": hello()["params"]},
        {"id": 1, "method": "initialize", "params": []},
        {"id": 1, "method": 5},
    ],
)
def test_what_is_no_beginning_of_a_handshake_is_the_servers(message: dict[str, Any]) -> None:
    greeting = Greeting()
    assert greeting.hear(lines(message, hello())) == b""
    assert greeting.over
    assert greeting.greeted == Greeted(lines(message, hello()))


@pytest.mark.parametrize("data", [b"\n", b"no json\n", b"[]\n", b'{"id":1}\n', b"[" * 5000 + b"\n"])
def test_what_is_no_message_is_the_servers(data: bytes) -> None:
    greeting = Greeting()
    assert greeting.hear(data) == b""
    assert greeting.greeted == Greeted(data)


def test_a_call_is_the_servers_and_so_is_all_that_follows() -> None:
    greeting = Greeting()
    call = {"id": 3, "method": "tools/call", "params": {"name": "get_spending", "arguments": {}}}
    ping = {"id": 7, "method": "ping"}
    page = {"id": 2, "method": "tools/list", "params": {"cursor": "x"}}
    for first in (call, ping, page, hello()):
        greeting = Greeting()
        assert len(answers(greeting.hear(lines(hello(), first, LIST)))) == 1
        assert greeting.greeted.unread == lines(hello(), first, LIST)


def test_the_tools_are_listed_once_and_then_the_server_takes_over() -> None:
    greeting = Greeting()
    again = {"id": 9, "method": "tools/list"}
    assert [answer["id"] for answer in answers(greeting.hear(lines(hello(), LIST, again)))] == [1, "two"]
    assert greeting.greeted.unread == lines(hello(), again)


def test_no_more_is_read_ahead_than_a_handshake_takes() -> None:
    greeting = Greeting()
    assert greeting.hear(b"x" * 70_000) == b""
    assert greeting.over
    assert greeting.greeted.unread == b"x" * 70_000


@pytest.mark.skipif(sys.platform == "win32", reason="select takes no pipes there")
def test_who_is_there_first_is_answered_while_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    (theirs, stdin), (stdout, ours) = os.pipe(), os.pipe()
    monkeypatch.setattr(module, "STDIN", theirs)
    monkeypatch.setattr(module, "STDOUT", ours)
    os.write(stdin, lines(hello(), LIST))

    def work() -> list[dict[str, Any]]:
        with os.fdopen(stdout, "rb") as said:
            return answers(said.readline() + said.readline())

    greeting = Greeting()
    welcome, listed = greet_while(work, greeting)
    assert (welcome["id"], listed["id"]) == (1, "two")
    assert greeting.greeted.listed
    for fd in (stdin, theirs, ours):
        os.close(fd)


@pytest.mark.skipif(sys.platform == "win32", reason="select takes no pipes there")
def test_what_goes_wrong_in_the_work_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, stdin = os.pipe()
    monkeypatch.setattr(module, "STDIN", theirs)
    os.close(stdin)  # nobody is there

    def work() -> None:
        raise ImportError("no such library")

    with pytest.raises(ImportError, match="no such library"):
        greet_while(work, Greeting())
    os.close(theirs)


def test_a_real_server_says_each_thing_once_and_goes_on_where_the_greeting_ended(home: Path) -> None:
    call = {"id": 3, "method": "tools/call", "params": {"name": "list_edit_sessions", "arguments": {}}}
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(home), cwd=home
    ) as server:
        assert server.stdin
        assert server.stdout
        said = []
        for messages in ([hello()], [INITIALIZED, LIST], [call]):  # as a client does, which waits
            server.stdin.write(lines(*messages))
            server.stdin.flush()
            said.append(json.loads(server.stdout.readline()))
        rest, _ = server.communicate(timeout=60)
    assert [answer["id"] for answer in said] == [1, "two", 3]
    assert said[2]["result"]["structuredContent"] == {"sessions": []}
    assert rest == b""
