"""Each file that somebody else reads, as its reader's own validator judges it, without a network."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from tests.distribution.tools import npm_tool, said, tool
from tests.support.installed import ROOT

WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
OF_PLUGINS: Final = (
    *(".claude-plugin", "skills", "LICENSE", "README.md", "gemini-extension.json", "mcp.json"),
    *("plugin.json", "pyproject.toml", "server.json", "src"),
)


def copied(names: Iterable[str], folder: Path) -> Path:
    """What the repository holds of these, apart from what lies about in a developer's folder."""
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    folder = tmp_path / "gpt-image-2-mcp"
    folder.mkdir()
    return copied(OF_PLUGINS, folder)


def test_pyproject_is_what_build_tools_read(home: Path) -> None:
    said(home, tool("validate-pyproject"), "pyproject.toml")


def test_the_registry_entry_the_plugin_and_its_skill_keep_to_their_schemas(home: Path, plugin: Path) -> None:
    said(home, tool("skillsaw"), "lint", plugin)


def test_what_keeps_to_no_schema_is_found_by_that(home: Path, plugin: Path) -> None:
    entry = json.loads((plugin / "server.json").read_text("utf-8"))
    (plugin / "server.json").write_text(json.dumps(entry | {"version": "latest"}), "utf-8")
    with pytest.raises(AssertionError, match="must identify one exact release"):
        said(home, tool("skillsaw"), "lint", plugin)


def test_the_bundle_is_one_for_claude_desktop(home: Path) -> None:
    assert "passes" in said(home, npm_tool("mcpb"), "validate", "manifest.json")


def test_the_plugin_is_one_for_claude_codes_directory(home: Path, plugin: Path) -> None:
    said(home, npm_tool("claude"), "plugin", "validate", "--strict", "--profile", "directory", plugin)


def test_the_extension_is_one_for_gemini(home: Path, plugin: Path) -> None:
    assert "successfully validated" in said(home, npm_tool("gemini"), "extensions", "validate", plugin)


def test_the_image_is_written_as_images_should_be(home: Path) -> None:
    said(home, tool("hadolint"), "Dockerfile")


def test_compose_reads_its_file(home: Path) -> None:
    said(home, tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml")


def test_the_workflows_are_workflows_and_hold_no_known_danger(home: Path) -> None:
    said(home, tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    said(home, tool("zizmor"), "--offline", *WORKFLOWS)


def test_scripts_are_shell(home: Path) -> None:
    for script in (ROOT / ".ci" / "run", *(ROOT / "scripts").glob("*")):
        if script.suffix == "" and script.is_file():
            subprocess.run(["sh", "-n", script], check=True, timeout=10)
