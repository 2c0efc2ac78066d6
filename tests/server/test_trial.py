"""A server is started as a client would start it, and what it says when it does not start is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gpt_image_2_mcp.server.tools import TOOLS
from gpt_image_2_mcp.server.trial import try_out
from gpt_image_2_mcp.settings import child_environment

pytestmark = pytest.mark.anyio
OURS = ["-m", "gpt_image_2_mcp"]


async def test_our_own_server_lists_its_tools(home: Path) -> None:
    environment = child_environment({"GPT_IMAGE_2_STATE_DIR": str(home / "state")})
    trial = await try_out(sys.executable, OURS, environment, 30)
    assert (set(trial.tools), trial.said) == ({tool.name for tool in TOOLS}, "")


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit('first\\nlast words')", "last words"),
        ("pass", "It ended, or answered oddly."),
    ],
)
async def test_last_words_are_told(program: str, said: str) -> None:
    trial = await try_out(sys.executable, ["-c", program], child_environment({}), 30)
    assert (trial.tools, trial.said) == ((), said)


async def test_a_program_that_is_not_there_is_told() -> None:
    trial = await try_out("/there/is/none", [], {}, 30)
    assert trial.said == "It ended, or answered oddly."


async def test_a_server_that_says_nothing_is_given_up() -> None:
    trial = await try_out(sys.executable, ["-c", "import sys; sys.stdin.read()"], child_environment({}), 1)
    assert (trial.said, trial.is_slow) == ("It did not answer within 1 s.", True)
