"""Pictures in the making, through the whole service: asked for, seen, billed, said, and never a result."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.errors import (
    InvalidRequest,
    ModerationBlocked,
    OperationNotFound,
    OutcomeUnknown,
    PartialNotFound,
    UpstreamFailure,
)
from gpt_image_2_mcp.models import Operation, Standing
from gpt_image_2_mcp.requests import (
    ContinueSessionRequest,
    EditRequest,
    GenerateRequest,
    GetResultRequest,
    StartSessionRequest,
)
from gpt_image_2_mcp.results import WorkingResult
from gpt_image_2_mcp.sandbox.faults import Faults
from tests.gateways.samples import USAGE, event, stream_of
from tests.support.pictures import opened, picture
from tests.support.services import Bench, made, turned
from tests.support.upstreams import sandboxed, scripted

pytestmark = pytest.mark.anyio
SMALL = "1024x640"


def asked(**arguments: Any) -> GenerateRequest:
    return GenerateRequest.model_validate({"prompt": "x", "size": SMALL, "quality": "low", **arguments})


def body(bench: Bench, number: int = -1) -> dict[str, Any]:
    """What was sent."""
    document: dict[str, Any] = json.loads(bench.recorder.requests[number].content)
    return document


async def latest(bench: Bench) -> Operation:
    (operation,) = await bench.journal().recent(1)
    return operation


# Asking


async def test_partial_pictures_are_billed_and_the_result_says_so(bench: Bench) -> None:
    service = bench.service()
    plain, partly = (
        made(await service.generate(asked())),
        made(await service.generate(asked(partial_images=2))),
    )
    assert body(bench)["stream"] is True
    assert body(bench)["partial_images"] == 2
    assert plain.note is None
    assert partly.note == "2 of 2 partial pictures came; each costs 100 output tokens."
    assert plain.usage is not None
    assert partly.usage is not None
    assert partly.usage.output_tokens == plain.usage.output_tokens + 200
    assert plain.cost_usd_estimated is not None
    assert partly.cost_usd_estimated == pytest.approx(plain.cost_usd_estimated + 0.006)
    estimates = [operation.estimate or 0 for operation in await bench.journal().recent(2)]
    assert estimates[0] - estimates[1] == 6000
    assert len(partly.images) == 1


async def test_nothing_is_streamed_that_nobody_asked_for(bench: Bench) -> None:
    made(await bench.service().generate(asked(partial_images=0)))
    assert not {"stream", "partial_images"} & set(body(bench))


async def test_the_servers_own_number_holds_where_a_call_says_none(bench: Bench) -> None:
    bench.partial_images = 1
    service = bench.service()
    made(await service.generate(asked()))
    assert body(bench)["partial_images"] == 1
    made(await service.generate(asked(partial_images=3)))
    assert body(bench)["partial_images"] == 3
    made(await service.generate(asked(partial_images=0)))
    assert "partial_images" not in body(bench)


async def test_the_servers_own_number_does_not_hold_for_several_pictures(bench: Bench) -> None:
    bench.partial_images = 3
    result = made(await bench.service().generate(asked(n=2)))
    assert not {"stream", "partial_images"} & set(body(bench))
    assert (len(result.images), result.note) == (2, None)


async def test_partial_pictures_of_several_pictures_are_refused_before_anything_is_sent(bench: Bench) -> None:
    with pytest.raises(InvalidRequest, match="`n` is 2"):
        await bench.service().generate(asked(n=2, partial_images=1))
    assert bench.recorder.requests == []


async def test_edits_and_turns_have_them_too_and_a_turn_only_its_own(bench: Bench) -> None:
    service = bench.service()
    made(
        await service.edit(
            EditRequest(prompt="x", images=["sketch.png"], size=SMALL, quality="low", partial_images=1)
        )
    )
    first = turned(
        await service.start_session(
            StartSessionRequest(
                prompt="x", images=["sketch.png"], size=SMALL, quality="low", partial_images=2
            )
        )
    )
    turn = ContinueSessionRequest(prompt="x", session_id=first.session_id)
    plain = turned(await service.continue_session(turn))
    partly = turned(await service.continue_session(turn.model_copy(update={"partial_images": 3})))
    sent = [request.content for request in bench.recorder.requests]
    for number, content in zip((1, 2, None, 3), sent, strict=True):
        assert (b'name="partial_images"\r\n\r\n%d' % (number or 0) in content) is bool(number)
        assert (b'name="stream"\r\n\r\ntrue' in content) is bool(number)
    assert plain.note is None
    assert partly.note == "3 of 3 partial pictures came; each costs 100 output tokens."


# Seeing


def partial(index: int) -> bytes:
    text = base64.b64encode(picture(64 + index)).decode()
    return event("image_generation.partial_image", b64_json=text, partial_image_index=index)


END = event(
    "image_generation.completed", b64_json=base64.b64encode(picture(80)).decode(), usage=USAGE, size="80x48"
)


class Gated(httpx2.AsyncByteStream):
    """A stream whose end comes when it is let go."""

    def __init__(self, *events: bytes, end: bytes) -> None:
        self._events, self._end = events, end
        self.go_on = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for each in self._events:
            yield each
        await self.go_on.wait()
        yield self._end

    def before(self, bench: Bench) -> None:
        headers = {"content-type": "text/event-stream"}
        bench.recorder = scripted(lambda _request: httpx2.Response(200, stream=self, headers=headers))
        bench.before_close.append(self.go_on.set)


async def test_a_partial_picture_is_seen_by_every_server_while_its_call_is_made(bench: Bench) -> None:
    stream = Gated(partial(0), partial(1), end=END)
    stream.before(bench)
    said: asyncio.Queue[str] = asyncio.Queue()

    def report(standing: Standing) -> None:
        said.put_nowait(standing.doing)

    call = asyncio.ensure_future(bench.service().generate(asked(partial_images=3), Caller(report=report)))
    while not (await said.get()).startswith("at partial picture 2 of 3, image://"):
        continue
    other = bench.service()
    operation = await latest(bench)
    assert [opened((await other.partial(operation.id, n))[0]).width for n in range(2)] == [64, 65]
    assert (await other.partial(operation.id, 0))[1] == "image/png"
    with pytest.raises(PartialNotFound, match="no partial picture 2 of that call"):
        await other.partial(operation.id, 2)
    look = await other.get_result(GetResultRequest(operation_id=operation.id, wait_seconds=0))
    assert isinstance(look, WorkingResult)
    assert look.phase == f"at partial picture 2 of 3, image://{look.operation_id}/partial/1"
    stream.go_on.set()
    result = made(await call)
    assert result.note is not None
    assert "2 of 3 partial pictures came; each costs 100 output tokens." in result.note
    assert [image.width for image in result.images] == [80]
    assert opened((await other.partial(operation.id, 1))[0]).width == 65
    assert [path.name for path in bench.spool.iterdir() if ".partial-" not in path.name] == []


async def test_a_picture_in_the_making_of_no_call_is_not_there(bench: Bench) -> None:
    service = bench.service()
    for id_ in ("nonsense", "../../etc/passwd", "*", ""):
        with pytest.raises(OperationNotFound):
            await service.partial(id_, 0)
    made(await service.generate(asked()))
    operation = await latest(bench)
    for index in (0, 3, -1, 10**9):
        with pytest.raises(PartialNotFound, match="partial picture"):
            await service.partial(operation.id, index)


# Never a result


async def test_a_stream_that_is_cut_behind_its_partial_pictures_is_no_success(bench: Bench) -> None:
    bench.recorder = scripted(lambda _request: stream_of(partial(0), partial(1), END[:90]))
    with pytest.raises(OutcomeUnknown, match="ended before the picture was complete"):
        await bench.service().generate(asked(partial_images=2))
    operation = await latest(bench)
    assert operation.state == "unknown"
    assert bench.names() == []
    assert (await bench.service().partial(operation.id, 1))[1] == "image/png"


@pytest.mark.parametrize(("partials", "state"), [(0, "released"), (1, "unknown")])
async def test_a_picture_that_is_refused_behind_a_partial_one_may_have_been_billed(
    partials: int, state: str, bench: Bench
) -> None:
    refusal = {"code": "moderation_blocked", "message": "No."}
    bench.recorder = scripted(
        lambda _request: stream_of(*(partial(n) for n in range(partials)), event("error", error=refusal))
    )
    with pytest.raises(ModerationBlocked) as raised:
        await bench.service().generate(asked(partial_images=2))
    operation = await latest(bench)
    assert operation.state == state
    assert ("may have been billed" in str(raised.value)) is bool(partials)
    assert (f"It is kept as operation {operation.id}." in str(raised.value)) is bool(partials)
    assert bench.names() == []


async def test_the_sandbox_refuses_a_finished_picture_with_its_partial_ones_told(bench: Bench) -> None:
    with pytest.raises(ModerationBlocked, match=r"2 partial picture\(s\) had come"):
        await bench.service().generate(asked(prompt="[moderation:output:violence]", partial_images=2))
    assert (await latest(bench)).state == "unknown"


async def test_a_failure_in_mid_stream_is_not_sent_again(bench: Bench) -> None:
    bench.recorder = sandboxed(faults=Faults(mode="stream_error"))
    with pytest.raises(UpstreamFailure):
        await bench.service().generate(asked(partial_images=1))
    assert len(bench.recorder.posts) == 1
    assert (await latest(bench)).state == "unknown"


async def test_a_refusal_before_the_stream_has_its_status_and_is_sent_again_where_that_is_safe(
    bench: Bench,
) -> None:
    bench.recorder = sandboxed(faults=Faults(mode="rate_limit", count=1, retry_after=7))
    result = made(await bench.service().generate(asked(partial_images=1)))
    assert bench.waits == [7.0]
    assert (len(bench.recorder.posts), len(result.images)) == (2, 1)
