"""Colour profiles, told from what only has their place."""

from __future__ import annotations

import pytest

from gpt_image_2_mcp.capabilities import MAX_ICC_BYTES
from gpt_image_2_mcp.image_formats import icc
from gpt_image_2_mcp.image_formats.layout import Unfit
from tests.image_formats.samples import profile


def test_a_profile_is_kept_and_what_stands_behind_it_is_not() -> None:
    assert icc.genuine(profile()) == profile()
    assert icc.genuine(profile() + b"SECRET") == profile()


def test_what_is_no_profile_is_none() -> None:
    short = (100).to_bytes(4, "big") + profile()[4:]

    for other in (b"", b"SECRET" * 100, profile()[:-1], profile()[:100], short):
        assert icc.genuine(other) == b""


def test_a_profile_may_be_4_mb() -> None:
    icc.check_length(MAX_ICC_BYTES)
    with pytest.raises(Unfit, match="a colour profile of more than 4 MB"):
        icc.check_length(MAX_ICC_BYTES + 1)
