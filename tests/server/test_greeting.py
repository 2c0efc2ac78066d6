"""A client is answered by heart as long as that is enough, and never twice."""

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
from gpt_image_2_mcp.server.greeting import Greeted, Greeting, greet_while, rest
from gpt_image_2_mcp.server.profiles import named
from gpt_image_2_mcp.server.prompt_texts import PROMPTS
from gpt_image_2_mcp.server.resources import TEMPLATES
from gpt_image_2_mcp.server.tools import TOOLS
from tests.server.test_stdio import COMMAND, environment, pipe, started, until

LATEST = HANDSHAKE_PROTOCOL_VERSIONS[-1]
INITIALIZED = {"method": "notifications/initialized"}
LIST = {"id": "two", "method": "tools/list"}
CALL = {"id": 3, "method": "tools/call", "params": {"name": "list_edit_sessions", "arguments": {}}}
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="select takes no pipes there")


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
        {"id": 1, "method": "prompts/list"},
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


@pytest.mark.parametrize("half", ["\\ud800", "\\uDC00"])
def test_what_the_server_could_not_parse_is_not_answered_by_heart(half: str) -> None:
    welcome = lines(hello())
    for data in (
        welcome.replace(b"a client", half.encode()),
        b"\xef\xbb\xbf" + welcome,
        welcome.rstrip().decode().encode("utf-16") + b"\n",
    ):
        greeting = Greeting()
        assert greeting.hear(data) == b""
        assert greeting.greeted == Greeted(data)
    greeting = Greeting()
    ping = lines({"id": half, "method": "ping"}).replace(b"\\\\", b"\\")
    assert len(answers(greeting.hear(welcome + ping))) == 1
    assert greeting.greeted.unread == welcome + ping


def test_a_call_is_the_servers_and_so_is_all_that_follows() -> None:
    read = {"id": 7, "method": "resources/read", "params": {"uri": "image://x"}}
    page = {"id": 2, "method": "tools/list", "params": {"cursor": "x"}}
    for first in (CALL, read, page, hello()):
        greeting = Greeting()
        assert len(answers(greeting.hear(lines(hello(), first, LIST)))) == 1
        assert greeting.greeted.unread == lines(hello(), first, LIST)
        assert not greeting.is_through


def test_what_clients_list_besides_is_known_as_often_as_they_ask() -> None:
    greeting = Greeting()
    asked = ("ping", "prompts/list", "resources/templates/list", "tools/list", "ping")
    said = greeting.hear(
        lines(hello(), INITIALIZED, *({"id": id_, "method": method} for id_, method in enumerate(asked, 2)))
    )
    results = [answer["result"] for answer in answers(said)[1:]]
    assert results[0] == results[4] == {}
    assert [prompt["name"] for prompt in results[1]["prompts"]] == [spec.name for spec in PROMPTS]
    assert len(results[2]["resourceTemplates"]) == len(TEMPLATES)
    assert len(results[3]["tools"]) == len(TOOLS)
    assert greeting.is_through
    assert greeting.greeted == Greeted(lines(hello(), INITIALIZED), frozenset({1}), listed=True)


@pytest.mark.parametrize("what", ["cancelled", "roots/list_changed", "progress"])
def test_what_the_server_makes_nothing_of_is_passed_over(what: str) -> None:
    greeting = Greeting()
    said = greeting.hear(
        lines(hello(), {"method": f"notifications/{what}", "params": {"requestId": 1}}, LIST)
    )
    assert [answer["id"] for answer in answers(said)] == [1, "two"]
    assert greeting.greeted.unread == lines(hello())


def test_pictures_are_listed_where_that_takes_no_service() -> None:
    page = {"id": 3, "method": "resources/list"}
    known = {"resources": [{"name": "fox.png", "uri": "image://1"}]}
    greeting = Greeting(pictures=lambda: known)
    assert answers(greeting.hear(lines(hello(), page)))[1] == {"jsonrpc": "2.0", "id": 3, "result": known}
    assert greeting.is_through
    greeting = Greeting()
    assert len(answers(greeting.hear(lines(hello(), page)))) == 1
    assert greeting.greeted.unread == lines(hello(), page)


def test_no_more_is_read_ahead_than_a_handshake_takes() -> None:
    greeting = Greeting()
    assert greeting.hear(b"x" * 70_000) == b""
    assert greeting.over
    assert greeting.greeted.unread == b"x" * 70_000


class Pipes:
    """The client's ends of the pipes that stand for stdin and stdout."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (self._theirs, self.stdin), (self.stdout, self._ours) = os.pipe(), os.pipe()
        monkeypatch.setattr(module, "STDIN", self._theirs)
        monkeypatch.setattr(module, "STDOUT", self._ours)

    def say(self, *messages: dict[str, Any]) -> None:
        os.write(self.stdin, lines(*messages))

    def hang_up(self) -> None:
        os.close(self.stdin)

    def heard(self) -> list[Any]:
        """The ids of the answers so far."""
        os.close(self._ours)
        with os.fdopen(self.stdout, "rb") as said:
            return [answer["id"] for answer in answers(said.read())]


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch) -> Pipes:
    return Pipes(monkeypatch)


def nothing() -> frozenset[str]:
    return frozenset()


@UNIX
def test_a_server_that_nobody_calls_rests_until_the_client_leaves(pipes: Pipes) -> None:
    pipes.say(hello(), INITIALIZED, LIST, {"id": 3, "method": "ping"})
    pipes.hang_up()
    assert not rest(Greeting(), nothing)
    assert pipes.heard() == [1, "two", 3]


@UNIX
def test_a_client_that_leaves_without_reading_is_not_waited_for(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_WRITES_MS", 0)
    pipes.say(hello(), INITIALIZED, *[LIST] * 30)
    pipes.hang_up()
    assert not rest(Greeting(), nothing)
    assert os.read(pipes.stdout, 1)


@UNIX
def test_a_call_ends_the_rest(pipes: Pipes) -> None:
    pipes.say(hello(), INITIALIZED, LIST, CALL)
    greeting = Greeting()
    assert rest(greeting, nothing)
    assert pipes.heard() == [1, "two"]
    assert greeting.greeted.unread == lines(hello(), INITIALIZED, CALL)


@UNIX
def test_a_message_that_was_cut_off_is_the_servers(pipes: Pipes) -> None:
    os.write(pipes.stdin, lines(hello())[:40])
    pipes.hang_up()
    assert rest(Greeting(), nothing)


@UNIX
def test_there_is_no_rest_where_something_was_left(pipes: Pipes) -> None:
    pipes.say(hello())
    assert rest(Greeting(), lambda: {"1.job"})
    assert pipes.heard() == []


@UNIX
def test_what_is_still_there_at_the_next_look_was_left_by_somebody_who_died(
    pipes: Pipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.0)
    looks = iter([set[str](), {"1.job"}, {"2.job"}, {"3.job", "4.job"}, {"4.job"}])
    assert rest(Greeting(), lambda: next(looks))
    assert list(looks) == []


@UNIX
def test_who_is_there_first_is_answered_while_work_is_done(pipes: Pipes) -> None:
    pipes.say(hello(), LIST)

    def work() -> list[dict[str, Any]]:
        with os.fdopen(pipes.stdout, "rb") as said:
            return answers(said.readline() + said.readline())

    greeting = Greeting()
    welcome, listed = greet_while(work, greeting)
    assert (welcome["id"], listed["id"]) == (1, "two")
    assert greeting.greeted.listed


@UNIX
def test_what_goes_wrong_in_the_work_is_raised(pipes: Pipes) -> None:
    pipes.hang_up()

    def work() -> None:
        raise ImportError("no such library")

    with pytest.raises(ImportError, match="no such library"):
        greet_while(work, Greeting())


def test_a_real_server_says_each_thing_once_and_goes_on_where_the_greeting_ended(home: Path) -> None:
    with subprocess.Popen(
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(home), cwd=home
    ) as server:
        assert server.stdin
        assert server.stdout
        said = []
        for messages in ([hello()], [INITIALIZED, LIST], [CALL]):  # as a client does, which waits
            server.stdin.write(lines(*messages))
            server.stdin.flush()
            said.append(json.loads(server.stdout.readline()))
        more, _ = server.communicate(timeout=60)
    assert [answer["id"] for answer in said] == [1, "two", 3]
    assert said[2]["result"]["structuredContent"] == {"sessions": []}
    assert more == b""


def state_of(home: Path) -> Path:
    return home / ".local" / "state" / "gpt-image-2-mcp" / "sandbox"


def test_a_real_server_that_nobody_calls_opens_nothing(home: Path) -> None:
    with started(home) as server:
        out, _ = server.communicate(lines(hello(), INITIALIZED, LIST, {"id": 4, "method": "resources/list"}))
    assert server.returncode == 0
    assert answers(out)[2]["result"] == {"resources": []}
    assert not state_of(home).exists()


@UNIX
def test_a_real_server_recovers_unasked_what_another_one_left(home: Path) -> None:
    spool = state_of(home) / "spool"
    spool.mkdir(parents=True)
    (spool / "1.job").touch()
    with started(home) as server:
        pipe(server.stdin).write(lines(hello(), INITIALIZED, LIST))
        pipe(server.stdin).flush()
        until((state_of(home) / "state.sqlite3").exists)
