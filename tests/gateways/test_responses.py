"""The Responses route: inputs up and down again, one POST a picture, answers put together."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gpt_image_2_mcp.errors import (
    ImageServerError,
    InvalidAnswer,
    InvalidRequest,
    ModerationBlocked,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    Rejected,
    StorageError,
    UpstreamError,
    UpstreamFailure,
    UpstreamTimeout,
)
from gpt_image_2_mcp.gateways import responses
from gpt_image_2_mcp.gateways._upstream import Timeouts
from gpt_image_2_mcp.gateways.responses import UNDERCOUNTED, ResponsesGateway
from gpt_image_2_mcp.models import (
    Answer,
    CachedTokens,
    ImageJob,
    InputTokens,
    OutputTokens,
    Receipt,
    SvgUsage,
    Usage,
)
from tests.gateways.samples import (
    OPERATION,
    PROMPT,
    USAGE,
    FakeResponsesApi,
    Streamed,
    answer_in,
    input_image,
    job,
    ok,
    responses_answer,
    spool,
    text_of,
    untold,
    written,
)
from tests.support.pictures import mask, picture
from tests.support.upstreams import CANARY, Recorder, canned, sandboxed, scripted, streamed, upstream

pytestmark = pytest.mark.anyio

Script = list[httpx2.Response | Exception]
HOST = "gpt-5.5-mini"
MASK = input_image("mask.png", b"mask")


def refusal(
    status: int, message: str = "No.", code: str | None = None, headers: dict[str, str] | None = None
) -> httpx2.Response:
    return streamed(status, json.dumps({"error": {"message": message, "code": code}}).encode(), headers)


def gateway_to(transport: httpx2.AsyncBaseTransport, timeouts: Timeouts = Timeouts()) -> ResponsesGateway:
    return ResponsesGateway(upstream(transport, timeouts), HOST)


async def sent(api: FakeResponsesApi, folder: Path, work: ImageJob | None = None) -> Receipt:
    return await gateway_to(scripted(api)).send(work or job("edit"), spool(folder), untold)


async def sent_bodies(folder: Path, work: ImageJob) -> list[dict[str, Any]]:
    recorder = scripted(FakeResponsesApi())
    await gateway_to(recorder).send(work, spool(folder), untold)
    return [json.loads(r.content) for r in recorder.requests if r.url.path.endswith("/responses")]


def read(folder: Path, *bodies: Any, note: str | None = None) -> Answer:
    paths = tuple(written(folder / f"{leg}.resp", body) for leg, body in enumerate(bodies))
    return gateway_to(canned()).read(Receipt("responses", paths, note))


# What is sent


async def test_the_image_tool_is_forced_and_its_model_pinned(tmp_path: Path) -> None:
    (body,) = await sent_bodies(tmp_path, job("edit", model="gpt-image-2.5-flare", size="1024x1024"))
    assert body["tool_choice"] == {"type": "image_generation"}
    assert body["tools"] == [
        {"type": "image_generation", "action": "edit", "model": "gpt-image-2.5-flare", "size": "1024x1024"}
    ]
    assert body["model"] == HOST
    assert body["store"] is False


async def test_prompt_and_pictures_are_one_user_message_in_order(tmp_path: Path) -> None:
    images = tuple(input_image(f"{n}.png", bytes([n])) for n in range(3))
    (body,) = await sent_bodies(tmp_path, job("edit", images=images))
    (message,) = body["input"]
    assert message["role"] == "user"
    assert message["content"][0] == {"type": "input_text", "text": PROMPT}
    assert [part["file_id"] for part in message["content"][1:]] == ["file-1", "file-2", "file-3"]


async def test_a_mask_goes_as_the_tools_mask_and_not_as_a_picture(tmp_path: Path) -> None:
    (body,) = await sent_bodies(tmp_path, job("edit", mask=MASK))
    assert body["tools"][0]["input_image_mask"] == {"file_id": "file-2"}
    assert [part.get("file_id") for part in body["input"][0]["content"]] == [None, "file-1"]


async def test_count_and_user_are_no_options_of_the_tool(tmp_path: Path) -> None:
    bodies = await sent_bodies(tmp_path, job("edit", n=2, safety_identifier="u-7"))
    assert [body["safety_identifier"] for body in bodies] == ["u-7", "u-7"]
    assert all({"n", "safety_identifier"}.isdisjoint(body["tools"][0]) for body in bodies)
    assert all("n" not in body for body in bodies)


async def test_a_user_id_that_this_route_refuses_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    recorder = scripted(FakeResponsesApi())
    with pytest.raises(InvalidRequest, match="64"):
        await gateway_to(recorder).send(job("edit", safety_identifier="u" * 65), spool(tmp_path), untold)
    assert not recorder.requests
    await gateway_to(recorder).send(job("edit", safety_identifier="u" * 64), spool(tmp_path), untold)


async def test_three_pictures_are_three_posts_and_three_bodies(tmp_path: Path) -> None:
    api = FakeResponsesApi([ok(responses_answer(text)) for text in ("AAAA", "BBBB", "CCCC")])
    receipt = await sent(api, tmp_path, job("edit", n=3))
    assert api.log.count("POST responses") == 3
    assert receipt.bodies == tuple(answer_in(tmp_path, "responses", leg) for leg in range(3))
    answer = gateway_to(canned()).read(receipt)
    assert sorted(text_of(each) for each in answer.pictures) == ["AAAA", "BBBB", "CCCC"]
    assert answer.note is None


async def test_each_leg_carries_the_id_of_its_operation_and_its_number(tmp_path: Path) -> None:
    recorder = scripted(FakeResponsesApi())
    await gateway_to(recorder).send(job("edit", n=3), spool(tmp_path), untold)
    keys = {r.headers.get("idempotency-key") for r in recorder.requests if r.url.path.endswith("/responses")}
    assert keys == {f"{OPERATION}-0", f"{OPERATION}-1", f"{OPERATION}-2"}
    others = [r for r in recorder.requests if not r.url.path.endswith("/responses")]
    assert len(others) == 2
    assert not any("idempotency-key" in r.headers for r in others)


# Inputs up, inputs away


async def test_inputs_go_up_before_and_are_deleted_after(tmp_path: Path) -> None:
    api = FakeResponsesApi()
    await sent(api, tmp_path, job("edit", images=(input_image(), input_image()), mask=MASK, n=2))
    assert api.log == ["POST files"] * 3 + ["POST responses"] * 2 + ["DELETE files"] * 3
    assert api.deleted == list(api.uploaded)


async def test_the_uploaded_bytes_are_the_pictures(tmp_path: Path) -> None:
    api = FakeResponsesApi()
    await sent(
        api, tmp_path, job("edit", images=(input_image(data=b"first"),), mask=input_image(data=b"second"))
    )
    pairs = zip((b"first", b"second"), api.uploaded.values(), strict=True)
    assert all(data in body for data, body in pairs)
    assert all(b'name="purpose"\r\n\r\nvision' in body for body in api.uploaded.values())


async def test_an_upload_is_noted_before_the_next_request_goes_out(tmp_path: Path) -> None:
    api = FakeResponsesApi()
    noted: list[tuple[str, ...]] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        noted.append(spool(tmp_path).uploads())
        return api(request)

    await gateway_to(scripted(handler)).send(job("edit", mask=MASK), spool(tmp_path), untold)
    both = ("file-1", "file-2")
    assert noted == [(), ("file-1",), both, both, both]
    assert spool(tmp_path).uploads() == ()


async def test_an_upload_that_cannot_be_noted_is_not_used_and_nothing_is_paid(tmp_path: Path) -> None:
    api = FakeResponsesApi()
    with pytest.raises(StorageError, match="cannot be written"):
        await sent(api, tmp_path / "gone")
    assert api.log == ["POST files"]


async def test_what_a_killed_process_left_is_deleted_by_the_next_one(tmp_path: Path) -> None:
    before = spool(tmp_path)
    before.note_upload("file-1")
    before.note_upload("file-2")
    recorder = canned(body={"deleted": True})
    await gateway_to(recorder).tidy(spool(tmp_path))
    assert [(r.method, r.url.path) for r in recorder.requests] == [
        ("DELETE", "/v1/files/file-1"),
        ("DELETE", "/v1/files/file-2"),
    ]
    await gateway_to(recorder).tidy(spool(tmp_path))
    assert len(recorder.requests) == 2
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]


async def test_what_was_never_uploaded_costs_no_request(tmp_path: Path) -> None:
    recorder = canned()
    await gateway_to(recorder).tidy(spool(tmp_path))
    assert recorder.requests == []


@pytest.mark.parametrize(
    "failure",
    [
        httpx2.ReadError("reset"),
        httpx2.ConnectError("refused"),
        refusal(400, code="moderation_blocked"),
        refusal(500),
        RuntimeError("a bug"),
    ],
    ids=["reset", "refused", "400", "500", "bug"],
)
async def test_inputs_are_deleted_when_the_call_fails(failure: Any, tmp_path: Path) -> None:
    api = FakeResponsesApi([failure])
    with pytest.raises((ImageServerError, RuntimeError)):
        await sent(api, tmp_path, job("edit", mask=MASK))
    assert api.log.count("POST responses") == 1
    assert api.deleted == ["file-1", "file-2"]


class Waiting(httpx2.AsyncBaseTransport):
    """Answers files at once and responses never."""

    def __init__(self, api: FakeResponsesApi) -> None:
        self._api = api
        self.asked = asyncio.Event()
        self.deleting = asyncio.Event()
        self.may_delete = asyncio.Event()
        self.cleaned_up = asyncio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/responses"):
            self.asked.set()
            await asyncio.Event().wait()
        if request.method == "DELETE":
            self.deleting.set()
            await self.may_delete.wait()
        await request.aread()
        answer = self._api(request)
        if self._api.deleted == list(self._api.uploaded):
            self.cleaned_up.set()
        return answer


async def test_inputs_are_deleted_when_the_call_is_cancelled(tmp_path: Path) -> None:
    api = FakeResponsesApi()
    transport = Waiting(api)
    call = asyncio.ensure_future(gateway_to(transport).send(job("edit", mask=MASK), spool(tmp_path), untold))
    await transport.asked.wait()
    assert not api.deleted
    transport.may_delete.set()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert api.deleted == ["file-1", "file-2"]


async def test_inputs_are_deleted_though_the_call_is_cancelled_twice(tmp_path: Path) -> None:
    api = FakeResponsesApi()
    transport = Waiting(api)
    call = asyncio.ensure_future(gateway_to(transport).send(job("edit", mask=MASK), spool(tmp_path), untold))
    await transport.asked.wait()
    call.cancel()
    await transport.deleting.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not api.deleted
    transport.may_delete.set()
    async with asyncio.timeout(1):
        await transport.cleaned_up.wait()
    assert api.deleted == ["file-1", "file-2"]


async def test_what_is_up_is_deleted_when_a_later_upload_fails_and_nothing_is_paid(tmp_path: Path) -> None:
    api = FakeResponsesApi()

    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST" and len(api.uploaded) == 1:
            return refusal(400, "Invalid file.")
        return api(request)

    with pytest.raises(Rejected, match=r"Invalid file\."):
        await gateway_to(scripted(handler)).send(job("edit", mask=MASK), spool(tmp_path), untold)
    assert api.log == ["POST files", "DELETE files"]


@pytest.mark.parametrize(
    "failure", [httpx2.ReadError("reset"), httpx2.ReadTimeout("slow"), refusal(500), refusal(409)]
)
async def test_an_upload_that_fails_is_not_taken_for_a_paid_call_that_did(
    failure: Any, tmp_path: Path
) -> None:
    def handler(_request: httpx2.Request) -> httpx2.Response:
        if isinstance(failure, Exception):
            raise failure
        assert isinstance(failure, httpx2.Response)
        return failure

    recorder = scripted(handler)
    with pytest.raises(UpstreamError) as raised:
        await gateway_to(recorder).send(job("edit"), spool(tmp_path), untold)
    assert not isinstance(raised.value, OutcomeUnknown)
    assert "nothing was billed" in raised.value.hint
    assert recorder.posts == ["/v1/files"]


@pytest.mark.parametrize(
    "document",
    [{}, {"id": None}, {"id": 7}, {"id": ""}, {"id": "../models/x"}, {"id": "a?b"}, {"id": "\ud800"}],
)
async def test_an_upload_without_a_usable_id_stops_the_call(document: Any, tmp_path: Path) -> None:
    recorder = canned(body=document)
    with pytest.raises(UpstreamError, match="no file id") as raised:
        await gateway_to(recorder).send(job("edit"), spool(tmp_path), untold)
    assert "nothing was billed" in raised.value.hint
    assert recorder.posts == ["/v1/files"]


@pytest.mark.parametrize(
    "failure", [refusal(404), refusal(500), httpx2.ReadError("reset"), streamed(200, b"x")]
)
async def test_a_deletion_that_fails_costs_no_picture(
    failure: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api = FakeResponsesApi()

    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.method != "DELETE" or request.url.path.endswith("file-2"):
            return api(request)
        if isinstance(failure, Exception):
            raise failure
        assert isinstance(failure, httpx2.Response)
        return failure

    receipt = await gateway_to(scripted(handler)).send(job("edit", mask=MASK), spool(tmp_path), untold)
    assert gateway_to(canned()).read(receipt).pictures
    assert api.deleted == ["file-2"]
    assert "left to expire" in caplog.text
    assert CANARY not in caplog.text


async def test_a_deletion_that_stalls_does_not_hold_up_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(responses, "_CLEAN_UP_S", 0.02)
    api = FakeResponsesApi()

    class StuckDeletions(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "DELETE":
                await asyncio.Event().wait()
            await request.aread()
            return api(request)

    images = (input_image(),) * 16
    async with asyncio.timeout(1):
        receipt = await gateway_to(StuckDeletions()).send(job("edit", images=images), spool(tmp_path), untold)
    assert receipt.bodies[0].exists()
    assert "left to expire" in caplog.text


# Some legs fail


async def test_one_failure_of_three_keeps_two_pictures_and_says_so(tmp_path: Path) -> None:
    answers: Script = [ok(responses_answer("AAAA")), refusal(429, "Slow down."), ok(responses_answer("CCCC"))]
    api = FakeResponsesApi(answers)
    receipt = await sent(api, tmp_path, job("edit", n=3))
    assert len(receipt.bodies) == 2
    assert receipt.note is not None
    assert receipt.note.startswith("1 of 3 pictures failed: OpenAI's rate limit was reached: Slow down.")
    answer = gateway_to(canned()).read(receipt)
    assert sorted(text_of(each) for each in answer.pictures) == ["AAAA", "CCCC"]
    assert answer.note is None
    assert api.log.count("POST responses") == 3


async def test_one_leg_whose_outcome_is_unknown_is_told_before_one_that_was_refused(tmp_path: Path) -> None:
    answers: Script = [ok(responses_answer()), refusal(429, "Slow down."), httpx2.ReadError("reset")]
    receipt = await sent(FakeResponsesApi(answers), tmp_path, job("edit", n=3))
    assert receipt.note is not None
    assert receipt.note.startswith("2 of 3 pictures failed: The connection broke")


async def test_all_legs_failing_is_an_error_and_no_post_is_repeated(tmp_path: Path) -> None:
    api = FakeResponsesApi([refusal(429), refusal(429), refusal(429)])
    with pytest.raises(RateLimited):
        await sent(api, tmp_path, job("edit", n=3))
    assert api.log.count("POST responses") == 3
    assert api.deleted == ["file-1"]


@pytest.mark.parametrize("order", [1, -1], ids=["refused first", "refused last"])
async def test_legs_that_all_fail_say_first_that_one_may_have_been_billed(order: int, tmp_path: Path) -> None:
    failures: Script = [refusal(429), httpx2.ConnectError("refused"), httpx2.ReadTimeout("slow")]
    with pytest.raises(UpstreamTimeout):
        await sent(FakeResponsesApi(failures[::order]), tmp_path, job("edit", n=3))


@pytest.mark.parametrize("order", [1, -1], ids=["advised first", "advised last"])
async def test_the_apis_word_that_one_leg_may_be_sent_again_does_not_speak_for_another(
    order: int, tmp_path: Path
) -> None:
    advised = refusal(503, headers={"x-should-retry": "true"})
    failures: Script = [advised, httpx2.ReadError("reset")]
    with pytest.raises(OutcomeUnknown) as raised:
        await sent(FakeResponsesApi(failures[::order]), tmp_path, job("edit", n=2))
    assert raised.value.should_retry is None
    assert "connection broke" in raised.value.message


async def test_legs_that_may_all_be_sent_again_say_so(tmp_path: Path) -> None:
    failures: Script = [refusal(503, headers={"x-should-retry": "true"}) for _ in range(2)]
    with pytest.raises(UpstreamFailure) as raised:
        await sent(FakeResponsesApi(failures), tmp_path, job("edit", n=2))
    assert raised.value.should_retry is True


async def test_a_bug_is_not_hidden_behind_a_leg_that_arrived(tmp_path: Path) -> None:
    answers: Script = [ok(responses_answer()), refusal(400), RuntimeError("a bug")]
    with pytest.raises(RuntimeError, match="a bug"):
        await sent(FakeResponsesApi(answers), tmp_path, job("edit", n=3))


async def test_a_full_disk_is_told_when_no_leg_was_written(tmp_path: Path) -> None:
    api = FakeResponsesApi()
    blocked = tmp_path / "blocked"
    blocked.write_bytes(b"a file")
    with pytest.raises(StorageError, match="could not be written"):
        await sent(api, blocked, job(n=2))
    assert api.log == ["POST responses"] * 2


async def test_a_body_cut_off_in_one_leg_keeps_the_others(tmp_path: Path) -> None:
    def cut() -> httpx2.Response:
        async def reset() -> None:
            raise httpx2.RemoteProtocolError("cut")

        return httpx2.Response(200, stream=Streamed(b'{"output":[', then=reset))

    receipt = await sent(FakeResponsesApi([cut(), ok(responses_answer())]), tmp_path, job("edit", n=2))
    assert len(receipt.bodies) == 1
    assert "may have been made and billed" in (receipt.note or "")


# Reading


def test_picture_options_and_usage_are_read(tmp_path: Path) -> None:
    body = responses_answer("QUJD", size="1024x1024", quality="high", revised_prompt='say "result":"x"')
    answer = read(tmp_path, body)
    assert [text_of(each) for each in answer.pictures] == ["QUJD"]
    assert (answer.applied.size, answer.applied.quality) == ("1024x1024", "high")
    assert answer.usage == Usage.model_validate(USAGE)
    assert answer.note is None


def test_every_picture_of_a_response_is_kept_as_each_was_billed(tmp_path: Path) -> None:
    body = responses_answer("AAAA", quality="low")
    body["output"].append({"type": "image_generation_call", "result": "BBBB", "quality": "high"})
    answer = read(tmp_path, body)
    assert [text_of(each) for each in answer.pictures] == ["AAAA", "BBBB"]
    assert answer.applied.quality == "low"


def test_a_picture_is_kept_though_another_call_of_the_response_failed(tmp_path: Path) -> None:
    body = responses_answer(None, status="failed", error={"message": "No.", "code": "moderation_blocked"})
    body["output"].append({"type": "image_generation_call", "result": "BBBB"})
    assert [text_of(each) for each in read(tmp_path, body).pictures] == ["BBBB"]


def test_results_of_other_tools_are_no_pictures(tmp_path: Path) -> None:
    body = responses_answer("AAAA")
    body["output"].insert(0, {"type": "mcp_call", "result": "BBBB"})
    assert [text_of(each) for each in read(tmp_path, body).pictures] == ["AAAA"]


def test_a_moderation_failure_inside_the_call_is_that_error(tmp_path: Path) -> None:
    details = {"moderation_stage": "output", "categories": ["violence"]}
    error = {"code": "moderation_blocked", "message": f"Rejected: {PROMPT}", "moderation_details": details}
    with pytest.raises(ModerationBlocked) as raised:
        read(tmp_path, responses_answer(None, status="failed", error=error))
    assert raised.value.stage == "output"
    assert raised.value.categories == ("violence",)
    assert PROMPT not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "image_content_policy_violation", "message": "No."}, ModerationBlocked),
        ({"code": "rate_limit_exceeded", "message": "Slow down."}, RateLimited),
        ({"code": "insufficient_quota", "message": "No money."}, QuotaExhausted),
        ({"code": "server_error", "message": "Sorry."}, UpstreamFailure),
        ({"code": "image_too_small", "message": "Too small."}, Rejected),
    ],
)
def test_an_error_of_the_whole_response_has_its_class(
    error: Any, expected: type[UpstreamError], tmp_path: Path
) -> None:
    with pytest.raises(UpstreamError) as raised:
        read(tmp_path, {"status": "failed", "error": error, "output": []})
    assert type(raised.value) is expected


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"output": None},
        {"output": {}},
        {"output": "text"},
        {"output": [None, 5, [], {}]},
        {"output": [{"type": "message", "content": [{"text": "I would rather not."}]}]},
        {"output": [{"type": "image_generation_call"}]},
        {"output": [{"type": "image_generation_call", "result": None}]},
        {"output": [{"type": "image_generation_call", "result": ""}]},
        {"output": [{"type": "image_generation_call", "result": 0}]},
        {"output": [{"type": "message", "result": "AAAA"}]},
        {"status": "incomplete", "output": []},
    ],
    ids=json.dumps,
)
def test_a_response_without_a_picture_is_no_success(body: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer, match="without calling the image tool"):
        read(tmp_path, body)


def test_a_leg_without_a_picture_is_noted_beside_one_with_it(tmp_path: Path) -> None:
    failed = responses_answer(None, error={"code": "moderation_blocked", "message": "No."})
    answer = read(tmp_path, failed, responses_answer("BBBB"), b"<html>")
    assert [text_of(each) for each in answer.pictures] == ["BBBB"]
    assert answer.note is not None
    assert answer.note.startswith("2 more failed: OpenAI's moderation blocked the request")


def test_all_notes_of_reading_are_told_beside_that_of_sending_which_the_receipt_keeps(tmp_path: Path) -> None:
    answer = read(tmp_path, responses_answer(usage=None), b"", note="1 of 3 pictures failed: X.")
    assert answer.note is not None
    assert answer.note.startswith("1 more failed: The API's answer was empty.")
    assert answer.note.endswith(UNDERCOUNTED)
    assert "1 of 3" not in answer.note


def test_no_leg_with_a_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer, match="empty"):
        read(tmp_path, b"", {"output": []})


# Usage


def test_usage_is_summed_over_the_legs_with_every_detail(tmp_path: Path) -> None:
    first = {
        **USAGE,
        "output_tokens_details": {"text_tokens": 1, "image_tokens": 2},
        "cached_tokens_details": {"cached_text_tokens": 3, "cached_image_tokens": 4},
    }
    second = {
        "input_tokens": 1,
        "input_tokens_details": {"text_tokens": 5, "image_tokens": 6},
        "output_tokens": 2,
        "output_tokens_details": {"text_tokens": 10, "image_tokens": 20},
        "cached_tokens_details": {"cached_text_tokens": 30, "cached_image_tokens": 40},
        "total_tokens": 3,
    }
    assert read(tmp_path, responses_answer(usage=first), responses_answer(usage=second)).usage == Usage(
        input_tokens=51,
        output_tokens=198,
        total_tokens=249,
        input_tokens_details=InputTokens(text_tokens=45, image_tokens=16),
        output_tokens_details=OutputTokens(text_tokens=11, image_tokens=22),
        cached_tokens_details=CachedTokens(cached_text_tokens=33, cached_image_tokens=44),
    )


def test_details_that_no_leg_gives_are_not_made_up(tmp_path: Path) -> None:
    plain = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    usage = read(tmp_path, responses_answer(usage=plain), responses_answer(usage=plain)).usage
    assert usage == Usage(input_tokens=2, output_tokens=4, total_tokens=6)


def test_details_that_one_leg_gives_are_kept(tmp_path: Path) -> None:
    plain = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    usage = read(tmp_path, responses_answer(usage=plain), responses_answer(usage=USAGE)).usage
    assert usage is not None
    assert usage.input_tokens_details == InputTokens(text_tokens=40, image_tokens=10)


@pytest.mark.parametrize("usage", [None, {}, 5, {"input_tokens": -1, "output_tokens": 1, "total_tokens": 0}])
def test_absent_or_misshapen_usage_is_noted_as_undercounted(usage: Any, tmp_path: Path) -> None:
    body = responses_answer("AAAA")
    body["tool_usage"] = {"image_gen": usage}
    answer = read(tmp_path, body)
    assert answer.usage is None
    assert answer.note == UNDERCOUNTED


def test_usage_of_some_legs_only_is_not_given_as_the_whole(tmp_path: Path) -> None:
    answer = read(tmp_path, responses_answer(), responses_answer(usage=None))
    assert answer.usage is None
    assert answer.note == UNDERCOUNTED


@pytest.mark.parametrize("holder", [None, [], 5, "text"])
def test_a_misshapen_holder_of_usage_costs_no_picture(holder: Any, tmp_path: Path) -> None:
    assert read(tmp_path, {**responses_answer(), "tool_usage": holder}).pictures


def test_what_the_author_of_a_drawing_took_is_read_from_its_call(tmp_path: Path) -> None:
    author = {"model": "gpt-6-sketch", "output_tokens": 900, "total_tokens": 940}
    answer = read(tmp_path, responses_answer(svg_usage=author))
    assert answer.svg_usage == SvgUsage(model="gpt-6-sketch", output_tokens=900, total_tokens=940)
    assert read(tmp_path, responses_answer(svg_usage={"total_tokens": "?"})).svg_usage is None


def test_the_host_models_own_usage_is_not_the_pictures(tmp_path: Path) -> None:
    assert read(tmp_path, {**responses_answer(usage=None), "usage": USAGE}).usage is None


# With the sandbox


async def test_the_sandbox_takes_the_whole_route(tmp_path: Path) -> None:
    recorder: Recorder = sandboxed()
    work = job(
        "edit",
        images=(input_image(data=picture()),),
        mask=input_image("mask.png", mask()),
        n=2,
        quality="low",
        size="1024x640",
    )
    gateway = gateway_to(recorder)
    answer = gateway.read(await gateway.send(work, spool(tmp_path), untold))
    assert len(answer.pictures) == 2
    assert answer.applied.size == "1024x640"
    assert answer.usage is not None
    assert answer.usage.output_tokens == 2 * 107
    deleted = [r for r in recorder.requests if r.method == "DELETE"]
    assert len(deleted) == 2
