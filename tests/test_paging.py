from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.paging import cursor_after, position

ZONES = st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))


@given(st.datetimes(timezones=ZONES), st.text("0123456789abcdef-", min_size=1))
def test_a_cursor_gives_back_the_place_it_was_made_of(made_at: datetime, full_id: str) -> None:
    assert position(cursor_after(made_at, full_id)) == (made_at, full_id)


@pytest.mark.parametrize("cursor", ["", "x", "|", "2026-11-22|a", "2026-11-22T12:00:00+00:00|"])
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        position(cursor)
