"""The clients as data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpt_image_2_mcp.clients.places import Places, system_of
from gpt_image_2_mcp.clients.table import CLIENTS, client_named
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.server.profiles import named

LINUX = Places("linux", Path("/home/me"), Path("/home/me/.config"), Path("/project"))
MAC = replace(LINUX, system="macos", home=Path("/Users/me"), config=Path("/Users/me/.config"))
WINDOWS = replace(LINUX, system="windows", home=Path("C:/me"), config=Path("C:/me/AppData/Roaming"))


def test_every_client_is_one_that_the_server_knows() -> None:
    assert len({client.name for client in CLIENTS}) == len(CLIENTS) == 10
    assert [named(client.name).name for client in CLIENTS] == [client.name for client in CLIENTS]


@pytest.mark.parametrize(
    ("name", "linux", "macos", "windows"),
    [
        (
            "claude-desktop",
            ".config/Claude/claude_desktop_config.json",
            "Library/Application Support/Claude/claude_desktop_config.json",
            "AppData/Roaming/Claude/claude_desktop_config.json",
        ),
        ("claude-code", ".claude.json", ".claude.json", ".claude.json"),
        ("cursor", ".cursor/mcp.json", ".cursor/mcp.json", ".cursor/mcp.json"),
        (
            "vscode",
            ".config/Code/User/mcp.json",
            "Library/Application Support/Code/User/mcp.json",
            "AppData/Roaming/Code/User/mcp.json",
        ),
        ("codex", ".codex/config.toml", ".codex/config.toml", ".codex/config.toml"),
        ("gemini-cli", ".gemini/settings.json", ".gemini/settings.json", ".gemini/settings.json"),
        ("windsurf", *[".codeium/windsurf/mcp_config.json"] * 3),
        (
            "zed",
            ".config/zed/settings.json",
            ".config/zed/settings.json",
            "AppData/Roaming/Zed/settings.json",
        ),
        (
            "cline",
            ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
            "Library/Application Support/Code/User/globalStorage/saoudrizwan.claude-dev/settings/"
            "cline_mcp_settings.json",
            "AppData/Roaming/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
        ),
        ("lm-studio", ".lmstudio/mcp.json", ".lmstudio/mcp.json", ".lmstudio/mcp.json"),
    ],
)
def test_each_client_has_its_file_on_each_system(name: str, linux: str, macos: str, windows: str) -> None:
    client = client_named(name)
    assert client.path(LINUX) == LINUX.home / linux
    assert client.path(MAC) == MAC.home / macos
    assert client.path(WINDOWS) == WINDOWS.home / windows


def test_a_person_can_have_moved_a_clients_folder() -> None:
    moved = replace(LINUX, moved={"CODEX_HOME": Path("/c"), "CLAUDE_CONFIG_DIR": Path("/d")})
    assert client_named("codex").path(moved) == Path("/c/config.toml")
    assert client_named("claude-code").path(moved) == Path("/d/.claude.json")


def test_some_clients_have_a_file_in_the_project_and_the_others_say_so() -> None:
    assert client_named("vscode").files(LINUX)[-1] == Path("/project/.vscode/mcp.json")
    with pytest.raises(InvalidRequest, match="Windsurf has no file for a project"):
        client_named("windsurf").path(LINUX, project=True)


def test_an_unknown_client_is_named_with_those_that_are_known() -> None:
    with pytest.raises(InvalidRequest, match=r"There is no client emacs\. There are claude-desktop, "):
        client_named("emacs")


def test_systems_go_by_the_names_that_python_has_for_them() -> None:
    assert [system_of(name) for name in ("linux", "darwin", "win32")] == ["linux", "macos", "windows"]
