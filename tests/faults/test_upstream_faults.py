"""Every way the API can fail a call: what the caller is told, how often it was sent, what is on disk."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from PIL import Image

from gpt_image_2_mcp.limits import MB, Limits
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest
from tests.faults.stack import PATIENT, Outcome, Stack, assert_stands, outcome
from tests.faults.upstream import RawUpstream

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class Case:
    """`mode` of a generation of `n` pictures, and what must come of it."""

    mode: str
    state: str
    code: str = ""
    told: str = ""
    saved: int = 0
    n: int = 1
    raw: bool = False
    """Whether the raw answer is kept."""

    def __str__(self) -> str:
        return f"{self.mode} n={self.n}"


async def generated(stack: Stack, mode: str, n: int = 1) -> Outcome:
    request = GenerateRequest(prompt=f"A fox [fault:{mode}]", n=n)
    return await outcome(stack, lambda service: service.generate(request))


UNKNOWN = "may have been"
BROKE_OFF = "The answer broke off; the pictures that had come whole were kept."
CASES = [
    Case("ok", "done", saved=1),
    Case("ok", "done", saved=3, n=3),
    Case("delay=0.3", "done", saved=1),
    Case("then_close", "done", saved=1),
    # the request left and no answer came
    Case("reset0", "unknown", "outcome_unknown", UNKNOWN),
    Case("close0", "unknown", "outcome_unknown", UNKNOWN),
    Case("stall0", "unknown", "upstream_timeout", UNKNOWN),
    # the answer breaks off
    Case("stallmid=0.5", "unknown", "upstream_timeout", UNKNOWN, raw=True),
    Case("resetmid=0.5", "unknown", "outcome_unknown", UNKNOWN, raw=True),
    Case("shortcl=0.5", "unknown", "outcome_unknown", UNKNOWN, raw=True),
    Case("lyingcl=0.5", "unknown", "invalid_answer", UNKNOWN, raw=True),
    Case("truncjson=0.5", "unknown", "invalid_answer", UNKNOWN, raw=True),
    Case("until_close=0.5", "unknown", "invalid_answer", UNKNOWN, raw=True),
    Case("drip=0.2", "unknown", "upstream_timeout", UNKNOWN, raw=True),
    Case("stallmid=0.55", "done", told=BROKE_OFF, saved=2, n=4),
    Case("resetmid=0.55", "done", told=BROKE_OFF, saved=2, n=4),
    Case("shortcl=0.55", "done", told=BROKE_OFF, saved=2, n=4),
    Case("lyingcl=0.55", "done", told=BROKE_OFF, saved=2, n=4),
    Case("truncjson=0.55", "done", told=BROKE_OFF, saved=2, n=4),
    Case("until_close=0.55", "done", told=BROKE_OFF, saved=2, n=4),
    Case("shortcl=0.995", "done", told=BROKE_OFF, saved=4, n=4),
    # the answer holds something else
    Case("nothing", "unknown", "invalid_answer", UNKNOWN, raw=True),
    Case("error_in_200", "unknown", "upstream_failure", UNKNOWN, raw=True),
    Case("refusal_in_200", "released", "moderation_blocked", "Reword"),
    Case("html", "unknown", "invalid_answer", "begins: <html><body>Please log in", raw=True),
    Case("empty", "unknown", "invalid_answer", "holds no picture", raw=True),
    Case("badb64", "unknown", "invalid_answer", "base64", raw=True),
    Case("badb64", "done", told="One picture was lost", saved=2, n=3, raw=True),
    Case("unpadded", "done", told="One picture was lost", saved=2, n=3, raw=True),
    Case("not_a_picture", "unknown", "invalid_answer", "no known format", raw=True),
    Case("not_a_picture", "done", told="One picture was lost", saved=1, n=2, raw=True),
    Case("jpeg", "done", told="output_format='jpeg'", saved=1),
    Case("count=1", "done", told="3 picture(s) were asked for and 1 came.", saved=1, n=3),
    Case("count=3", "done", told="1 picture(s) were asked for and 3 came.", saved=3),
    Case("compressed", "unknown", "invalid_answer", UNKNOWN, raw=True),
    # refusals
    Case("status=400", "released", "rejected", "Nothing was made"),
    Case("status=401", "released", "authentication_failed", "OPENAI_API_KEY"),
    Case("status=403", "released", "access_denied", "platform.openai.com"),
    Case("status=404", "released", "rejected", "OPENAI_BASE_URL"),
    Case("moderated", "released", "moderation_blocked", "Reword"),
    Case("quota", "released", "quota_exhausted", "billing"),
    Case("limited=61", "released", "rate_limited", "Wait 61 s"),
    Case("status=429+false", "released", "rate_limited", "Wait"),
    Case("launch", "released", "edits_reject_model", "Value must be 'dall-e-2'"),
    # answers after which nobody knows
    Case("status=408", "unknown", "upstream_timeout", UNKNOWN),
    Case("status=409", "unknown", "outcome_unknown", UNKNOWN),
    Case("status=500", "unknown", "upstream_failure", UNKNOWN),
    Case("slow_status=500", "unknown", "upstream_failure", UNKNOWN),
    Case("slow_status=504", "unknown", "upstream_failure", UNKNOWN),
    Case("status=503", "unknown", "upstream_failure", UNKNOWN),
    Case("status=503+false", "unknown", "upstream_failure", UNKNOWN),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_call_is_sent_once_and_ends_as_it_must(
    stack: Stack, upstream: RawUpstream, case: Case
) -> None:
    came = await generated(stack, case.mode, case.n)
    assert came.operation is not None
    assert (came.state, came.error.code if came.error else "") == (case.state, case.code)
    assert case.told in came.told
    assert [post.key for post in upstream.paid] == [came.operation.id]
    assert came.operation.attempts == 1
    assert len(list(stack.pictures.iterdir())) == case.saved
    assert bool(list((stack.state / "spool").iterdir())) == case.raw
    assert_stands(stack, upstream.posts, came)


@pytest.mark.parametrize("case", [c for c in CASES if c.state == "unknown"], ids=str)
async def test_an_unknown_outcome_says_where_it_is_kept_and_stays_as_it_is(
    stack: Stack, upstream: RawUpstream, case: Case
) -> None:
    came = await generated(stack, case.mode, case.n)
    assert came.operation is not None
    assert f"It is kept as operation {came.operation.id}." in came.told
    await stack.recover()
    assert await stack.latest() == came.operation
    assert len(upstream.paid) == 1


async def test_the_same_picture_asked_for_in_another_size_is_kept_and_said(
    stack: Stack, upstream: RawUpstream
) -> None:
    request = GenerateRequest(prompt="A fox [pixels:640x480]", size="1024x1024")
    came = await outcome(stack, lambda service: service.generate(request))
    assert came.result is not None
    assert came.result.note == "Size 1024x1024 was asked for and 640x480 was made."
    assert came.result.applied.size == "640x480"
    assert_stands(stack, upstream.posts, came)


async def test_a_kept_connection_that_upstream_closes_is_replaced(
    stack: Stack, upstream: RawUpstream
) -> None:
    async with stack.service() as service:
        for _ in range(3):
            await service.generate(GenerateRequest(prompt="A fox [fault:then_close]"))
    assert (len(upstream.paid), upstream.connections) == (3, 3)
    assert_stands(stack, upstream.posts)


async def test_a_connection_is_kept_for_the_next_call(stack: Stack, upstream: RawUpstream) -> None:
    async with stack.service() as service:
        for _ in range(3):
            await service.generate(GenerateRequest(prompt="A fox"))
    assert (len(upstream.paid), upstream.connections) == (3, 1)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(
    stack: Stack, upstream: RawUpstream, status: int
) -> None:
    with RawUpstream() as other:
        upstream.elsewhere = other.base_url
        came = await generated(stack, f"redirect={status}")
        assert (other.connections, other.posts) == (0, [])
    assert (came.state, len(upstream.paid)) == ("released", 1)
    assert "redirects are not followed" in came.told
    assert_stands(stack, upstream.posts, came)


async def test_a_body_of_60_mb_is_kept(stack: Stack, upstream: RawUpstream) -> None:
    came = await generated(replace(stack, timeouts=PATIENT), "huge=60")
    assert came.result is not None
    (image,) = came.result.images
    assert image.size_bytes > 44_000_000
    with Image.open(image.file_path) as opened:
        opened.load()
    assert_stands(stack, upstream.posts, came)


async def test_a_body_over_the_limit_is_cut_and_kept_as_unknown(stack: Stack, upstream: RawUpstream) -> None:
    came = await generated(replace(stack, limits=Limits(answer=2 * MB)), "huge=5")
    assert (came.state, len(upstream.paid)) == ("unknown", 1)
    assert "larger than 2 MB" in came.told
    (kept,) = (stack.state / "spool").iterdir()
    assert kept.stat().st_size <= 2 * 1024 * 1024
    assert_stands(stack, upstream.posts, came)


async def test_the_headers_of_a_paid_call_hold_its_operation_and_the_key_alone_is_secret(
    stack: Stack, upstream: RawUpstream
) -> None:
    async with stack.service() as service:
        await service.generate(GenerateRequest(prompt="A fox"))
        await service.edit(EditRequest(prompt="A fox", images=["sketch.png"]))
    generation, edit = upstream.paid
    assert generation.key != edit.key
    for post in (generation, edit):
        assert len(post.key) == 32
        assert post.headers["accept-encoding"] == "identity"
        assert post.headers["authorization"].startswith("Bearer ")
    assert_stands(stack, upstream.posts)
