"""What `config --write` has written, as the clients' own programs read it and start the server by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpt_image_2_mcp.cli import cli
from tests.distribution.tools import npm_tool
from tests.support.installed import ROOT


@pytest.fixture
def command(home: Path) -> Path:
    """A command as an installation makes it; by clients it is started with little of an environment."""
    path = home / "bin" / "gpt-image-2-mcp"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "src"} exec {sys.executable} -m gpt_image_2_mcp "$@"\n')
    path.chmod(0o755)
    return path


def said(home: Path, program: str, *words: str, **more: str) -> str:
    """What a client's program prints, which scripts/package has installed."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **more}  # noqa: TID251 - for a child
    done = subprocess.run(
        [npm_tool(program), *words],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def written(client: str, command: Path) -> str:
    """Has it written again; what the command says of that."""
    result = CliRunner().invoke(cli, ["config", client, "--write", "--command", str(command)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_claude_code_connects_and_its_own_changes_of_the_file_stay(home: Path, command: Path) -> None:
    written("claude-code", command)
    assert f"gpt-image-2: {command}  - ✔ Connected" in said(home, "claude", "mcp", "list")
    assert len(json.loads((home / ".claude.json").read_text())) > 1
    assert "nothing was changed" in written("claude-code", command)


def test_codex_reads_the_command_the_key_and_the_times(home: Path, command: Path) -> None:
    written("codex", command)
    text = said(home, "codex", "mcp", "get", "gpt-image-2", "--json")
    found = json.loads(text[text.index("{") : text.rindex("}") + 1])
    assert found["transport"]["command"] == str(command)
    assert found["transport"]["env_vars"] == ["OPENAI_API_KEY"]
    assert (found["startup_timeout_sec"], found["tool_timeout_sec"]) == (60.0, 600.0)


def test_gemini_cli_connects_in_a_folder_that_is_trusted(home: Path, command: Path) -> None:
    written("gemini-cli", command)
    listed = said(home, "gemini", "mcp", "list", GEMINI_CLI_TRUST_WORKSPACE="true")
    assert f"gpt-image-2: {command}  (stdio) - Connected" in listed
