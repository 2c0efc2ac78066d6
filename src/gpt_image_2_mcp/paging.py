"""Lists of pictures, a page at a time: how long one is, and the cursor of what follows."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gpt_image_2_mcp.errors import InvalidRequest

PAGE: Final = 50


def cursor_after(made_at: datetime, full_id: str) -> str:
    """The cursor of the page that follows this picture."""
    return f"{made_at.isoformat()}|{full_id}"


def position(cursor: str) -> tuple[datetime, str]:
    """When the picture was made that a page follows, and its whole id.

    Raises:
        InvalidRequest: the cursor is none that a page gave.
    """
    moment, _, id_ = cursor.partition("|")
    try:
        made_at = datetime.fromisoformat(moment)
    except ValueError:
        made_at = None
    if made_at is None or made_at.tzinfo is None or not id_:
        raise InvalidRequest(
            "That cursor is none that a page of this list gave.", hint="Begin with the first page."
        )
    return made_at, id_
