from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gpt_image_2_mcp.cli import cli
from tests.support.pictures import picture

SMALL = ("--size", "1024x640", "--quality", "low")


@pytest.fixture(autouse=True)
def sketch(home: Path) -> None:
    (home / "sketch.png").write_bytes(picture())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["session", *arguments], prog_name="gpt-image-2-mcp")


def said(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--sandbox", "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_a_session_is_started_gone_on_with_listed_and_ended() -> None:
    first = said("start", "A lighthouse", "sketch.png", *SMALL)
    second = said("continue", first["session_id"], "More orange")
    assert (first["turn"], second["turn"]) == (1, 2)
    assert second["requested"]["size"] == "1024x640"
    (listed,) = said("list")["sessions"]
    assert (listed["session_id"], listed["turns"]) == (first["session_id"], 2)
    assert first["session_id"] in run("list", "--sandbox").stdout
    assert said("end", first["session_id"])["ended"] is True
    assert said("list")["sessions"] == []


def test_without_a_command_the_active_sessions_are_listed() -> None:
    assert run().stdout == "No active edit sessions.\n"
    assert json.loads(run("--sandbox", "--json").stdout) == {"sessions": []}


@pytest.mark.parametrize("flag", ["--json", "--sandbox"])
def test_a_flag_of_the_list_is_not_lost_in_front_of_another_command(flag: str) -> None:
    result = run(flag, "end", "edit-1")
    assert (result.exit_code, "stand behind the command" in result.stderr) == (2, True)


def test_a_session_that_is_not_there_cannot_be_ended_or_gone_on_with() -> None:
    ended, continued = run("end", "edit-1"), run("continue", "edit-1", "More", "--sandbox")
    assert (ended.exit_code, continued.exit_code) == (1, 1)
    assert "There is no active session with that id" in ended.stderr


def test_an_id_that_can_be_none_is_a_usage_error() -> None:
    assert run("end", "x" * 300).exit_code == 2
