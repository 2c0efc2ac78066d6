from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from gpt_image_2_mcp.assembly import open_journal
from gpt_image_2_mcp.cli import cli
from gpt_image_2_mcp.models import Operation, Placement
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.settings import read_settings
from tests.support.services import FakeClock


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["operations", "--sandbox", *arguments], prog_name="gpt-image-2-mcp")
    assert result.exit_code in (0, 1), result.output
    return result


def make(prompt: str = "a red fox") -> dict[str, Any]:
    flags = ["--size", "1024x640", "--quality", "low", "--sandbox", "--json"]
    result = CliRunner().invoke(cli, ["generate", prompt, *flags])
    document: dict[str, Any] = json.loads(result.stdout) if result.exit_code == 0 else {}
    return document


def test_the_list_shows_what_was_made_and_what_it_cost() -> None:
    made = make()
    make("a duel [moderation:input:violence]")
    head, released, done = run("list").stdout.splitlines()
    assert head.split() == ["id", "created", "state", "cost", "model"]
    assert "$" not in released, "what was refused cost nothing"
    assert done.split()[0] == made["operation_id"]
    assert ("done" in done, "released" in released) == (True, True)
    assert f"${made['cost_usd_estimated']:.4f}" in done
    assert run().stdout == run("list").stdout
    assert [o["state"] for o in json.loads(run("list", "--json").stdout)] == ["released", "done"]
    assert run("--json").stdout == run("list", "--json").stdout
    assert len(run("list", "--limit", "1").stdout.splitlines()) == 2


def test_a_flag_of_the_list_is_not_lost_in_front_of_another_command() -> None:
    result = CliRunner().invoke(cli, ["operations", "--json", "recover"])
    assert (result.exit_code, "--json stands behind the command" in result.stderr) == (2, True)


def test_one_operation_is_shown_with_its_pictures() -> None:
    made = make()
    shown = json.loads(run("show", made["operation_id"], "--json").stdout)
    assert shown["images"] == [image["file_path"] for image in made["images"]]
    assert (shown["state"], shown["attempts"], shown["failure"]) == ("done", 1, None)
    text = run("show", made["operation_id"]).stdout
    assert made["images"][0]["file_path"] in text
    assert "failure" not in text


def test_a_failed_operation_says_why() -> None:
    make("a duel [moderation:input:violence]")
    (operation,) = json.loads(run("list", "--json").stdout)
    assert operation["failure"]["code"] == "moderation_blocked"
    assert "violence" in run("show", operation["id"]).stdout


def test_an_operation_that_is_not_there_is_said_to_be_so() -> None:
    result = run("show", "nonsense")
    assert result.exit_code == 1
    assert "There is no operation with that id" in result.stderr


def test_recovery_releases_what_was_never_sent(home: Path) -> None:
    async def reserve() -> None:
        async with open_journal(read_settings({"GPT_IMAGE_2_SANDBOX": "1", "HOME": str(home)})) as journal:
            now = FakeClock()()
            options = RenderOptions(model="gpt-image-2")
            placement = Placement(home, "image", "20261122-150301", "ab" * 16)
            entered = Operation(
                "ab" * 16, "reserved", "generate", "x", options, placement, "f", "dead", now, now
            )
            await journal.reserve(replace(entered, estimate=210_905))

    asyncio.run(reserve())
    assert "<= $0.2110" in run("list").stdout
    assert run("recover").stdout == "0 done, 1 released, 0 unknown, 0 waiting\n"
    assert json.loads(run("recover", "--json").stdout)["released"] == 0
    assert "released" in run("list").stdout
