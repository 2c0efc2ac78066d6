"""What is sent again: only what is proven not to have been made, not for ever, and never beside a doubt."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from gpt_image_2_mcp.errors import Unreachable
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest
from tests.faults.stack import Outcome, Stack, assert_stands, outcome
from tests.faults.upstream import RawUpstream

pytestmark = pytest.mark.anyio
TWICE = [0.0, 0.0]


async def generated(stack: Stack, marker: str = "") -> Outcome:
    request = GenerateRequest(prompt=f"A fox {marker}")
    return await outcome(stack, lambda service: service.generate(request))


async def edited(stack: Stack, marker: str, n: int = 1) -> Outcome:
    request = EditRequest(prompt=f"A fox {marker}", images=["sketch.png"], n=n)
    return await outcome(stack, lambda service: service.edit(request))


# Refused before work


@pytest.mark.parametrize(
    ("script", "waits", "state", "posts"),
    [
        ("limited=7,ok", [7.0], "done", 2),
        ("limited=60,limited=0,ok", [60.0, 0.0], "done", 3),
        ("limited=ms,ok", [1.5], "done", 2),
        ("limited=,ok", [0.0], "done", 2),
        ("limited=junk,ok", [0.0], "done", 2),
        ("limited=minus,ok", [0.0], "done", 2),
        ("limited=inf,ok", [0.0], "done", 2),
        ("limited=2,limited=61", [2.0], "released", 2),
        ("limited=2,reset0", [2.0], "unknown", 2),
        ("limited=2,quota", [2.0], "released", 2),
        ("status=503+true,ok", TWICE[:1], "done", 2),
        ("status=500+true,status=409+true,ok", TWICE, "done", 3),
        ("status=503+true", TWICE, "unknown", 3),
        ("status=503+true,status=503", TWICE[:1], "unknown", 2),
        ("status=408+true,ok", TWICE[:1], "done", 2),
    ],
)
async def test_a_call_refused_before_work_is_sent_again_at_most_twice(
    stack: Stack, upstream: RawUpstream, script: str, waits: list[float], state: str, posts: int
) -> None:
    came = await generated(stack, f"[fault:{script}]")
    assert (came.state, len(upstream.paid), stack.waits) == (state, posts, waits)
    assert came.operation is not None
    assert came.operation.attempts == posts
    assert_stands(stack, upstream.posts, came)


async def test_a_rate_limit_that_does_not_end_is_given_up_after_a_quarter_of_an_hour(
    stack: Stack, upstream: RawUpstream
) -> None:
    came = await generated(stack, "[fault:limited=30]")
    assert (came.state, len(upstream.paid), stack.waits) == ("released", 31, [30.0] * 30)
    assert "It was tried 31 times" in came.told
    assert_stands(stack, upstream.posts, came)


async def test_rate_limits_leave_the_two_tries_after_other_refusals(
    stack: Stack, upstream: RawUpstream
) -> None:
    limits = "limited=3,limited=3,limited=3"
    came = await generated(stack, f"[fault:{limits},status=503+true,status=503+true,ok]")
    assert (came.state, len(upstream.paid)) == ("done", 6)
    assert_stands(stack, upstream.posts, came)


async def test_a_date_says_how_long_to_wait(stack: Stack, upstream: RawUpstream) -> None:
    came = await generated(stack, "[fault:limited=date,ok]")
    (wait,) = stack.waits
    assert 25 < wait <= 30
    assert (came.state, len(upstream.paid)) == ("done", 2)


async def test_a_rate_limit_that_names_thirty_years_is_not_sent_again(
    stack: Stack, upstream: RawUpstream
) -> None:
    came = await generated(stack, "[fault:limited=never]")
    assert (came.state, len(upstream.paid)) == ("released", 1)


async def test_the_wait_stands_in_the_journal(stack: Stack, upstream: RawUpstream) -> None:
    await generated(stack, "[fault:limited=7,status=503+true,ok]")
    first, second = stack.phases
    assert first.startswith("waiting 7 s before attempt 2: OpenAI's rate limit was reached")
    assert second.startswith("waiting 0 s before attempt 3: OpenAI failed with status 503")
    assert not first.endswith(".")  # it stands within a sentence


# Proven unsent


@contextmanager
def closed_port() -> Iterator[str]:
    with socket.socket() as taken:  # bound and not listening: nobody else gets it
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


@contextmanager
def full_backlog() -> Iterator[str]:
    """A listener that has no room for another connection: SYNs are dropped, as by a firewall."""
    with ExitStack() as opened:
        listener = opened.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(2):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@contextmanager
def silent_tls() -> Iterator[str]:
    """Accepts connections and never says hello."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/v1"


@pytest.mark.parametrize(
    "place",
    [
        closed_port,
        pytest.param(
            full_backlog,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's backlog"),
        ),
        silent_tls,
    ],
)
async def test_a_call_that_never_left_is_tried_three_times_and_released(stack: Stack, place: Any) -> None:
    with place() as base_url:
        came = await generated(replace(stack, base_url=base_url))
    assert came.state == "released"
    assert isinstance(came.error, Unreachable)
    assert "nothing was billed" in came.told
    assert came.operation is not None
    assert came.operation.attempts == 3
    assert stack.waits == TWICE
    assert_stands(stack, [], came)


async def test_a_name_that_is_not_found_counts_as_never_sent(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_found(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    came = await generated(replace(stack, base_url="http://nowhere.invalid/v1"))
    assert (came.state, stack.waits) == ("released", TWICE)
    assert "nowhere.invalid could not be reached" in came.told


@asynccontextmanager
async def no_tls() -> AsyncIterator[str]:
    """Answers a TLS hello with plain HTTP."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_a_connection_that_is_not_tls_is_not_tried_again(stack: Stack) -> None:
    async with no_tls() as base_url:
        came = await generated(replace(stack, base_url=base_url))
    assert (came.state, stack.waits) == ("released", [])
    assert "is not secure" in came.told
    assert_stands(stack, [], came)


# The fallback


async def test_an_edit_that_the_endpoint_refuses_by_model_goes_round_once(
    stack: Stack, upstream: RawUpstream
) -> None:
    came = await edited(stack, "[fault:launch]", n=3)
    assert came.operation is not None
    id_ = came.operation.id
    assert came.state == "done"
    assert sorted(p.key for p in upstream.paid) == [id_, f"{id_}-0", f"{id_}-1", f"{id_}-2"]
    assert [p.path for p in upstream.posts if not p.paid] == ["/v1/files"]
    assert [method for method, _ in upstream.others] == ["DELETE"]
    assert_stands(stack, upstream.posts, came)


@pytest.mark.parametrize(
    "mode", ["reset0", "close0", "stall0", "stallmid=0.5", "shortcl=0.5", "status=500", "status=408", "html"]
)
async def test_the_fallback_is_never_taken_after_an_unknown_outcome(
    stack: Stack, upstream: RawUpstream, mode: str
) -> None:
    came = await edited(stack, f"[fault:{mode}]")
    assert came.state == "unknown"
    assert [post.path for post in upstream.posts] == ["/v1/images/edits"]
    assert_stands(stack, upstream.posts, came)


@pytest.mark.parametrize("mode", ["moderated", "status=400", "status=404", "limited=61", "quota"])
async def test_the_fallback_is_not_taken_after_another_refusal(
    stack: Stack, upstream: RawUpstream, mode: str
) -> None:
    told = "Invalid value: 'gpt-image-2'. Value must be 'dall-e-2'."
    came = await edited(stack, f"{told} [fault:{mode}]")
    assert came.state == "released"
    assert [post.path for post in upstream.posts] == ["/v1/images/edits"]
    assert_stands(stack, upstream.posts, came)


@pytest.mark.parametrize(
    ("marker", "state", "saved", "posts"),
    [
        ("[leg0:reset0]", "done", 2, 3),
        ("[leg1:stallmid=0.5]", "done", 2, 3),
        ("[leg1:status=500][leg2:moderated]", "done", 1, 3),
        ("[leg1:shortcl=0.97]", "done", 3, 3),
        ("[leg0:reset0][leg1:stall0][leg2:status=500]", "unknown", 0, 3),
        ("[leg0:moderated][leg1:moderated][leg2:moderated]", "released", 0, 3),
        ("[leg0:limited=2][leg1:limited=2][leg2:limited=2,ok]", "done", 1, 6),
        ("[leg0:limited=2][leg1:reset0][leg2:limited=2]", "unknown", 0, 3),
        ("[leg0:status=503+true][leg1:reset0][leg2:status=503+true]", "unknown", 0, 3),
        ("[leg0:status=503+true][leg1:shortcl=0.97][leg2:moderated]", "done", 1, 3),
    ],
)
async def test_no_leg_of_the_fallback_is_sent_again_beside_one_that_may_have_been_made(
    stack: Stack, upstream: RawUpstream, marker: str, state: str, saved: int, posts: int
) -> None:
    came = await edited(stack, f"[fault:launch] {marker}", n=3)
    legs = [post for post in upstream.paid if post.path == "/v1/responses"]
    assert (came.state, len(legs)) == (state, posts)
    assert len(list(stack.pictures.iterdir())) == saved
    assert_stands(stack, upstream.posts, came)
