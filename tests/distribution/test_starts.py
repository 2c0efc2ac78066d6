"""The server as each kind of installation starts it: it says who it is, over stdio, without a network."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from tests.distribution.test_manifests import servers
from tests.distribution.test_validators import OF_PLUGINS, copied
from tests.distribution.tools import PACKAGING, built, environment, npm_tool, said, tool
from tests.support.installed import ROOT, installed

VERSION: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
INITIALIZE: Final = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "somebody", "version": "1"},
    },
}


def introduction(home: Path, command: list[str], variables: dict[str, str]) -> dict[str, Any]:
    """What a server that is started so answers to `initialize`."""
    done = subprocess.run(
        command,
        input=json.dumps(INITIALIZE) + "\n",
        cwd=home,
        env=environment(home) | variables,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[0])["result"]["serverInfo"]
    return answer


def test_the_wheel_in_an_environment_of_its_own(home: Path) -> None:
    command = installed(PACKAGING / "wheel" / "bin" / "gpt-image-2-mcp", "scripts/package")
    assert introduction(home, [str(command)], {})["version"] == VERSION


@pytest.mark.parametrize("client", list(servers()))
def test_a_plugin_in_its_folder(home: Path, client: str) -> None:
    tool("uv")
    bundle = installed(PACKAGING / "bundle", "scripts/package")
    server = servers()[client]
    words = [re.sub(r"\$\{\w+\}", str(bundle), word) for word in server["args"]]
    # A person has filled in nothing yet.
    assert introduction(home, [server["command"], *words], server["env"])["version"] == VERSION


@pytest.fixture
def marketplace(home: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "marketplace"
    folder.mkdir()
    return copied(OF_PLUGINS, folder)


def test_claude_code_installs_the_plugin_from_its_marketplace_and_finds_it_healthy(
    home: Path, marketplace: Path
) -> None:
    claude = npm_tool("claude")
    tool("uvx")
    said(home, claude, "plugin", "marketplace", "add", marketplace)
    said(home, claude, "plugin", "install", "gpt-image-2-mcp@gpt-image-2-mcp")
    assert re.search(r"gpt-image-2-mcp:.*Connected", said(home, claude, "mcp", "list"))


def test_the_sdist_is_there_for_those_who_build_it_themselves() -> None:
    assert built("*.tar.gz").name == f"gpt_image_2_mcp-{VERSION}.tar.gz"
