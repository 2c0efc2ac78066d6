"""What a call would cost, on the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from gpt_image_2_mcp.cli import cli


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["estimate", *arguments])


def test_what_is_known_is_told_to_the_ten_thousandth_of_a_dollar() -> None:
    said = run("a fox", "--size", "1024x1024", "--quality", "high", "--n", "2", "--input", "1024x1024")

    # Each 5 // 4 + 16 tokens of text, or at most 37; 1024 of the input, 7024 of the picture.
    assert said.output == "Expected $0.4380, at most $0.4382.\n"


def test_a_range_is_told_with_its_reasons() -> None:
    said = run("--model", "gpt-image-2.6-flare", "--quality", "low", "--output-format", "gif")

    assert ", at least $" in said.output
    assert "- size auto can mean the dearest that gpt-image-2.6-flare has\n" in said.output
    assert "is not published" in said.output
    assert "a GIF is reckoned as one picture of all its frames" in said.output


def test_scripts_get_numbers() -> None:
    said = json.loads(run("--quality", "low", "--size", "1024x1024", "--input", "?", "--json").output)

    assert said["model"] == "gpt-image-2"
    assert said["least_usd"] <= said["expected_usd"] <= said["most_usd"]
    assert said["expected_usd"] == pytest.approx((16 * 5 + 1024 * 8 + 196 * 30) / 1e6)
    assert len(said["caveats"]) == 1


def test_a_batch_is_half_the_price_where_there_is_one() -> None:
    asked = ("--quality", "low", "--size", "1024x1024", "--json")
    whole, half = (json.loads(run(*asked, *more).output)["most_usd"] for more in ((), ("--batch",)))

    assert half == pytest.approx(whole / 2, abs=1e-6)
    refused = run("--model", "gpt-image-2.6-flare", "--batch")
    assert refused.exit_code == 2
    assert "What gpt-image-2.6-flare costs at the rates of the Batch API is not known." in refused.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--model", "gpt-image-3"), "What gpt-image-3 costs is not known"),
        (("--model", "gpt-image-1"), "OpenAI shut gpt-image-1 down"),
        (("--quality", "xhigh"), "gpt-image-2.5-flare"),
        (("--size", "1000x1000"), "The nearest legal size is"),
        (("--input", "large"), "--input large is no WIDTHxHEIGHT"),
    ],
)
def test_what_cannot_be_is_refused_as_the_tools_refuse_it(arguments: tuple[str, ...], told: str) -> None:
    refused = run(*arguments)

    assert refused.exit_code == 2
    assert told in refused.output
