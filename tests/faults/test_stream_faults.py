"""Every way a stream can fail a call: what the caller is told, what is on disk, and that it was sent once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest
from PIL import Image

from gpt_image_2_mcp.requests import EditRequest, GenerateRequest
from tests.faults.stack import PATIENT, Outcome, Stack, assert_stands, outcome
from tests.faults.standing import is_partial
from tests.faults.upstream import RawUpstream

pytestmark = pytest.mark.anyio
Call = Callable[[Stack, str], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Case:
    """`mode` of a call with two partial pictures, and what must come of it."""

    mode: str
    state: str
    code: str = ""
    told: str = ""
    raw: bool = False
    """Whether the raw stream is kept."""
    partials: int = 2

    def __str__(self) -> str:
        return self.mode


CAME = "2 of 2 partial pictures came; each costs 100 output tokens."
UNKNOWN = "may have been"
BILLED = "2 partial picture(s) had come, which may have been billed."
BROKE_OFF = "The answer broke off; the pictures that had come whole were kept."
CASES = [
    Case("sse", "done", told=CAME),
    Case("sse=0.05", "done", told=CAME),
    Case("sse_odd=lf", "done", told=CAME),
    Case("sse_odd=crlf", "done", told=CAME),
    Case("sse_odd=cr", "done", told=CAME),
    Case("sse_twice", "done", told=CAME),
    Case("sse_late", "done", told=CAME),
    Case("sse_idle", "done", told=CAME),
    # it breaks off
    Case("sse_cut_clean", "unknown", "outcome_unknown", UNKNOWN, raw=True),
    Case("sse_cut_fin", "unknown", "outcome_unknown", UNKNOWN, raw=True),
    Case("sse_cut_rst", "unknown", "outcome_unknown", UNKNOWN, raw=True),
    Case("sse_stall", "unknown", "upstream_timeout", UNKNOWN, raw=True),
    Case("sse_half", "unknown", "outcome_unknown", UNKNOWN, raw=True),
    Case("sse_half=0.999", "done", told=CAME),
    # it says why there is no picture
    Case("sse_err=moderation_blocked", "unknown", "moderation_blocked", BILLED, raw=True),
    Case("sse_err=insufficient_quota", "unknown", "quota_exhausted", BILLED, raw=True),
    Case("sse_err=server_error", "unknown", "upstream_failure", BILLED, raw=True),
    Case("sse_err=odd", "unknown", "rejected", BILLED, raw=True),
    Case("sse_err=rate_limit_exceeded", "unknown", "rate_limited", BILLED, raw=True),
    # there is no stream
    Case("reset0", "unknown", "outcome_unknown", UNKNOWN, partials=0),
    Case("stall0", "unknown", "upstream_timeout", UNKNOWN, partials=0),
    Case("moderated", "released", "moderation_blocked", "Reword", partials=0),
    Case("status=500", "unknown", "upstream_failure", UNKNOWN, partials=0),
    Case("error_in_200", "unknown", "upstream_failure", UNKNOWN, raw=True, partials=0),
    Case("html", "unknown", "invalid_answer", "begins: <html>", raw=True, partials=0),
    Case("then_close", "done", told=CAME),
    Case("jpeg", "done", told="0 of 2 partial pictures came", partials=0),
]


async def generated(stack: Stack, mode: str) -> Outcome:
    request = GenerateRequest(prompt=f"A fox [fault:{mode}]", partial_images=2)
    return await outcome(stack, lambda service: service.generate(request))


async def edited(stack: Stack, mode: str) -> Outcome:
    request = EditRequest(prompt=f"A fox [fault:{mode}]", images=["sketch.png"], partial_images=2)
    return await outcome(stack, lambda service: service.edit(request))


async def edited_round(stack: Stack, mode: str) -> Outcome:
    request = EditRequest(
        prompt=f"A fox [fault:launch] [leg0:{mode}]", images=["sketch.png"], partial_images=2
    )
    return await outcome(stack, lambda service: service.edit(request))


def check(stack: Stack, upstream: RawUpstream, came: Outcome, case: Case) -> None:
    assert came.operation is not None
    assert (came.state, came.error.code if came.error else "") == (case.state, case.code)
    assert case.told in came.told
    assert came.operation.attempts == 1
    assert len(list(stack.pictures.iterdir())) == (case.state == "done")
    kept = list((stack.state / "spool").iterdir())
    assert any(not is_partial(path) for path in kept) == case.raw
    assert sum(is_partial(path) for path in kept) == case.partials
    assert_stands(stack, upstream.posts, came)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("call", [generated, edited])
async def test_a_streamed_call_is_sent_once_and_ends_as_it_must(
    call: Call, stack: Stack, upstream: RawUpstream, case: Case
) -> None:
    came = await call(stack, case.mode)
    assert came.operation is not None
    check(stack, upstream, came, case)
    assert [post.key for post in upstream.paid] == [came.operation.id]


ROUND = [
    Case("sse", "done", told=CAME),
    Case("sse_late", "done", told=CAME),
    Case("sse_cut_clean", "unknown", "outcome_unknown", UNKNOWN, raw=True),
    Case("sse_cut_rst", "unknown", "outcome_unknown", UNKNOWN, raw=True),
    Case("sse_half", "unknown", "outcome_unknown", UNKNOWN, raw=True),
    Case("sse_err=moderation_blocked", "unknown", "moderation_blocked", BILLED, raw=True),
    Case("sse_err=server_error", "unknown", "upstream_failure", BILLED, raw=True),
    Case("status=500", "unknown", "upstream_failure", UNKNOWN, partials=0),
]


@pytest.mark.parametrize("case", ROUND, ids=str)
async def test_a_call_that_is_streamed_round_by_the_responses_api_ends_as_it_must(
    stack: Stack, upstream: RawUpstream, case: Case
) -> None:
    came = await edited_round(stack, case.mode)
    assert came.operation is not None
    check(stack, upstream, came, case)
    id_ = came.operation.id
    assert [post.key for post in upstream.paid] == [id_, f"{id_}-0"]


@pytest.mark.parametrize("case", [c for c in CASES if c.state == "unknown" and c.raw], ids=str)
async def test_an_unknown_outcome_stays_as_it_is_and_no_partial_picture_becomes_a_result(
    stack: Stack, upstream: RawUpstream, case: Case
) -> None:
    came = await generated(stack, case.mode)
    await stack.recover()
    assert await stack.latest() == came.operation
    assert len(upstream.paid) == 1
    assert list(stack.pictures.iterdir()) == []


async def test_tokens_of_partial_pictures_are_in_the_usage_and_the_cost(
    stack: Stack, upstream: RawUpstream
) -> None:
    came = await generated(stack, "sse")
    assert came.result is not None
    assert came.result.usage is not None
    assert came.result.usage.output_tokens == 196 + 200
    assert came.result.cost_usd_estimated == pytest.approx((10 * 8 + 396 * 30) / 1e6)


async def test_a_line_of_60_mb_is_kept(stack: Stack, upstream: RawUpstream) -> None:
    came = await generated(replace(stack, timeouts=PATIENT), "sse_huge=60")
    assert came.result is not None
    (image,) = came.result.images
    assert image.size_bytes > 44_000_000
    with Image.open(image.file_path) as opened:
        opened.load()
    assert_stands(stack, upstream.posts, came)


async def test_a_connection_is_kept_for_the_next_call(stack: Stack, upstream: RawUpstream) -> None:
    async with stack.service() as service:
        for _ in range(3):
            await service.generate(GenerateRequest(prompt="A fox", partial_images=1))
    assert (len(upstream.paid), upstream.connections) == (3, 1)
