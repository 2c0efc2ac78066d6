"""`serve --http` as people start it: a process of its own on a loopback port."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from gpt_image_2_mcp.cli import cli
from tests.faults.waiting import until
from tests.support.listening import JSON_RPC, MODERN, TOKEN, call
from tests.support.pictures import opened, picture

SMALL: dict[str, Any] = {"prompt": "A red fox", "size": "1024x640", "quality": "low"}
BIG: dict[str, Any] = {**SMALL, "size": "3840x2160"}
NO_SIGNALS = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


class Serving:
    """A server process, and what it has said on stderr."""

    def __init__(self, home: Path, *arguments: str, **changes: str) -> None:
        self.home = home
        names = ("PATH", "PYTHONPATH", "COVERAGE_")
        kept = {k: v for k, v in os.environ.items() if k.startswith(names)}  # noqa: TID251 - for a child
        own = {"HOME": str(home), "GPT_IMAGE_2_SANDBOX": "1", "GPT_IMAGE_2_MCP_DEBUG": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gpt_image_2_mcp", "serve", *arguments],
            cwd=home,
            env=kept | own | changes,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.said = self.process.stderr.readline()

    @property
    def url(self) -> str:
        return self.said.split()[3].rstrip(";")

    @property
    def token_file(self) -> Path:
        return self.home / ".local" / "state" / "gpt-image-2-mcp" / "http-token"

    def ask(self, tool: str, token: str = TOKEN, **arguments: Any) -> Any:
        """The result of a tool call."""
        headers = {"Authorization": f"Bearer {token}", "MCP-Protocol-Version": MODERN, "Mcp-Name": tool}
        headers |= JSON_RPC | {"Mcp-Method": "tools/call"}
        with httpx2.Client(trust_env=False, timeout=60) as http:
            return http.post(self.url, json=call(tool, **arguments), headers=headers).json()["result"]

    def begin(self, **arguments: Any) -> Future[Any]:
        """A call of generate_image that is under way; its result comes, or the server's end."""
        answer = Future[Any]()

        def wait() -> None:
            try:
                answer.set_result(self.ask("generate_image", **arguments))
            except httpx2.TransportError as error:
                answer.set_exception(error)

        threading.Thread(target=wait, daemon=True).start()
        until(lambda: self.states() == ["sent"])
        return answer

    def states(self) -> list[str]:
        """The states of the sandbox's operations."""
        file = self.token_file.parent / "sandbox" / "state.sqlite3"
        if not file.exists():
            return []
        with closing(sqlite3.connect(file, timeout=10)) as db:
            there = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'operations'").fetchone()[0]
            return [row[0] for row in db.execute("SELECT state FROM operations")] if there else []

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Ask it to leave; its code, and all that it has said."""
        self.process.send_signal(number)
        out, more = self.process.communicate(timeout=60)
        assert out == ""
        return self.process.returncode, self.said + more


@contextmanager
def serving(home: Path, *arguments: str, **changes: str) -> Iterator[Serving]:
    server = Serving(home, *(arguments or ("--http", "127.0.0.1:0")), **changes)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


@NO_SIGNALS
def test_a_token_is_made_kept_and_told_by_its_file_alone(home: Path) -> None:
    for _ in range(2):
        with serving(home) as server:
            token = server.token_file.read_text().strip()
            assert server.token_file.stat().st_mode & 0o777 == 0o600
            assert not server.ask("list_edit_sessions", token=token).get("isError")
            code, said = server.end()
        assert code == 0
        assert said.startswith(
            f"Serving MCP at {server.url}; the bearer token stands in {server.token_file}\n"
        )
        assert token not in said


def test_a_script_reads_where_the_server_is_and_where_its_token(home: Path) -> None:
    own = {"HOME": str(home), "GPT_IMAGE_2_SANDBOX": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "gpt_image_2_mcp", "serve", "--http", "127.0.0.1:0", "--json"],
        env=dict(os.environ) | own,  # noqa: TID251 - for a child
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        token = Path(told["token_file"]).read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "MCP-Protocol-Version": MODERN, **JSON_RPC}
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": "list_edit_sessions"}
        with httpx2.Client(trust_env=False, timeout=60) as http:
            answer = http.post(told["url"], json=call("list_edit_sessions"), headers=headers)
        assert not answer.json()["result"].get("isError")
    finally:
        process.kill()
        process.communicate()


def test_on_stdio_stdout_is_the_clients() -> None:
    result = CliRunner().invoke(cli, ["serve", "--json"])
    assert (result.exit_code, "--json needs --http" in result.output) == (2, True)


@NO_SIGNALS
@pytest.mark.parametrize("by_file", [False, True])
def test_a_token_of_ones_own_is_neither_kept_nor_told(home: Path, by_file: bool) -> None:
    (home / "token").write_text(f"{TOKEN}\n")
    given = (
        {"GPT_IMAGE_2_HTTP_TOKEN_FILE": str(home / "token")} if by_file else {"GPT_IMAGE_2_HTTP_TOKEN": TOKEN}
    )
    with serving(home, **given) as server:
        assert not server.ask("list_edit_sessions").get("isError")
        assert not server.token_file.exists()
        code, said = server.end(signal.SIGINT)
    assert (code, TOKEN in said) == (0, False)


@pytest.mark.parametrize(
    ("address", "changes", "sentence"),
    [
        (
            "0.0.0.0:0",
            {},
            "Error: 0.0.0.0 can be reached from other machines, and that needs a token of your",
        ),
        ("0.0.0.0:0", {"GPT_IMAGE_2_HTTP_TOKEN": TOKEN}, "needs the names it is called by"),
        ("[::]:0", {"GPT_IMAGE_2_HTTP_ALLOWED_HOSTS": "example.com"}, "needs a token of your own"),
        ("8931", {}, "Error: 8931 is no address to listen on. Give HOST:PORT"),
        ("127.0.0.1:0", {"GPT_IMAGE_2_HTTP_TOKEN": "short"}, "must have 16 characters or more"),
    ],
)
def test_what_would_be_unsafe_or_unclear_stops_the_start(
    home: Path, address: str, changes: dict[str, str], sentence: str
) -> None:
    with serving(home, "--http", address, **changes) as server:
        assert server.process.wait(timeout=30) == 2
    assert sentence in server.said


@NO_SIGNALS
def test_paths_of_the_servers_machine_are_closed_to_clients_unless_a_setting_opens_them(home: Path) -> None:
    sketch, folder = home / "sketch.png", home / "out"
    sketch.write_bytes(picture())
    with serving(home, GPT_IMAGE_2_HTTP_TOKEN=TOKEN) as server:
        for path in (str(sketch), sketch.as_uri(), "sketch.png"):
            refused = server.ask("edit_image", **SMALL, images=[path])
            assert "is a path, and none is read for a client over HTTP." in refused["content"][0]["text"]
        refused = server.ask("generate_image", **SMALL, output_dir=str(folder))
        assert "`output_dir` is not taken from a client over HTTP." in refused["content"][0]["text"]
    with serving(home, GPT_IMAGE_2_HTTP_TOKEN=TOKEN, GPT_IMAGE_2_HTTP_LOCAL_PATHS="1") as server:
        made = server.ask("edit_image", **SMALL, images=[str(sketch)], output_dir=str(folder))
    assert not made.get("isError")
    assert len(list(folder.iterdir())) == 1


@NO_SIGNALS
@pytest.mark.parametrize("worker", ["process", "inline"])
def test_a_call_under_way_is_finished_though_the_server_is_told_to_leave(home: Path, worker: str) -> None:
    with serving(home, GPT_IMAGE_2_HTTP_TOKEN=TOKEN, GPT_IMAGE_2_WORKER=worker) as server:
        answer = server.begin(**BIG)
        code, said = server.end()
        assert (code, "Traceback" in said) == (0, False)
        assert answer.result(30)["structuredContent"]["status"] == "working"
        if worker == "inline":
            assert server.states() == ["done"]
        until(lambda: server.states() == ["done"])
    (path,) = (home / ".config" / "gpt-image-2-mcp" / "output").rglob("*.png")
    assert opened(path.read_bytes()).size == (3840, 2160)


@NO_SIGNALS
def test_a_second_signal_ends_it_at_once(home: Path) -> None:
    with serving(home, GPT_IMAGE_2_HTTP_TOKEN=TOKEN, GPT_IMAGE_2_WORKER="inline") as server:
        answer = server.begin(**{**BIG, "n": 10})
        server.process.send_signal(signal.SIGTERM)
        assert server.process.stderr is not None
        for line in server.process.stderr:
            if "handed off" in line:
                break
        assert answer.result(30)["structuredContent"]["status"] == "working"
        assert server.end()[0] == 130
        assert server.states() == ["sent"]


def test_stdio_starts_without_the_http_side() -> None:
    code = (
        "import sys, gpt_image_2_mcp.commands.serve, gpt_image_2_mcp.server.app, gpt_image_2_mcp.assembly\n"
        "names = 'server.http', 'server.guards', 'stores.token_file'\n"
        "print(*{f'gpt_image_2_mcp.{name}' for name in names} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
