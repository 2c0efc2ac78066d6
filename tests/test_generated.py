"""The documents that scripts/generate.py writes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from gpt_image_2_mcp.cli import COMMANDS
from gpt_image_2_mcp.commands.operations import operations
from gpt_image_2_mcp.commands.running import EXIT_CODES
from gpt_image_2_mcp.commands.session import session
from gpt_image_2_mcp.server.tools import TOOLS
from gpt_image_2_mcp.sizes import SIZE_PRESETS
from gpt_image_2_mcp.variables import TABLE
from pages.models import COST_SIZES

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "scripts" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_generated_document_is_current(generate: ModuleType) -> None:
    assert list(generate.stale()) == [], "run scripts/generate.py"


def test_documents_are_the_same_each_time(generate: ModuleType) -> None:
    assert generate.documents() == generate.documents()


def test_no_document_names_a_place_on_this_machine(generate: ModuleType) -> None:
    for name, text in generate.documents().items():
        assert str(ROOT) not in text, name
        assert str(Path.home()) not in text, name


def test_every_setting_and_every_tool_is_in_each_document_about_them(generate: ModuleType) -> None:
    documents = generate.documents()
    for setting in TABLE:
        for name in (".env.example", "docs/settings.md"):
            assert setting.name in documents[name], name
    for tool in TOOLS:
        for name in ("docs/tools.md", "README.md"):
            assert tool.name in documents[name], name
    for command in COMMANDS:
        assert f"## gpt-image-2-mcp {command}\n" in documents["docs/cli.md"]
    for group in (operations, session):
        for subcommand in group.commands:
            assert f"## gpt-image-2-mcp {group.name} {subcommand}\n" in documents["docs/cli.md"]
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |\n" in documents["docs/cli.md"]


def test_costs_are_given_for_every_landscape_preset(generate: ModuleType) -> None:
    table = generate.costs_table()
    assert "| 1024x1024 | $0.006 | $0.053 | $0.211 |" in table
    assert {size for size in SIZE_PRESETS if size != "1024x1536"} <= set(COST_SIZES)


def test_uncommenting_all_of_env_example_gives_values_that_a_shell_can_read(generate: ModuleType) -> None:
    values = [
        line for line in generate.env_example().splitlines() if line.startswith("#") and line[1:2] != " "
    ]
    assert [value[1:].split("=")[0] for value in values] == [setting.name for setting in TABLE]
    assert not [value for value in values if set(value) & set(" <>|&;$`")]


@pytest.fixture
def copy(generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root of its own with what the generator reads, and no generated file."""
    root = tmp_path / "copy"
    (root / "docs").mkdir(parents=True)
    for name in (*generate.WITH_BLOCKS, "pyproject.toml"):
        (root / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    (root / generate.PACKAGE).mkdir(parents=True)
    monkeypatch.setattr(generate, "ROOT", root)
    return root


def test_check_names_stale_files_and_changes_nothing(generate: ModuleType, copy: Path) -> None:
    before = sorted(copy.rglob("*"))
    result = CliRunner().invoke(generate.main, ["--check"])
    assert result.exit_code == 1
    assert "stale: docs/tools.md\n" in result.output
    assert sorted(copy.rglob("*")) == before


def test_without_check_the_files_are_written_and_current_from_then_on(
    generate: ModuleType, copy: Path
) -> None:
    assert CliRunner().invoke(generate.main, []).exit_code == 0
    assert json.loads((copy / "tests/golden/tools.json").read_text("utf-8"))
    result = CliRunner().invoke(generate.main, ["--check"])
    assert (result.exit_code, result.output) == (0, "")
