"""The capability table on the command line."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from gpt_image_2_mcp.capabilities import MODELS, facts_of
from gpt_image_2_mcp.cli import cli


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", *arguments])


def test_every_model_has_a_line_with_its_end() -> None:
    lines = run().output.splitlines()

    assert [line.split()[0] for line in lines[1 : len(MODELS) + 1]] == [model.id for model in MODELS]
    assert sum("2026-12-01" in line for line in lines) == 3


def test_every_line_says_what_a_picture_costs() -> None:
    lines = run().output.splitlines()

    assert "  $0.006 to 0.211" in lines[1]
    assert all(" $0." in line for line in lines[1 : len(MODELS) + 1])


def test_of_one_model_all_is_told_with_its_source() -> None:
    said = run("gpt-image-2.6-flare").output

    assert said.count("\n      ") == len(facts_of(MODELS[0]))
    assert "  input tokens: patches\n      unknown: stated nowhere, read 2026-11-22\n" in said
    assert "  markup: yes\n" in said
    assert run("gpt-image-2.5-flare-2026-09-08").output.startswith("gpt-image-2.5-flare\n")


def test_scripts_get_every_fact_with_source_date_and_confidence() -> None:
    said = json.loads(run("--json").output)

    assert [each["id"] for each in said] == [model.id for model in MODELS]
    for each in said:
        for name in facts_of(MODELS[0]):
            assert set(each[name]) == {"value", "where", "read", "confidence"}
    assert said[0]["prices"]["value"]["image_out"] == 30
    assert said[5]["shutdown"]["value"] == "2026-12-01"


def test_a_model_that_is_not_in_the_table_is_named_with_those_that_are() -> None:
    refused = run("gpt-image-9")

    assert refused.exit_code == 2
    assert "gpt-image-2.6-sunburst" in refused.output
