"""A person at a terminal is shown the price and chooses by a number."""

from __future__ import annotations

import sys

import pytest

from gpt_image_2_mcp.alternatives import Alternative
from gpt_image_2_mcp.commands.asking import ask
from gpt_image_2_mcp.consent import Quote
from gpt_image_2_mcp.errors import ConsentDeclined

pytestmark = pytest.mark.anyio
CHEAPER = Alternative({"quality": "low"}, 6_065)
QUOTE = Quote("gpt-image-2", 1, 210_800, 210_905, 10_000, (CHEAPER,))


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _prompt: lines.pop(0))
    return lines


async def test_the_price_and_the_ways_are_shown_beside_the_result(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    typed.append("1")

    assert await ask(QUOTE) == Alternative({}, 210_905)
    shown = capsys.readouterr()
    assert shown.out == ""
    told = [line for line in shown.err.splitlines() if not line.startswith("DEBUG ")]  # logs of other tests
    assert told[:4] == [
        "The call will cost about $0.2108, at most $0.210905.",
        "0: do not make it",
        "1: make it",
        "2: quality=low (at most $0.006065)",
    ]


async def test_a_cheaper_way_is_taken_by_its_number(typed: list[str]) -> None:
    typed.extend(["9", "two", "2"])

    assert await ask(QUOTE) == CHEAPER
    assert typed == [], sys.platform


async def test_nought_is_no(typed: list[str]) -> None:
    typed.append("0")

    with pytest.raises(ConsentDeclined, match=r"^The call was not made\.$"):
        await ask(QUOTE)
