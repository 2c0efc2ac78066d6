"""Streamed answers, by both routes: whole, torn, odd; a picture in the making is never a result."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gpt_image_2_mcp.errors import (
    InvalidAnswer,
    ModerationBlocked,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    Rejected,
    StorageError,
    UpstreamError,
    UpstreamFailure,
)
from gpt_image_2_mcp.gateways.images import BROKE_OFF, CUT, ImagesGateway
from gpt_image_2_mcp.gateways.responses import UNDERCOUNTED, ResponsesGateway
from gpt_image_2_mcp.models import Answer, ImageJob, Receipt, Route
from gpt_image_2_mcp.ports import Gateway
from gpt_image_2_mcp.pricing import cost
from gpt_image_2_mcp.sandbox.faults import Faults
from tests.gateways.samples import (
    USAGE,
    answer_in,
    breaking,
    event,
    images_answer,
    input_image,
    job,
    responses_answer,
    spool,
    stream_of,
    text_of,
    written,
)
from tests.support.pictures import opened, picture
from tests.support.upstreams import Recorder, canned, sandboxed, scripted, upstream

pytestmark = pytest.mark.anyio

SAID: dict[str, Any] = {"size": "1024x640", "quality": "low", "background": "opaque", "output_format": "png"}
MADE = "TUFERQ=="
PART = "UEFSVA=="


def images(*texts: str, partials: int = 1, prefix: str = "image_generation") -> list[bytes]:
    """A stream of the Images API with a completed event for each of `texts`."""
    parts = [
        event(f"{prefix}.partial_image", b64_json=PART, partial_image_index=n, **SAID)
        for n in range(partials)
    ]
    return [*parts, *(event(f"{prefix}.completed", b64_json=text, usage=USAGE, **SAID) for text in texts)]


def responses(text: str | None, partials: int = 1, **call: Any) -> list[bytes]:
    """A stream of the Responses API."""
    answer = responses_answer(text, **SAID, **call)
    place: dict[str, Any] = {"output_index": 1, "item_id": "ig_1"}
    tool = "response.image_generation_call"
    return [
        event("response.created", response={"id": "resp_1", "output": [], "error": None}),
        event("response.output_item.added", item={"type": "image_generation_call", "result": None}, **place),
        event(f"{tool}.generating", **place),
        *(
            event(f"{tool}.partial_image", partial_image_b64=PART, partial_image_index=n, **place)
            for n in range(partials)
        ),
        event(f"{tool}.completed", **place),
        event("response.output_item.done", item=answer["output"][1], **place),
        event("response.completed", response=answer),
    ]


@dataclass(frozen=True)
class Api:
    """One route, with a stream of its own that holds `MADE` behind one partial picture."""

    route: Route
    gateway: Callable[[Recorder], Gateway]
    stream: list[bytes]

    def read(self, folder: Path, stream: bytes | list[bytes], *, torn: bool = False) -> Answer:
        whole = stream if isinstance(stream, bytes) else b"".join(stream)
        path = written(folder / f"0.{'part' if torn else 'resp'}", whole)
        return self.gateway(canned()).read(Receipt(self.route, (path,), torn=torn))


APIS = {
    "images": Api("images", lambda r: ImagesGateway(upstream(r)), images(MADE)),
    "responses": Api("responses", lambda r: ResponsesGateway(upstream(r), "gpt-5.4-mini"), responses(MADE)),
}
each_api = pytest.mark.parametrize("api", APIS.values(), ids=list(APIS))


@dataclass
class Told:
    """What was said of a call while it was made."""

    phases: list[str] = field(default_factory=list)

    async def __call__(self, phase: str) -> None:
        self.phases.append(phase)


# Whole streams


@each_api
@pytest.mark.parametrize("torn", [False, True])
def test_the_picture_comes_with_all_that_its_last_event_says(api: Api, torn: bool, tmp_path: Path) -> None:
    answer = api.read(tmp_path, api.stream, torn=torn)
    assert [text_of(each) for each in answer.pictures] == [MADE]
    assert answer.applied.model_dump() == SAID
    assert answer.usage is not None
    assert answer.usage.output_tokens == USAGE["output_tokens"]
    assert (answer.partials, answer.note) == (1, None)


async def by_the_sandbox(
    gateway: Gateway, work: ImageJob, folder: Path
) -> tuple[Answer, list[str], list[tuple[int, int]]]:
    """The answer, what was told, and the sizes of the partial pictures that were kept."""
    told, kept = Told(), spool(folder)
    answer = gateway.read(await gateway.send(work, kept, told))
    partials = [kept.partial(index) for index in range(3)]
    return answer, told.phases, [opened(each.data).size for each in partials if each]


@pytest.mark.parametrize("action", ["generate", "edit"])
@pytest.mark.parametrize("route", ["images", "responses"])
async def test_the_sandbox_streams_a_picture_and_its_partial_ones(
    action: Any, route: str, tmp_path: Path
) -> None:
    pictures = (input_image(data=picture()),) if action == "edit" else ()
    work = job(action, images=pictures, size="1024x640", quality="low", partial_images=2)
    gateway = APIS[route].gateway(sandboxed())
    answer, phases, partials = await by_the_sandbox(gateway, work, tmp_path)
    assert [phase.partition(", image://")[0] for phase in phases] == [
        "at partial picture 1 of 2",
        "at partial picture 2 of 2",
    ]
    assert all(phase.endswith(f"/partial/{index}") for index, phase in enumerate(phases))
    assert partials == [(1024, 640)] * 2
    assert opened(base64.b64decode(text_of(answer.pictures[0]))).size == (1024, 640)
    assert len(answer.pictures) == 1
    assert answer.partials == 2
    assert answer.usage is not None
    assert answer.usage.output_tokens == 107 + 2 * 100
    assert answer.applied.size == "1024x640"


async def test_a_picture_is_the_same_with_and_without_a_stream(tmp_path: Path) -> None:
    work = job(size="1024x640", quality="low")
    texts, costs = set(), set()
    for stream in (False, True):
        recorder = sandboxed()
        gateway = ImagesGateway(upstream(recorder), stream=stream)
        answer, phases, partials = await by_the_sandbox(gateway, work, tmp_path)
        assert (phases, partials, answer.partials) == ([], [], 0)
        assert (b'"stream":true' in recorder.requests[0].content) is stream
        texts.add(text_of(answer.pictures[0]))
        costs.add(cost("gpt-image-2", answer.usage))
    assert (len(texts), len(costs)) == (1, 1)


@each_api
async def test_a_server_that_knows_no_streams_may_answer_in_json(api: Api, tmp_path: Path) -> None:
    body = images_answer(MADE, **SAID) if api.route == "images" else responses_answer(MADE, **SAID)
    gateway = api.gateway(canned(body=body))
    answer = gateway.read(await gateway.send(job(partial_images=2), spool(tmp_path), Told()))
    assert [text_of(each) for each in answer.pictures] == [MADE]
    assert answer.partials == 0


def test_a_picture_that_comes_twice_is_one(tmp_path: Path) -> None:
    answer = APIS["images"].read(tmp_path, images(MADE, MADE))
    assert [text_of(each) for each in answer.pictures] == [MADE]
    assert answer.usage is not None
    assert answer.usage.output_tokens == USAGE["output_tokens"]


def test_two_pictures_are_two_though_one_was_asked_for_and_so_are_their_tokens(tmp_path: Path) -> None:
    answer = APIS["images"].read(tmp_path, images(MADE, "T1RIRVI="))
    assert [text_of(each) for each in answer.pictures] == [MADE, "T1RIRVI="]
    assert answer.usage is not None
    assert answer.usage.output_tokens == 2 * 196


def test_a_stream_that_completes_nothing_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer, match="holds no picture"):
        APIS["images"].read(tmp_path, event("image_generation.completed", b64_json=None))
    with pytest.raises(InvalidAnswer, match="without calling the image tool"):
        APIS["responses"].read(tmp_path, event("response.completed", response={"output": []}))
    with pytest.raises(InvalidAnswer, match="without calling the image tool"):
        APIS["responses"].read(tmp_path, event("response.completed", response=None))


# Streams that are cut


@each_api
def test_a_stream_cut_at_any_byte_gives_the_whole_picture_or_an_unknown_outcome(
    api: Api, tmp_path: Path
) -> None:
    whole = b"".join(api.stream)
    needed = whole.index(MADE.encode()) + len(MADE) + 1
    for length in range(7, len(whole) + 1):
        if length >= needed:
            answer = api.read(tmp_path, whole[:length], torn=True)
            assert [text_of(each) for each in answer.pictures] == [MADE], length
        else:
            with pytest.raises(OutcomeUnknown) as raised:
                api.read(tmp_path, whole[:length], torn=True)
            assert raised.value.message == CUT


def test_a_picture_whose_event_is_cut_behind_it_is_kept_and_said(tmp_path: Path) -> None:
    whole = b"".join(images(MADE))
    answer = APIS["images"].read(tmp_path, whole[: whole.index(b'"usage"')])
    assert (answer.note, answer.usage, answer.partials) == (BROKE_OFF, None, 1)


def test_a_response_that_is_cut_before_its_end_has_what_its_calls_said(tmp_path: Path) -> None:
    answer = APIS["responses"].read(tmp_path, responses(MADE)[:-1])
    assert answer.applied.model_dump() == SAID
    assert (answer.note, answer.usage) == (UNDERCOUNTED, None)


def test_a_response_whose_end_repeats_no_picture_has_those_of_its_calls(tmp_path: Path) -> None:
    bare = responses_answer(None)
    answer = APIS["responses"].read(
        tmp_path, [*responses(MADE)[:-1], event("response.completed", response=bare)]
    )
    assert [text_of(each) for each in answer.pictures] == [MADE]
    assert answer.usage is not None


@pytest.mark.parametrize("item", [{"type": "reasoning"}, None, "x", {"type": "message", "error": None}])
def test_a_response_that_is_cut_behind_another_item_is_cut(item: object, tmp_path: Path) -> None:
    with pytest.raises(OutcomeUnknown, match="ended before"):
        APIS["responses"].read(tmp_path, event("response.output_item.done", item=item))


def test_of_legs_that_failed_the_one_that_may_have_been_billed_is_told(tmp_path: Path) -> None:
    refused = written(tmp_path / "0.resp", event("error", error=BLOCKED))
    cut = written(tmp_path / "1.resp", b"".join(responses(MADE)[:2]))
    for bodies in ((refused, cut), (cut, refused)):
        with pytest.raises(OutcomeUnknown, match="ended before"):
            APIS["responses"].gateway(canned()).read(Receipt("responses", bodies))


@each_api
async def test_a_connection_that_breaks_before_the_picture_leaves_the_outcome_unknown(
    api: Api, tmp_path: Path
) -> None:
    cut = stream_of(api.stream[0], then=breaking(httpx2.ReadError("reset")))
    recorder = scripted(lambda _request: cut)
    with pytest.raises(OutcomeUnknown):
        await api.gateway(recorder).send(job(), spool(tmp_path), Told())
    torn = spool(tmp_path).torn()
    assert torn is not None
    with pytest.raises(OutcomeUnknown):
        api.gateway(canned()).read(torn)
    assert len(recorder.posts) == 1


@each_api
async def test_a_connection_that_breaks_behind_the_last_event_breaks_nothing(
    api: Api, tmp_path: Path
) -> None:
    late = stream_of(*api.stream, then=breaking(httpx2.ReadError("reset")))
    gateway = api.gateway(scripted(lambda _request: late))
    receipt = await gateway.send(job(partial_images=1), spool(tmp_path), Told())
    assert receipt == Receipt(api.route, (answer_in(tmp_path, api.route),))
    assert [text_of(each) for each in gateway.read(receipt).pictures] == [MADE]


# Errors in a stream

QUOTA = {"type": "insufficient_quota", "code": "credit_balance_exhausted", "message": "No money."}
BLOCKED = {
    "type": "image_generation_user_error",
    "code": "moderation_blocked",
    "message": "Your request was rejected by the safety system.",
    "moderation_details": {"moderation_stage": "output", "categories": ["violence"]},
}
FAILED = {
    "type": "image_generation_server_error",
    "code": "image_generation_failed",
    "message": "Image generation failed",
}
LIMITED = {"type": "requests", "code": "rate_limit_exceeded", "message": "Please try again in 12s."}
ODD = {"type": "invalid_request_error", "code": "odd", "message": "That is odd."}
KINDS = [
    (QUOTA, QuotaExhausted),
    (BLOCKED, ModerationBlocked),
    (FAILED, UpstreamFailure),
    (LIMITED, RateLimited),
    (ODD, Rejected),
]


def failed(api: Api, folder: Path, *stream: bytes) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        api.read(folder, b"".join(stream))
    return raised.value


@each_api
@pytest.mark.parametrize(("error", "kind"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_an_error_event_is_the_error_that_it_says(
    api: Api, error: dict[str, Any], kind: type[UpstreamError], tmp_path: Path
) -> None:
    found = failed(api, tmp_path, event("error", error=error))
    assert type(found) is kind
    assert not found.partly_made


@each_api
@pytest.mark.parametrize(("error", "kind"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
def test_an_error_behind_a_partial_picture_is_that_error_and_says_that_it_may_have_been_billed(
    api: Api, error: dict[str, Any], kind: type[UpstreamError], tmp_path: Path
) -> None:
    partials = [each for each in api.stream if PART.encode() in each]
    found = failed(api, tmp_path, *partials, event("error", error=error, sequence_number=0))
    assert type(found) is kind
    assert found.partly_made
    assert "1 partial picture(s) had come, which may have been billed." in found.message
    assert "Nothing was made" not in found.hint


def test_an_error_at_the_top_of_an_event_is_one(tmp_path: Path) -> None:
    top = event("error", code="server_error", message="Image generation failed", param=None)
    assert type(failed(APIS["responses"], tmp_path, responses(None)[0], top)) is UpstreamFailure


def test_a_response_that_failed_says_why(tmp_path: Path) -> None:
    response = {"output": [], "error": {"code": "image_content_policy_violation", "message": "No."}}
    found = failed(APIS["responses"], tmp_path, event("response.failed", response=response))
    assert type(found) is ModerationBlocked


def test_a_call_that_failed_within_a_response_says_why(tmp_path: Path) -> None:
    stream = responses(None, partials=0, error=BLOCKED)
    assert type(failed(APIS["responses"], tmp_path, *stream)) is ModerationBlocked
    assert type(failed(APIS["responses"], tmp_path, *stream[:-1])) is ModerationBlocked


@each_api
def test_an_error_behind_the_picture_costs_no_picture(api: Api, tmp_path: Path) -> None:
    answer = api.read(tmp_path, [*api.stream, event("error", error=FAILED)])
    assert [text_of(each) for each in answer.pictures] == [MADE]


@pytest.mark.parametrize("route", ["images", "responses"])
async def test_a_failure_of_the_sandbox_in_mid_stream_is_told(route: str, tmp_path: Path) -> None:
    gateway = APIS[route].gateway(sandboxed(faults=Faults(mode="stream_error")))
    receipt = await gateway.send(job(partial_images=1, size="1024x640"), spool(tmp_path), Told())
    with pytest.raises(UpstreamFailure, match="Image generation failed"):
        gateway.read(receipt)
    gateway = APIS[route].gateway(sandboxed(faults=Faults(mode="stream_cut")))
    receipt = await gateway.send(job(partial_images=1, size="1024x640"), spool(tmp_path), Told())
    if route == "images":
        with pytest.raises(OutcomeUnknown, match="ended before"):
            gateway.read(receipt)
    else:  # half of the last event is missing, and the one before it had the picture
        assert len(gateway.read(receipt).pictures) == 1


# Several legs


async def test_of_several_streamed_legs_one_that_fails_costs_no_other_its_picture(tmp_path: Path) -> None:
    answers = [stream_of(*responses(MADE)), stream_of(event("error", error=FAILED))]
    gateway = ResponsesGateway(upstream(scripted(lambda _r: answers.pop(0))), "host", stream=True)
    answer = gateway.read(await gateway.send(job(n=2), spool(tmp_path), Told()))
    assert [text_of(each) for each in answer.pictures] == [MADE]
    assert "1 more failed" in (answer.note or "")


async def test_a_streamed_leg_that_broke_off_behind_its_picture_is_kept(tmp_path: Path) -> None:
    cut = stream_of(*responses(MADE)[:-1], then=breaking(httpx2.ReadError("reset")))
    answers = [stream_of(*responses("T1RIRVI=")), cut, stream_of(then=breaking(httpx2.ReadError("reset")))]
    gateway = ResponsesGateway(upstream(scripted(lambda _r: answers.pop(0))), "host", stream=True)
    receipt = await gateway.send(job(n=3), spool(tmp_path), Told())
    assert {text_of(each) for each in gateway.read(receipt).pictures} == {MADE, "T1RIRVI="}
    assert (receipt.note or "").startswith("1 of 3 pictures failed")


# Partial pictures


def real_partials(count: int) -> list[bytes]:
    return [
        event(
            "image_generation.partial_image",
            b64_json=base64.b64encode(picture(64 + number, 48)).decode(),
            partial_image_index=number,
        )
        for number in range(count)
    ]


async def test_a_partial_picture_can_be_read_before_the_next_one_comes(tmp_path: Path) -> None:
    """Each is told of when it stands in the spool, and not before."""
    kept, widths = spool(tmp_path), list[int]()

    async def look(_phase: str) -> None:
        found = kept.partial(len(widths))
        assert found is not None
        widths.append(opened(found.data).width)
        assert kept.partial(len(widths)) is None

    gateway = ImagesGateway(
        upstream(scripted(lambda _r: stream_of(*real_partials(2), *images(MADE, partials=0))))
    )
    await gateway.send(job(partial_images=2), kept, look)
    assert widths == [64, 65]


async def test_a_partial_picture_that_is_none_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told()
    gateway = ImagesGateway(upstream(scripted(lambda _r: stream_of(*images(MADE)))))
    answer = gateway.read(await gateway.send(job(partial_images=1), spool(tmp_path), told))
    assert len(answer.pictures) == 1
    assert told.phases == []
    assert "a partial picture was not kept: A partial picture is of no known format." in caplog.text


async def test_a_journal_that_cannot_be_written_harms_nothing(tmp_path: Path) -> None:
    async def full(_phase: str) -> None:
        raise StorageError("The state folder is full.")

    stream = [*real_partials(1), *images(MADE, partials=0)]
    gateway = ImagesGateway(upstream(scripted(lambda _r: stream_of(*stream))))
    answer = gateway.read(await gateway.send(job(partial_images=1), spool(tmp_path), full))
    assert len(answer.pictures) == 1


async def test_more_partial_pictures_than_asked_for_are_counted_as_they_come(tmp_path: Path) -> None:
    told = Told()
    stream = [*real_partials(3), *images(MADE, partials=0)]
    gateway = ImagesGateway(upstream(scripted(lambda _r: stream_of(*stream))))
    await gateway.send(job(partial_images=2), spool(tmp_path), told)
    assert told.phases[-1].startswith("at partial picture 3 of 3, image://")
