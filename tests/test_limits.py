"""The limits and their settings."""

from __future__ import annotations

from dataclasses import fields

import pytest

from gpt_image_2_mcp.limits import MB, TABLE, Limit, Limits


def test_every_limit_is_a_setting() -> None:
    assert sorted(limit.field for limit in TABLE) == sorted(field.name for field in fields(Limits))


@pytest.mark.parametrize("limit", TABLE, ids=lambda limit: limit.name)
def test_every_default_is_in_its_own_range(limit: Limit) -> None:
    assert limit.lowest <= limit.default <= limit.highest
    assert limit.name.endswith("_MB") == (limit.unit == MB)


def test_a_picture_of_just_under_fifty_megabytes_is_one_of_fifty() -> None:
    assert next(limit.default for limit in TABLE if limit.field == "each_input") == 50
