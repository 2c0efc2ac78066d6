"""`batch` as people run it, on the sandbox."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gpt_image_2_mcp.cli import cli
from tests.support.pictures import picture

SMALL = {"size": "1024x640", "quality": "low"}


def run(*arguments: str, sandbox: bool = True, typed: str = "") -> Result:
    flags = ["--sandbox"] if sandbox else []
    return CliRunner().invoke(
        cli, ["batch", "b.jsonl", *flags, *arguments], prog_name="gpt-image-2-mcp", input=typed
    )


def write(home: Path, *objects: dict[str, Any]) -> None:
    (home / "b.jsonl").write_text("".join(json.dumps({**SMALL, **each}) + "\n" for each in objects))


def said(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    return document


@pytest.fixture
def two(home: Path) -> None:
    write(home, {"id": "fox", "prompt": "a fox"}, {"id": "hen", "prompt": "a hen"})


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits there."""
    monkeypatch.setattr("gpt_image_2_mcp.commands.batch._somebody_is_there", lambda: True)


@pytest.mark.usefixtures("two")
def test_the_pictures_of_a_file_are_made_and_each_is_told_with_its_price(home: Path) -> None:
    result = run("--output-dir", "out")
    assert result.exit_code == 0, result.output
    assert "2 line(s) to send, at most $0.00" in result.stderr
    assert result.stdout.startswith("2 line(s): 2 done. Cost: $0.0")
    assert len(list((home / "out").glob("image-*.png"))) == 2
    assert sorted(re.findall(r"^\[\d/2\] (\w+): done, \$0", result.stderr, re.MULTILINE)) == ["fox", "hen"]
    again = run("--output-dir", "out")
    assert (again.exit_code, again.stdout) == (0, result.stdout)
    assert again.stderr == ""


@pytest.mark.usefixtures("two")
def test_the_manifest_says_where_the_pictures_are(home: Path) -> None:
    made = said(run("--json"))
    rows = [json.loads(line) for line in (home / "b.manifest.jsonl").read_text().splitlines()[1:]]
    done = {row["id"]: row["files"] for row in rows if row["state"] == "done"}
    assert done == {line["id"]: line["files"] for line in made["lines"]}
    assert not (home / "b.manifest.jsonl.lock").exists()


@pytest.mark.usefixtures("two")
def test_a_dry_run_says_what_it_would_cost_and_makes_nothing(home: Path) -> None:
    result = run("--dry-run")
    assert result.exit_code == 0
    assert "Nothing was sent. 2 line(s): 0 done, 0 to collect, 2 to send." in result.stdout
    planned = said(run("--dry-run", "--json"))
    assert 0 < planned["expected_usd"] <= planned["most_usd"] < 0.01
    assert not (home / "b.manifest.jsonl").exists()
    made = said(run("--json"))
    assert made["cost_usd"] <= planned["most_usd"]
    assert said(run("--dry-run", "--json"))["charged_usd"] == pytest.approx(made["cost_usd"])
    assert "- Charged for earlier runs: $0.0" in run("--dry-run").stdout


@pytest.mark.usefixtures("two")
def test_a_batch_that_can_cost_more_than_it_may_is_refused_before_anything_is_sent(home: Path) -> None:
    refused = run("--max-cost-usd", "0.005")
    assert refused.exit_code == 4
    assert "which is more than the $0.005 of --max-cost-usd" in refused.stderr
    assert not (home / "b.manifest.jsonl").exists()
    assert run("--max-cost-usd", "0.01").exit_code == 0


def test_what_earlier_runs_cost_counts_in(home: Path) -> None:
    write(home, {"prompt": "a fox"})
    assert run("--max-cost-usd", "0.005").exit_code == 0
    write(home, {"prompt": "a fox"}, {"prompt": "a hen"})
    refused = run("--max-cost-usd", "0.005")
    assert refused.exit_code == 4
    assert "of it for what was sent" in refused.stderr


def test_a_price_that_is_not_known_cannot_be_kept(home: Path) -> None:
    write(home, {"prompt": "a fox", "model": "some-other-model"})
    refused = run("--max-cost-usd", "5")
    assert refused.exit_code == 4
    assert "What line 1 costs is not known" in refused.stderr
    assert "1 line(s) to send have no known price" in run("--dry-run").stdout


@pytest.mark.usefixtures("two")
def test_where_dear_calls_need_consent_the_batch_needs_it_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPT_IMAGE_2_CONFIRM_USD", "0.001")
    refused = run()
    assert refused.exit_code == 4
    assert "2 call(s) can cost more than $0.001 each" in refused.stderr
    assert not (home / "b.manifest.jsonl").exists()
    assert run("--max-cost-usd", "1").exit_code == 0


@pytest.mark.usefixtures("two", "terminal")
def test_on_a_terminal_a_person_agrees_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT_IMAGE_2_CONFIRM_USD", "0.001")
    declined = run(typed="n\n")
    assert (declined.exit_code, "The batch was not begun" in declined.stderr) == (4, True)
    assert run(typed="y\n").exit_code == 0


def test_a_wrong_line_is_a_usage_error(home: Path) -> None:
    write(home, {"prompt": "x", "colour": "red"})
    result = run()
    assert result.exit_code == 2
    assert "Line 1: There is no argument `colour`" in result.stderr


def test_a_file_that_is_no_text_is_a_usage_error(home: Path) -> None:
    (home / "b.jsonl").write_bytes(b"\xff\xfe{}")
    result = run()
    assert result.exit_code == 2
    assert "b.jsonl cannot be read (it is not text in UTF-8)" in result.stderr


def test_line_breaks_that_are_none_in_json_part_no_line(home: Path) -> None:
    (home / "b.jsonl").write_text(json.dumps({**SMALL, "prompt": "a\u2028fox"}, ensure_ascii=False))
    assert run().exit_code == 0


def test_a_refused_line_is_exit_code_1_and_a_budget_4(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, {"prompt": "a duel [moderation:input:violence]"})
    assert run().exit_code == 1
    monkeypatch.setenv("GPT_IMAGE_2_BUDGET_TOTAL_USD", "0.001")
    dry = run("--dry-run")
    assert "- Line 1: The call can cost" in dry.stdout
    assert run().exit_code == 4


def test_without_a_key_it_stops_with_one_sentence(home: Path) -> None:
    write(home, {"prompt": "a fox"}, {"prompt": "a hen"})
    result = run("--concurrency", "1", sandbox=False)
    assert result.exit_code == 2
    assert "Stopped: No OpenAI API key is set" in result.stderr
    assert "1 failed, 1 not begun" in result.stdout


def test_pictures_that_the_file_names_may_lie_anywhere(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpt_image_2_mcp.roots._temporary", lambda: iter(()))
    (tmp_path / "a.png").write_bytes(picture())
    write(home, {"prompt": "add snow", "images": ["../a.png"]})
    assert run().exit_code == 0


def test_a_manifest_of_the_sandbox_is_not_gone_on_with_for_money(home: Path) -> None:
    write(home, {"prompt": "a fox"})
    assert run().exit_code == 0
    result = run(sandbox=False)
    assert result.exit_code == 2
    assert "are journalled in the sandbox" in result.stderr


def upset(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line whose outcome is not known, as its first run leaves it."""
    write(home, {"prompt": "a fox"})
    row = {"line": 1, "state": "unknown", "operation_id": "ab" * 16, "at": "2026-11-27T00:00:00Z"}
    made = said(run("--json"))["lines"][0]
    path = home / "b.manifest.jsonl"
    head = path.read_text().splitlines()[0]
    path.write_text(f"{head}\n{json.dumps({**row, 'id': made['id'], 'digest': made['digest']})}\n")


@pytest.mark.usefixtures("terminal")
def test_on_a_terminal_a_person_is_asked_about_what_may_have_been_billed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upset(home, monkeypatch)
    assert "1 line(s) may have been billed without a picture: --retry-unknown" in run("--dry-run").stdout
    left = run(typed="n\n")
    assert (left.exit_code, "Send them again?" in left.stderr) == (3, True)
    again = run(typed="y\n")
    assert again.exit_code == 0, sys.platform
