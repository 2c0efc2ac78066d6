"""The list of models as the API gives it, and what becomes of answers that are none."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import httpx2
import pytest

from gpt_image_2_mcp.errors import AuthenticationFailed, Unreachable, UpstreamError
from gpt_image_2_mcp.gateways.listing import list_models
from gpt_image_2_mcp.reports import Listing
from tests.support.upstreams import canned, sandboxed, scripted, upstream

pytestmark = pytest.mark.anyio
DATE = {"Date": "Sun, 22 Nov 2026 12:00:00 GMT"}


async def listing(recorder: Any) -> Listing:
    return await list_models(upstream(recorder))


async def test_the_sandbox_lists_its_models_and_nothing_is_paid() -> None:
    recorder = sandboxed()
    found = await listing(recorder)
    assert found.models["gpt-image-2"] is None
    assert found.refusal is None
    assert [(r.method, r.url.path) for r in recorder.requests] == [("GET", "/v1/models")]


async def test_days_and_the_servers_time_are_read() -> None:
    rows = [{"id": "a", "shutdown_date": "2026-12-01"}, {"id": "b", "shutdown_date": "soon"}, {"id": None}, 3]
    found = await listing(canned(body={"data": rows}, headers=DATE))
    assert found.models == {"a": date(2026, 12, 1), "b": None}
    assert found.served_at == datetime(2026, 11, 22, 12, tzinfo=UTC)


async def test_a_refusal_tells_the_time_too() -> None:
    found = await listing(canned(401, {"error": {"code": "invalid_api_key"}}, DATE))
    assert isinstance(found.refusal, AuthenticationFailed)
    assert found.served_at is not None


@pytest.mark.parametrize("body", [{}, {"data": "none"}, {"data": []}])
async def test_a_list_of_nothing_is_empty(body: Any) -> None:
    assert await listing(canned(body=body)) == Listing()


async def test_what_is_no_object_is_said_to_be_none() -> None:
    found = await listing(canned(raw=b"<html>", headers={"Date": "yesterday"}))
    assert type(found.refusal) is UpstreamError
    assert found.served_at is None


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    def nobody(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    assert isinstance((await listing(scripted(nobody))).refusal, Unreachable)
