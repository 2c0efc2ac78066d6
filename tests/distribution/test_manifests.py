"""What registries, plugin markets and desktop apps are told: it names what exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

import manifests
from gpt_image_2_mcp.image_formats.headers import read_header
from gpt_image_2_mcp.schemas import input_schema
from gpt_image_2_mcp.server.tools import TOOLS
from gpt_image_2_mcp.settings import read_settings
from gpt_image_2_mcp.variables import TABLE

ROOT: Final = Path(__file__).resolve().parents[2]
NAMES: Final = tuple(manifests.manifests(ROOT))
SETTINGS: Final = {setting.name for setting in TABLE}


def document(name: str) -> Any:
    return json.loads((ROOT / name).read_text("utf-8"))


def servers() -> dict[str, dict[str, Any]]:
    """How each client is to start the server."""
    plugin, agents, gemini = map(
        document, (".claude-plugin/plugin.json", "mcp.json", "gemini-extension.json")
    )
    return {
        "Claude Code": plugin["mcpServers"]["gpt-image-2-mcp"],
        "Agent Plugins": agents["mcpServers"]["gpt-image-2-mcp"],
        "Gemini CLI": gemini["mcpServers"]["gpt-image-2-mcp"],
        "Claude Desktop": document("manifest.json")["server"]["mcp_config"],
    }


@pytest.mark.parametrize("client", list(servers()))
def test_each_starts_the_server_of_its_own_folder_and_sets_what_the_server_reads(client: str) -> None:
    server = servers()[client]
    assert server["command"] in ("uv", "uvx")
    assert any(re.fullmatch(r"\$\{\w+\}", word) for word in server["args"])
    assert set(server["env"]) - {"UV_COMPILE_BYTECODE"} <= SETTINGS


@pytest.mark.parametrize("client", list(servers()))
def test_a_placeholder_that_a_client_leaves_as_it_is_counts_as_not_set(client: str) -> None:
    left = {name: value for name, value in servers()[client]["env"].items() if "{" in value}
    assert read_settings(left) == read_settings({})


@pytest.mark.parametrize(
    ("name", "fields"), [("manifest.json", "user_config"), (".claude-plugin/plugin.json", "userConfig")]
)
def test_every_answer_that_a_person_is_asked_for_is_used(name: str, fields: str) -> None:
    asked = set(document(name)[fields])
    assert asked == set(re.findall(r"\$\{user_config\.(\w+)\}", (ROOT / name).read_text("utf-8")))


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_a_secret_and_no_argument(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert "sk-" not in text
    assert "KEY" not in json.dumps([server["args"] for server in servers().values()])
    for field in re.findall(r"\{[^{}]*OpenAI API key[^{}]*\}", text):
        assert re.search(r'"(sensitive|isSecret)": true', field)


def test_the_registrys_variables_are_settings_and_its_description_fits() -> None:
    entry = document("server.json")
    (package,) = entry["packages"]
    assert {variable["name"] for variable in package["environmentVariables"]} <= SETTINGS
    assert len(entry["description"]) <= 100
    assert f"<!-- mcp-name: {entry['name']} -->" in (ROOT / "README.md").read_text("utf-8")


def test_the_bundle_lists_the_servers_tools() -> None:
    assert [tool["name"] for tool in document("manifest.json")["tools"]] == [spec.name for spec in TOOLS]


def test_the_icon_is_square_and_of_the_size_that_markets_want() -> None:
    header = read_header((ROOT / manifests.ICON).read_bytes())
    assert header is not None
    assert str(header.size) == "512x512"


def test_the_skill_names_tools_and_arguments_that_exist() -> None:
    text = (ROOT / "skills/gpt-image-2-mcp/SKILL.md").read_text("utf-8")
    names = {spec.name for spec in TOOLS}
    arguments = {name for spec in TOOLS for name in input_schema(spec.request)["properties"]}
    named = set(re.findall(r"`([a-z_]+)`", text))
    assert named <= names | arguments | {"latest", "low"}
    assert {"generate_image", "get_result", "max_cost_usd"} <= named


def test_no_second_server_comes_with_the_plugin() -> None:
    """Claude Code also starts what a .mcp.json at the root of a plugin names."""
    assert not (ROOT / ".mcp.json").exists()


def test_no_lock_of_uv_is_kept_since_it_names_registries() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
