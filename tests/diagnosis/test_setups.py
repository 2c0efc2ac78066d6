"""What is told of each client's entry, and what is started with what."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.clients.places import Places
from gpt_image_2_mcp.diagnosis.findings import Finding, examine
from gpt_image_2_mcp.diagnosis.setups import checks_of
from gpt_image_2_mcp.reports import Trial

pytestmark = pytest.mark.anyio


WELL = Trial(("generate_image", "edit_image"))


@dataclass
class Started:
    """Starts nothing, and remembers what it was to start."""

    trial: Trial = WELL
    asked: list[tuple[str, list[str], Mapping[str, str], float]] = field(default_factory=list)

    async def __call__(self, command: str, args: list[str], env: Mapping[str, str], within_s: float) -> Trial:
        self.asked.append((command, args, env, within_s))
        return self.trial


async def told(home: Path, started: Started, *, offline: bool = False) -> list[Finding]:
    places = Places("linux", home, home / ".config", home / "project")
    return await examine(await checks_of(places, started, offline=offline))


def cursor(home: Path, **servers: Any) -> None:
    (home / ".cursor").mkdir()
    (home / ".cursor" / "mcp.json").write_text(json.dumps({"mcpServers": servers}))


async def test_where_there_is_no_client_it_is_said_how_to_set_one_up(home: Path) -> None:
    (found,) = await told(home, Started())
    assert (found.name, found.status) == ("clients", "warn")
    assert "config CLIENT --write" in found.remedy


async def test_entries_are_started_as_the_client_would(home: Path) -> None:
    started = Started()
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(
        f'[mcp_servers.pictures]\ncommand = "{sys.executable}"\nargs = ["-m", "gpt_image_2_mcp"]\n'
        'startup_timeout_sec = 3\nenv = { A = "1" }\n[mcp_servers.other]\ncommand = "npx"\n'
    )
    (found,) = await told(home, started)
    assert (found.name, found.status) == ("codex: pictures", "ok")
    assert started.asked == [(sys.executable, ["-m", "gpt_image_2_mcp"], {"A": "1"}, 3.0)]


async def test_a_server_without_our_tools_is_not_ours(home: Path) -> None:
    cursor(home, **{"gpt-image-2": {"command": sys.executable}})
    (found,) = await told(home, Started(Trial(("other",))))
    assert (found.status, "no tool generate_image" in found.what) == ("fail", True)
    (said,) = await told(home, Started(Trial(said="It ended.")))
    assert "does not start the server: It ended." in said.what


async def test_an_entry_that_is_given_no_key_is_worth_a_look(home: Path) -> None:
    cursor(home, **{"gpt-image-2": {"command": sys.executable, "env": {"GPT_IMAGE_2_MODEL": "gpt-image-2"}}})
    (found,) = await told(home, Started())
    assert (found.status, "given no key" in found.what) == ("warn", True)
    assert "OPENAI_API_KEY_FILE" in found.remedy


async def test_a_command_that_is_found_by_path_is_worth_a_look(home: Path) -> None:
    entry = {"command": "sh", "args": ["gpt-image-2-mcp"], "env": {"OPENAI_API_KEY_FILE": "/k"}}
    cursor(home, **{"gpt-image-2-mcp": entry})
    (found,) = await told(home, Started())
    assert found.status == "warn"
    assert found.remedy.endswith("config cursor --write --name gpt-image-2-mcp`.")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"command": "sh", "disabled": True}, "switched off"),
        ({"url": "http://127.0.0.1:8000/mcp"}, "starts no command"),
    ],
)
async def test_what_is_off_or_elsewhere_is_not_started(home: Path, entry: Any, said: str) -> None:
    started = Started()
    cursor(home, **{"gpt-image-2": entry})
    (found,) = await told(home, started)
    assert (found.status, said in found.what, started.asked) == ("ok", True, [])


async def test_offline_nothing_is_started_that_may_fetch_itself(home: Path, monkeypatch: Any) -> None:
    (home / "uvx").write_text("#!/bin/sh\n")
    (home / "uvx").chmod(0o755)
    monkeypatch.setenv("PATH", str(home))
    cursor(home, **{"gpt-image-2": {"command": "uvx", "args": ["gpt-image-2-mcp"]}})
    started = Started()
    (found,) = await told(home, started, offline=True)
    assert (found.status, started.asked) == ("warn", [])
    assert len(await told(home, started)) == len(started.asked) == 1


async def test_a_file_that_cannot_be_read_keeps_no_other_from_being_read(home: Path) -> None:
    cursor(home, **{"gpt-image-2": {"command": sys.executable, "env": {"GPT_IMAGE_2_SANDBOX": "1"}}})
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text("[")
    found = await told(home, Started())
    assert [(each.name, each.status) for each in found] == [("codex", "warn"), ("cursor: gpt-image-2", "ok")]


async def test_a_command_that_fetches_itself_first_is_slow_and_not_broken(home: Path) -> None:
    (home / "uvx").write_text("#!/bin/sh\n")
    (home / "uvx").chmod(0o755)
    cursor(home, **{"gpt-image-2": {"command": str(home / "uvx"), "args": ["gpt-image-2-mcp"]}})
    (found,) = await told(home, Started(Trial(said="It did not answer.", is_slow=True)))
    assert (found.status, "uv tool install" in found.remedy) == ("warn", True)
