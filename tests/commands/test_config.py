"""Setting clients up by the command line."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gpt_image_2_mcp.cli import cli
from gpt_image_2_mcp.clients.entries import Launch
from gpt_image_2_mcp.clients.table import CLIENTS
from gpt_image_2_mcp.commands.config import own_launch

COMMAND = ["--command", "/opt/bin/gpt-image-2-mcp"]
OWN_KEY = "sk-proj-the-persons-own-0123456789"


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["config", *arguments], prog_name="gpt-image-2-mcp")
    assert result.exit_code == code, result.output
    return result


def told(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return found


@pytest.mark.parametrize("client", [client.name for client in CLIENTS])
def test_what_is_printed_can_be_put_into_a_file_as_it_is(client: str, home: Path) -> None:
    printed = run(client, *COMMAND)
    document = (tomllib.loads if client == "codex" else json.loads)(printed.stdout)
    (servers,) = (value for name, value in document.items() if name != "inputs")
    assert servers["gpt-image-2"]["command"] == "/opt/bin/gpt-image-2-mcp"
    assert "with --write it is put there" in printed.stderr
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("client", [client.name for client in CLIENTS])
def test_what_is_written_is_told_with_what_to_do_next(client: str, home: Path) -> None:
    said = run(client, *COMMAND, "--write").stdout
    assert f" is set up in {home}/." in said
    assert ("in the place of sk-..." in said) == (
        client in ("claude-desktop", "cursor", "windsurf", "zed", "cline", "lm-studio")
    )
    again = run(client, *COMMAND, "--write").stdout
    assert "has it already; nothing was changed" in again


def test_a_file_that_was_there_is_copied_and_the_copy_named(home: Path) -> None:
    (home / "mine.json").write_text('{"mcpServers": {}}')
    found = told("cursor", *COMMAND, "--write", "--file", "mine.json")
    assert (found["changed"], found["file"]) == (True, str(home / "mine.json"))
    assert Path(found["backup"]).read_text() == '{"mcpServers": {}}'
    assert "gpt-image-2" in json.loads((home / "mine.json").read_text())["mcpServers"]
    assert "is kept in" in run("cursor", "--write", "--file", "mine.json", "--name", "second").stdout


def test_a_project_has_a_file_of_its_own(home: Path) -> None:
    run("claude-code", *COMMAND, "--write", "--project")
    entry = json.loads((home / ".mcp.json").read_text())["mcpServers"]["gpt-image-2"]
    assert entry["env"] == {"OPENAI_API_KEY": "${OPENAI_API_KEY:-}"}
    assert "has no file for a project" in run("windsurf", "--project", code=2).stderr


def test_a_key_gets_into_a_file_only_when_it_is_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OWN_KEY)
    path = home / ".cursor" / "mcp.json"
    assert OWN_KEY not in run("cursor", "--write").output + path.read_text()
    assert OWN_KEY not in run("cursor", "--write", "--with-key", "--json").output
    assert OWN_KEY in path.read_text()
    refused = run("cursor", "--with-key", code=2)
    assert "a key is never printed" in refused.stderr
    assert OWN_KEY not in refused.output


def test_without_a_key_in_the_environment_there_is_none_to_write() -> None:
    assert "where it is not set" in run("cursor", "--write", "--with-key", code=2).stderr


def test_a_file_of_the_key_is_named_by_flag_or_by_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f'"OPENAI_API_KEY_FILE": "{home}/a"' in run("cursor", "--key-file", "a").stdout
    monkeypatch.setenv("OPENAI_API_KEY_FILE", "/run/key")
    assert '"OPENAI_API_KEY_FILE": "/run/key"' in run("cursor").stdout


def test_a_key_that_is_none_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk two words")
    assert "has characters that no such value has" in run("cursor", "--write", "--with-key", code=2).stderr


def test_without_a_client_all_are_listed_with_their_files(home: Path) -> None:
    run("zed", "--write")
    lines = run().stdout.splitlines()
    assert [line.split()[0] for line in lines] == [client.name for client in CLIENTS]
    assert [line for line in lines if "(not there)" not in line] == [
        f"zed             {home}/.config/zed/settings.json"
    ]
    assert json.loads(run("--json").stdout)[0]["title"] == "Claude Desktop"


def test_an_unknown_client_is_a_usage_error() -> None:
    assert "'emacs' is not one of 'claude-desktop'," in run("emacs", code=2).stderr


def test_the_server_is_started_as_this_process_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["/opt/bin/gpt-image-2-mcp"])
    assert own_launch() == Launch("/opt/bin/gpt-image-2-mcp")
    monkeypatch.setattr(sys, "argv", ["/opt/lib/gpt_image_2_mcp/__main__.py"])
    assert own_launch() == Launch(sys.executable, ("-m", "gpt_image_2_mcp"))


def test_what_uvx_started_is_started_by_uvx_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/home/me/.cache/uv/archive-v0/x1/bin/python")
    monkeypatch.setenv("PATH", "")
    assert own_launch() == Launch("uvx", ("gpt-image-2-mcp",))
