from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gpt_image_2_mcp.cli import cli


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["spend", "--sandbox", *arguments], prog_name="gpt-image-2-mcp")
    assert result.exit_code == 0, result.output
    return result


def shown(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("--json", *arguments).stdout)
    return found


def make(**flags: str) -> Result:
    options = {"size": "1024x640", "quality": "low", **flags}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return CliRunner().invoke(cli, ["generate", "a red fox", "--sandbox", "--json", *words])


def cost(result: Result) -> float:
    found: float = json.loads(result.stdout)["cost_usd_estimated"]
    return found


def test_what_was_made_is_what_was_spent() -> None:
    made = cost(make()) + cost(make(model="gpt-image-2.5-flare"))
    found = shown()
    assert [period["period"] for period in found["periods"]] == ["day", "month", "total"]
    total = found["periods"][-1]
    assert (total["calls"], total["spent_usd"]) == (2, pytest.approx(made))
    assert found["sandbox"]
    text = run().stdout
    assert f"In total: 2 call(s), ${made:.6f}".rstrip("0") in text
    assert "gpt-image-2" not in text
    assert "gpt-image-2.5-flare: 1 call(s)" in run("--by", "model").stdout


def test_a_budget_is_shown_with_what_is_left_and_refuses_what_is_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPT_IMAGE_2_BUDGET_TOTAL_USD", "0.02")
    made = cost(make())
    refused = make(quality="high")
    assert refused.exit_code == 4
    assert "Call again with quality=low" in refused.stderr
    total = shown()["periods"][-1]
    assert (total["limit_usd"], total["left_usd"]) == (0.02, pytest.approx(0.02 - made))


def test_csv_has_the_periods_or_what_was_asked_for() -> None:
    empty = run("--csv", "--by", "day").stdout
    assert empty == "name,calls,spent_usd,reserved_usd,unknown_usd\n"
    made = cost(make())
    (group,) = csv.DictReader(run("--csv", "--by", "model").stdout.splitlines())
    assert group == {
        "name": "gpt-image-2",
        "calls": "1",
        "spent_usd": f"{made:.6f}",
        "reserved_usd": "0.000000",
        "unknown_usd": "0.000000",
    }
    periods = list(csv.DictReader(run("--csv").stdout.splitlines()))
    assert [period["period"] for period in periods] == ["day", "month", "total"]
    assert {period["limit_usd"] for period in periods} == {""}


def test_a_split_can_begin_on_another_day() -> None:
    make()
    assert shown("--by", "day", "--since", "2026-01-01")["since"] == "2026-01-01T00:00:00.000Z"
    assert shown("--by", "day", "--since", "2100-01-01")["groups"] == []


def test_a_day_to_begin_with_is_not_passed_over_where_nothing_says_how_to_split() -> None:
    make()
    assert "By model since 2026-01-01:\n- gpt-image-2: 1 call(s)" in run("--since", "2026-01-01").stdout
    assert run("--since", "2026-01-01", "--csv").stdout.startswith("name,")


def test_a_ledger_that_cannot_be_read_is_said_to_be_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "state").write_text("in the way")
    monkeypatch.setenv("GPT_IMAGE_2_STATE_DIR", "state")
    result = CliRunner().invoke(cli, ["spend"])
    assert result.exit_code == 1
    assert "cannot be used" in result.stderr
