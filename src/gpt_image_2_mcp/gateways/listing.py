"""Asks the API for its models, which costs nothing: by that a key, an address and a clock are tried out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from gpt_image_2_mcp.errors import UpstreamError
from gpt_image_2_mcp.gateways._upstream import Timeouts, Upstream
from gpt_image_2_mcp.reports import Listing

BRIEF: Final = Timeouts(connect=5, first_byte=8, idle=5, total=9)
"""For a question that is answered at once, or about a server that is not there."""


async def list_models(upstream: Upstream) -> Listing:
    """The models that the API lists for the key, or why it does not."""
    try:
        reply = await upstream.ask("GET", "models")
    except UpstreamError as error:
        return Listing(refusal=error)
    served_at = _moment(reply.headers.get("date", ""))
    return Listing(dict(_models(reply.document)), reply.refusal, served_at)


def _models(document: Mapping[str, Any]) -> list[tuple[str, date | None]]:
    listed = document.get("data")
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    return [(str(row["id"])[:200], _day(row.get("shutdown_date"))) for row in rows if row.get("id")]


def _day(text: object) -> date | None:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
