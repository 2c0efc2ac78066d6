"""The bench that sends unexpected arguments to a real server."""

from __future__ import annotations

import pytest

from gpt_image_2_mcp.server.tools import TOOLS
from tests.faults.torture_arguments import torture


@pytest.mark.timeout(240)
def test_a_real_server_refuses_in_words_what_nobody_expects_and_stays() -> None:
    line, wrong = torture(sets=40, seed=4)

    assert not wrong
    assert line.startswith(f"{40 * len(TOOLS)} argument sets (")
