from __future__ import annotations

import asyncio
import base64
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gpt_image_2_mcp.budgets import Budgets
from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.contents import whole
from gpt_image_2_mcp.errors import (
    InputError,
    InvalidRequest,
    MissingKey,
    ModerationBlocked,
    OperationNotFound,
    PictureChanged,
    SessionBusy,
    SessionNotFound,
    StorageError,
    UpstreamFailure,
)
from gpt_image_2_mcp.models import Expectation, ImageJob, Placement, Standing
from gpt_image_2_mcp.requests import (
    Arguments,
    ContinueSessionRequest,
    EditRequest,
    EndSessionRequest,
    GenerateRequest,
    GetResultRequest,
    ListSessionsRequest,
    RenderOptions,
    SpendingRequest,
    StartSessionRequest,
    parse_arguments,
)
from gpt_image_2_mcp.results import SessionImageResult, WorkingResult
from gpt_image_2_mcp.sandbox import Faults
from gpt_image_2_mcp.service import ImageService, fingerprint
from gpt_image_2_mcp.sources.loader import check_picture
from gpt_image_2_mcp.stores.sqlite import Database
from gpt_image_2_mcp.stores.sqlite_sessions import SqliteSessionStore
from tests.support.held import hold
from tests.support.pictures import mask, noise, opened, picture
from tests.support.services import Bench, id_of, made, turned
from tests.support.upstreams import Recorder, canned, sandboxed

pytestmark = pytest.mark.anyio
SMALL = "1024x640"


async def start(service: ImageService, **arguments: Any) -> SessionImageResult:
    given = {"prompt": "A lighthouse", "images": ["sketch.png"], "size": SMALL, "quality": "low"} | arguments
    return turned(await service.start_session(StartSessionRequest.model_validate(given)))


async def go_on(service: ImageService, session_id: str, **arguments: Any) -> SessionImageResult:
    given = {"prompt": "More orange", "session_id": session_id} | arguments
    return turned(await service.continue_session(ContinueSessionRequest.model_validate(given)))


def as_sent(result: SessionImageResult) -> bytes:
    """The turn's picture without its metadata."""
    path = Path(result.images[0].file_path)
    return whole(check_picture(path.read_bytes(), path.name).data)


async def test_a_folder_is_not_chosen_where_local_paths_are_closed(bench: Bench) -> None:
    bench.local_paths = False
    service = bench.service()
    asked = {"prompt": "x", "images": ["sketch.png"], "output_dir": "out"}
    for call in (
        service.generate(GenerateRequest(prompt="x", output_dir="out")),
        service.edit(EditRequest.model_validate(asked)),
        service.start_session(StartSessionRequest.model_validate(asked)),
    ):
        with pytest.raises(InvalidRequest, match="`output_dir` is not taken from a client over HTTP"):
            await call
    assert bench.recorder.posts == []


async def test_a_session_keeps_the_folder_that_it_was_started_with_locally(bench: Bench) -> None:
    begun = await start(bench.service(), output_dir="out")
    bench.local_paths = False
    turn = await go_on(bench.service(), begun.session_id)
    assert Path(turn.images[0].file_path).parent == bench.folder / "out"


async def test_handing_off_ends_all_waiting_and_no_call(bench: Bench) -> None:
    doors, service = hold(bench), bench.service()
    waiting = asyncio.ensure_future(service.generate(GenerateRequest(prompt="x")))
    await doors[0].arrived.wait()
    service.hand_off()
    told = await waiting
    assert isinstance(told, WorkingResult)
    assert isinstance(await service.get_result(GetResultRequest()), WorkingResult)
    doors[0].go.set()
    await service.close()
    done = made(await bench.service().get_result(GetResultRequest(operation_id=told.operation_id)))
    assert len(done.images) == 1


async def test_a_generated_picture_is_saved_and_reported_as_it_is(bench: Bench) -> None:
    request = GenerateRequest(prompt="A red fox", size=SMALL, quality="low", filename_prefix="hero banner")
    result = made(await bench.service().generate(request))
    (image,) = result.images
    assert re.fullmatch(r"image-2026112\d-\d{6}-[0-9a-f]{6}-hero-banner\.png", image.filename)
    data = Path(image.file_path).read_bytes()
    assert opened(data).size == (1024, 640) == (image.width, image.height)
    assert (image.size_bytes, image.mime_type) == (len(data), "image/png")
    assert result.requested.model_dump() == {"size": SMALL, "quality": "low", "n": 1, "format": "png"}
    assert result.applied.model_dump() == {
        "size": SMALL,
        "quality": "low",
        "background": "opaque",
        "output_format": "png",
    }
    assert result.usage is not None
    text, output = result.usage.input_tokens, result.usage.output_tokens
    assert output == 107
    assert result.cost_usd_estimated == round((text * 5 + output * 30) / 1e6, 6)
    assert bench.recorder.posts == ["/v1/images/generations"]


async def test_what_was_not_asked_for_is_not_sent_and_reported_as_the_apis_default(bench: Bench) -> None:
    result = made(await bench.service().generate(GenerateRequest(prompt="A red fox")))
    assert bench.recorder.requests[0].content == b'{"model":"gpt-image-2","prompt":"A red fox"}'
    assert result.requested.model_dump() == {"size": "auto", "quality": "auto", "n": 1, "format": "png"}
    assert result.applied.size == "1024x1024"


async def test_several_pictures_share_a_name_and_count_up(bench: Bench) -> None:
    result = made(await bench.service().generate(GenerateRequest(prompt="x", n=3, size=SMALL, quality="low")))
    names = [image.filename for image in result.images]
    stem = names[0].removesuffix("-1.png")
    assert names == [f"{stem}-1.png", f"{stem}-2.png", f"{stem}-3.png"]
    assert len({Path(i.file_path).read_bytes() for i in result.images}) == 3


async def test_the_extension_follows_the_bytes(bench: Bench) -> None:
    for format_ in ("jpeg", "webp"):
        request = GenerateRequest.model_validate({"prompt": "x", "size": SMALL, "output_format": format_})
        result = made(await bench.service().generate(request))
        assert result.images[0].filename.endswith(f".{format_}")
        assert result.applied.output_format == format_


async def test_a_call_may_name_its_folder(bench: Bench) -> None:
    result = made(
        await bench.service().generate(GenerateRequest(prompt="x", size=SMALL, output_dir="elsewhere"))
    )
    assert Path(result.images[0].file_path).parent == bench.folder / "elsewhere"


async def test_an_edit_sends_every_image_and_the_mask(bench: Bench) -> None:
    (bench.folder / "mask.png").write_bytes(mask())
    (bench.folder / "Gran at home.jpg").write_bytes(picture(format_="JPEG"))
    request = EditRequest(
        prompt="Add snow", images=["sketch.png", "Gran at home.jpg"], mask="mask.png", size=SMALL
    )
    result = made(await bench.service().edit(request))
    assert result.images[0].filename.startswith("edit-")
    sent = bench.recorder.requests[0].content
    assert sent.count(b'name="image[]"') == 2
    assert b'filename="image-2.jpeg"' in sent
    assert b'name="mask"; filename="mask.png"' in sent
    assert b"Gran" not in sent


@pytest.mark.parametrize(
    ("request_class", "arguments", "said"),
    [
        (GenerateRequest, {"size": "1000x1000"}, "multiples of 16"),
        (GenerateRequest, {"quality": "max"}, "not offered by gpt-image-2"),
        (GenerateRequest, {"background": "transparent", "output_format": "jpeg"}, "cannot be saved as jpeg"),
        (GenerateRequest, {"output_compression": 50}, "does not apply to png"),
        (GenerateRequest, {"model": "dall-e-3"}, "shut dall-e-3 down on 2026-05-12"),
        (EditRequest, {"images": ["missing.png"]}, "cannot be read"),
        (EditRequest, {"images": ["notes.txt"]}, "not a PNG, JPEG or WebP"),
        (EditRequest, {"images": ["sketch.png"], "mask": "sketch.png"}, "alpha channel"),
        (EditRequest, {"images": ["sketch.png"], "mask": "wide.png"}, "is 128x48 while the first image is"),
    ],
)
async def test_what_cannot_work_is_refused_before_anything_is_sent(
    bench: Bench, request_class: type[Arguments], arguments: dict[str, Any], said: str
) -> None:
    (bench.folder / "notes.txt").write_text("not a picture")
    (bench.folder / "wide.png").write_bytes(mask(128, 48))
    request = parse_arguments(request_class, {"prompt": "x", **arguments})
    service = bench.service()
    with pytest.raises((InvalidRequest, InputError), match=said) as caught:
        await (service.generate(request) if isinstance(request, GenerateRequest) else service.edit(request))  # type: ignore[arg-type]
    assert caught.value.hint
    assert bench.recorder.requests == []
    assert not bench.pictures.exists()


async def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_sent(bench: Bench) -> None:
    bench.pictures.write_text("a file is in the way")
    with pytest.raises(StorageError, match="cannot be written"):
        made(await bench.service().generate(GenerateRequest(prompt="x")))
    assert bench.recorder.requests == []


async def test_a_session_goes_on_from_its_last_picture_under_the_documented_names(bench: Bench) -> None:
    service = bench.service()
    first = await start(service)
    second = await go_on(service, first.session_id, prompt="Make the sky more orange")
    third = await go_on(service, first.session_id, prompt="Add a small boat")
    assert [r.turn for r in (first, second, third)] == [1, 2, 3]
    assert re.fullmatch(r"edit-\d{10}-[0-9a-f]{8}", first.session_id)
    for result in (first, second, third):
        assert re.fullmatch(
            rf"session-\d{{8}}-\d{{6}}-[0-9a-f]{{6}}-turn{result.turn}\.png", result.images[0].filename
        )
    for request, before in zip(bench.recorder.requests[1:], (first, second), strict=True):
        assert as_sent(before) in request.content
    ended = await service.end_session(EndSessionRequest(session_id=first.session_id))
    assert ended.ended
    again = await service.end_session(EndSessionRequest(session_id=first.session_id))
    assert not again.ended
    with pytest.raises(SessionNotFound):
        await go_on(service, first.session_id)
    assert len(bench.recorder.posts) == 3


async def test_a_turn_keeps_the_sessions_options_unless_the_caller_sets_them(bench: Bench) -> None:
    service = bench.service()
    first = await start(
        service, output_format="jpeg", output_compression=70, user="u1", filename_prefix="sea"
    )
    second = await go_on(service, first.session_id)
    assert second.applied == first.applied
    assert second.requested.format == "jpeg"
    assert second.images[0].filename.endswith("-sea-turn2.jpeg")
    assert b'name="safety_identifier"\r\n\r\nu1' in bench.recorder.requests[1].content
    third = await go_on(service, first.session_id, output_format="webp", size="1024x1024")
    fourth = await go_on(service, first.session_id)
    assert (third.applied.output_format, third.applied.size) == ("webp", "1024x1024")
    assert (fourth.applied.output_format, fourth.applied.size) == ("webp", "1024x1024")


async def test_a_sessions_compression_does_not_stand_in_the_way_of_a_png_turn(bench: Bench) -> None:
    service = bench.service()
    first = await start(service, output_format="jpeg", output_compression=70)
    second = await go_on(service, first.session_id, output_format="png")
    assert second.applied.output_format == "png"
    assert b"output_compression" not in bench.recorder.requests[1].content


async def test_a_turn_stays_with_the_sessions_model_and_folder(bench: Bench) -> None:
    service = bench.service()
    first = await start(service, model="gpt-image-2.5-flare", quality="xhigh", output_dir="mine")
    second = await go_on(service, first.session_id)
    assert second.model == "gpt-image-2.5-flare"
    assert second.applied.quality == "xhigh"
    assert Path(second.images[0].file_path).parent == bench.folder / "mine"


async def test_a_turn_whose_folder_is_no_longer_allowed_is_refused_before_anything_is_sent(
    bench: Bench,
) -> None:
    first = await start(bench.service())
    bench.refuse_folder = StorageError("/old is no folder that pictures are written to (~/new).")
    with pytest.raises(StorageError) as caught:
        await go_on(bench.service(), first.session_id)
    assert caught.value.message == (
        "The folder of this session cannot be used any more: "
        "/old is no folder that pictures are written to (~/new)."
    )
    assert "start a new session from its last picture" in caught.value.hint.lower()
    assert "GPT_IMAGE_2_OUTPUT_DIR" in caught.value.hint
    assert len(bench.recorder.posts) == 1
    bench.refuse_folder = None
    assert (await go_on(bench.service(), first.session_id)).turn == 2


async def test_two_turns_at_once_follow_each_other_and_none_is_lost(bench: Bench) -> None:
    service = bench.service()
    first = await start(service)
    both = await asyncio.gather(
        go_on(service, first.session_id, prompt="a"), go_on(service, first.session_id, prompt="b")
    )
    assert sorted(result.turn for result in both) == [2, 3]
    earlier, later = sorted(both, key=lambda result: result.turn)
    assert as_sent(earlier) in bench.recorder.requests[-1].content
    (listed,) = (await service.list_sessions(ListSessionsRequest())).sessions
    assert (listed.turns, listed.last_image_path) == (3, later.images[0].file_path)


async def test_a_failed_turn_leaves_the_session_as_it_was(bench: Bench) -> None:
    service = bench.service()
    first = await start(service)
    with pytest.raises(InvalidRequest):
        await go_on(service, first.session_id, size="16x16")
    assert (await go_on(service, first.session_id)).turn == 2


@pytest.mark.parametrize("harm", ["deleted", "changed"])
async def test_a_turn_is_refused_when_its_picture_is_not_what_was_saved(bench: Bench, harm: str) -> None:
    service = bench.service()
    first = await start(service)
    path = Path(first.images[0].file_path)
    path.unlink() if harm == "deleted" else path.write_bytes(picture())
    with pytest.raises(PictureChanged, match=path.name):
        await go_on(service, first.session_id)
    assert len(bench.recorder.posts) == 1


async def test_a_turn_whose_session_is_ended_meanwhile_still_gives_its_picture(bench: Bench) -> None:
    service = bench.service()
    first = await start(service)
    doors = hold(bench)
    service = bench.service()
    turn = asyncio.create_task(go_on(service, first.session_id))
    await doors[0].arrived.wait()
    await service.end_session(EndSessionRequest(session_id=first.session_id))
    doors[0].go.set()
    result = await turn
    assert "was ended while this turn was made" in (result.note or "")
    assert Path(result.images[0].file_path).is_file()


async def test_the_list_names_sessions_the_latest_first(bench: Bench) -> None:
    service = bench.service()
    first = await start(service)
    bench.clock.pass_(minutes=1)
    second = await start(service, prompt="Another")
    listed = (await service.list_sessions(ListSessionsRequest())).sessions
    assert [s.session_id for s in listed] == [second.session_id, first.session_id]
    assert listed[0].model_dump() == {
        "session_id": second.session_id,
        "created_at": "2026-11-22T15:04:01.000Z",
        "updated_at": "2026-11-22T15:04:01.000Z",
        "turns": 1,
        "last_prompt": "Another",
        "last_image_path": second.images[0].file_path,
    }


async def test_of_more_sessions_than_are_told_the_latest_are_listed_and_all_are_counted(bench: Bench) -> None:
    service = bench.service()
    await start(service)
    bench.clock.pass_(minutes=1)
    second = await start(service)
    told = await service.list_sessions(ListSessionsRequest(), most=1)
    assert ([each.session_id for each in told.sessions], told.total) == ([second.session_id], 2)
    for most in (2, None):
        whole = await service.list_sessions(ListSessionsRequest(), most=most)
        assert (len(whole.sessions), whole.total) == (2, None)


async def test_a_cancelled_caller_stops_waiting_and_the_picture_is_still_saved(bench: Bench) -> None:
    doors = hold(bench)
    service = bench.service()
    call = asyncio.create_task(service.generate(GenerateRequest(prompt="x", size=SMALL, quality="low")))
    await doors[0].arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    doors[0].go.set()
    await bench.close()
    (name,) = bench.names()
    assert opened((bench.pictures / name).read_bytes()).size == (1024, 640)
    assert len(bench.recorder.posts) == 1


async def test_a_cancelled_turn_is_still_appended_to_its_session(bench: Bench) -> None:
    service = bench.service()
    first = await start(service)
    doors = hold(bench)
    service = bench.service()
    call = asyncio.create_task(go_on(service, first.session_id))
    await doors[0].arrived.wait()
    call.cancel()
    doors[0].go.set()
    await bench.close()
    (listed,) = (await service.list_sessions(ListSessionsRequest())).sessions
    assert listed.turns == 2


async def test_the_fallback_says_its_route(bench: Bench) -> None:
    bench.recorder = sandboxed(faults=Faults(mode="dalle2"))
    result = made(await bench.service().edit(EditRequest(prompt="x", images=["sketch.png"], size=SMALL)))
    assert result.route == "responses"
    assert result.cost_usd_estimated is not None
    assert bench.recorder.posts[0] == "/v1/images/edits"
    assert bench.recorder.posts[-1] == "/v1/responses"


PATIENT = Caller("desktop")


def hasty(client: str = "desktop", wait_s: float = 0.01) -> Caller:
    """A client that soon gives up; its patience begins when it is made."""
    return Caller(client, wait_s)


async def handed_off(service: ImageService, **arguments: Any) -> WorkingResult:
    request = GenerateRequest.model_validate({"prompt": "x", "size": SMALL, "quality": "high"} | arguments)
    result = await service.generate(request, hasty())
    assert isinstance(result, WorkingResult)
    return result


async def test_a_call_that_takes_longer_than_the_client_waits_is_handed_off_and_collected(
    bench: Bench,
) -> None:
    doors = hold(bench)
    service = bench.service()
    working = await handed_off(service)
    assert (working.status, working.expected_seconds) == ("working", 155)
    look = GetResultRequest(operation_id=working.operation_id, wait_seconds=0)
    assert isinstance(await service.get_result(look), WorkingResult)
    doors[0].go.set()
    result = made(await service.get_result(GetResultRequest(operation_id=working.operation_id)))
    assert (result.status, result.operation_id) == ("done", working.operation_id)
    assert opened(Path(result.images[0].file_path).read_bytes()).size == (1024, 640)
    again = made(await service.get_result(GetResultRequest(operation_id=working.operation_id)))
    assert again == result
    assert len(bench.recorder.posts) == 1


async def test_a_turn_that_was_handed_off_is_collected_as_a_turn(bench: Bench) -> None:
    service = bench.service()
    first = await start(service)
    doors = hold(bench)
    service = bench.service()
    request = ContinueSessionRequest(session_id=first.session_id, prompt="A boat")
    working = await service.continue_session(request, hasty(wait_s=0.5))
    assert isinstance(working, WorkingResult)
    doors[0].go.set()
    result = turned(await service.get_result(GetResultRequest(operation_id=working.operation_id)))
    assert (result.session_id, result.turn) == (first.session_id, 2)
    (listed,) = (await service.list_sessions(ListSessionsRequest())).sessions
    assert listed.turns == 2


async def test_a_turn_is_refused_while_another_outlasts_the_clients_patience(bench: Bench) -> None:
    service = bench.service()
    first = await start(service)
    doors = hold(bench)
    service = bench.service()
    request = ContinueSessionRequest(session_id=first.session_id, prompt="A boat")
    await service.continue_session(request, hasty(wait_s=0.5))
    other = ContinueSessionRequest(session_id=first.session_id, prompt="A whale")
    with pytest.raises(SessionBusy, match="get_result"):
        await service.continue_session(other, hasty())
    doors[0].go.set()
    await bench.close()
    assert len(doors[0].jobs) == 1


async def test_a_resent_call_joins_the_one_that_nobody_waits_for(bench: Bench) -> None:
    doors = hold(bench)
    service = bench.service()
    working = await handed_off(service)
    again = await handed_off(service)
    assert again.operation_id == working.operation_id
    doors[0].go.set()
    await bench.close()
    assert len(bench.recorder.posts) == 1


async def test_how_a_result_is_to_be_shown_is_no_part_of_the_call(bench: Bench) -> None:
    doors = hold(bench)
    service = bench.service()
    working = await handed_off(service)
    assert (await handed_off(service, inline="none")).operation_id == working.operation_id
    doors[0].go.set()


async def test_an_identical_call_beside_one_that_is_awaited_is_a_wish_for_another_picture(
    bench: Bench,
) -> None:
    doors = hold(bench)
    service = bench.service()
    request = GenerateRequest(prompt="x", size=SMALL, quality="low")
    both = [asyncio.create_task(service.generate(request, PATIENT)) for _ in range(2)]
    await doors[0].second.wait()
    doors[0].go.set()
    first, second = [made(await call) for call in both]
    assert first.operation_id != second.operation_id
    assert len(bench.recorder.posts) == 2


@pytest.mark.parametrize(
    ("caller", "arguments"),
    [(hasty(), {"prompt": "y"}), (hasty(), {"n": 2}), (hasty("other"), {})],
)
async def test_another_call_or_another_client_does_not_join(
    bench: Bench, caller: Caller, arguments: dict[str, Any]
) -> None:
    doors = hold(bench)
    service = bench.service()
    working = await handed_off(service)
    given = {"prompt": "x", "size": SMALL, "quality": "high"} | arguments
    other = await service.generate(GenerateRequest.model_validate(given), caller)
    assert id_of(other) != working.operation_id
    doors[0].go.set()


async def test_an_edit_that_is_sent_again_joins_whatever_its_input_is(bench: Bench) -> None:
    large = bench.folder / "large.png"
    large.write_bytes(noise(700, 700))
    data_url = f"data:image/png;base64,{base64.b64encode(picture()).decode()}"
    doors = hold(bench)
    service = bench.service()
    request = EditRequest(prompt="x", images=["sketch.png", str(large), data_url], size=SMALL)
    first = await service.edit(request, hasty())
    (bench.folder / "sketch.png").write_bytes((bench.folder / "sketch.png").read_bytes())
    assert id_of(await service.edit(request, hasty())) == id_of(first)
    large.write_bytes(noise(700, 701))
    assert id_of(await service.edit(request, hasty())) != id_of(first)
    doors[0].go.set()


async def test_a_call_does_not_join_when_its_input_has_changed_meanwhile(bench: Bench) -> None:
    doors = hold(bench)
    service = bench.service()
    request = EditRequest(prompt="x", images=["sketch.png"], size=SMALL)
    first = await service.edit(request, hasty())
    (bench.folder / "sketch.png").write_bytes(picture(color="red"))
    second = await service.edit(request, hasty())
    assert id_of(first) != id_of(second)
    doors[0].go.set()


async def test_the_latest_call_is_collected_without_its_id(bench: Bench) -> None:
    doors = hold(bench)
    service = bench.service()
    with pytest.raises(OperationNotFound, match="made no call yet"):
        await service.get_result(GetResultRequest())
    working = await handed_off(service)
    doors[0].go.set()
    assert made(await service.get_result(GetResultRequest())).operation_id == working.operation_id
    with pytest.raises(OperationNotFound) as caught:
        await bench.service().get_result(GetResultRequest())
    assert caught.value.hint.startswith(
        f"Give the operation_id. The latest calls: {working.operation_id} (done, 2026-11-"
    )


async def test_a_turn_collected_after_its_session_was_ended_is_not_said_to_have_been_lost(
    bench: Bench,
) -> None:
    service = bench.service()
    first = await start(service)
    await service.end_session(EndSessionRequest(session_id=first.session_id))
    again = made(await service.get_result(GetResultRequest(operation_id=first.operation_id)))
    assert again.note is None
    assert (await service.list_sessions(ListSessionsRequest())).sessions == []


async def test_turns_are_taken_in_the_order_in_which_they_were_asked_for(bench: Bench) -> None:
    database = Database(bench.folder / "state")
    locks = bench.folder / "state" / "locks"
    bench.sessions = SqliteSessionStore(database, locks, bench.clock)
    service = bench.service()
    first = await start(service)
    calls = [asyncio.create_task(go_on(service, first.session_id, prompt=f"p{i}")) for i in range(4)]
    assert [(await call).turn for call in calls] == [2, 3, 4, 5]
    await bench.close()
    await database.close()


async def test_a_finished_call_is_not_joined(bench: Bench) -> None:
    service = bench.service()
    request = GenerateRequest(prompt="x", size=SMALL, quality="low")
    first, second = made(await service.generate(request)), made(await service.generate(request))
    assert first.operation_id != second.operation_id


async def test_a_call_is_joined_from_a_new_server_when_the_old_one_died(bench: Bench) -> None:
    doors = hold(bench)
    old = bench.operations()
    job = ImageJob("generate", "x", RenderOptions(model="gpt-image-2", size=SMALL, quality="high"))
    placement = Placement(bench.pictures, "image", "20261122-150301", "ab" * 16)
    request = GenerateRequest.model_validate({"prompt": "x", "size": SMALL, "quality": "high"})
    same = fingerprint(request, hasty(), ("gpt-image-2", str(bench.pictures)))
    operation = await old.begin(job, placement, same)
    await old.wait(operation, hasty())
    service = bench.service()
    assert await bench.operations().abandoned_twin(same) is None, "it lives: somebody may wait there"
    old.forget_server()
    assert (await handed_off(service)).operation_id == placement.token
    doors[0].go.set()


async def test_a_call_whose_entry_is_damaged_is_joined_by_nobody(bench: Bench) -> None:
    doors = hold(bench)
    first = await handed_off(bench.service())
    with sqlite3.connect(bench.folder / "state" / "state.sqlite3") as db:
        db.execute("UPDATE operations SET server = 'dead', placement = CAST('{torn' AS BLOB)")
    db.close()
    second = await handed_off(bench.service())
    assert second.operation_id != first.operation_id
    for door in doors:
        door.go.set()


async def test_an_error_is_the_same_error_when_it_is_collected_later(bench: Bench) -> None:
    doors = hold(bench)
    service = bench.service()
    working = await handed_off(service, prompt="a duel [moderation:input:violence]")
    doors[0].go.set()
    for _ in range(2):
        with pytest.raises(ModerationBlocked, match="violence"):
            await service.get_result(GetResultRequest(operation_id=working.operation_id))


async def test_an_unknown_outcome_names_its_operation_and_asks_not_to_call_again(bench: Bench) -> None:
    bench.recorder = canned(502, raw=b"<html>Bad gateway</html>")
    with pytest.raises(UpstreamFailure) as caught:
        await bench.service().generate(GenerateRequest(prompt="x"))
    (operation,) = await bench.journal().recent(5)
    assert operation.state == "unknown"
    assert operation.id in caught.value.hint
    assert "not sent again" in caught.value.hint
    assert len(bench.recorder.posts) == 1


async def test_an_operation_that_is_not_there_is_said_to_be_so(bench: Bench) -> None:
    with pytest.raises(OperationNotFound):
        await bench.service().get_result(GetResultRequest(operation_id="nonsense"))


async def test_an_edit_that_is_sent_once_more_has_its_pictures_again(bench: Bench) -> None:
    large = noise(700, 700)
    (bench.folder / "large.png").write_bytes(large)
    bench.recorder = sandboxed(faults=Faults(mode="rate_limit", count=1, retry_after=7))
    request = EditRequest(prompt="x", images=["large.png", "sketch.png"], size=SMALL, quality="low")
    made(await bench.service().edit(request))
    assert len(bench.recorder.posts) == 2
    assert all(large in post.content for post in bench.recorder.requests)


async def test_a_caller_is_told_what_is_waited_for(bench: Bench) -> None:
    said: list[Standing] = []
    bench.recorder = sandboxed(faults=Faults(mode="rate_limit", count=1, retry_after=7))
    request = GenerateRequest(prompt="x", size=SMALL, quality="low")
    made(await bench.service().generate(request, Caller(report=said.append)))
    assert bench.waits == [7.0]
    assert len(bench.recorder.posts) == 2
    assert said[0].doing == "about to be sent"
    assert {standing.expected for standing in said} == {Expectation(23, 23, 23)}


async def test_what_comes_before_the_call_is_part_of_a_callers_patience(bench: Bench) -> None:
    doors = hold(bench)
    long_ago = Caller("desktop", wait_s=3600, since=time.monotonic() - 3600)
    request = EditRequest(prompt="x", images=["sketch.png"], size=SMALL)
    assert isinstance(await bench.service().edit(request, long_ago), WorkingResult)
    doors[0].go.set()


def test_a_callers_patience_is_the_shorter_of_two_and_begins_anew() -> None:
    assert Caller().left_s is None
    assert Caller().with_patience(None).left_s is None
    assert Caller(wait_s=0).with_patience(50).left_s == 0
    assert Caller(wait_s=3600).with_patience(0).left_s == 0
    old = Caller(since=time.monotonic() - 3600)
    patient = old.with_patience(3600).left_s
    assert patient is not None
    assert patient > 0


async def test_how_long_a_call_takes_is_learned_from_those_before_it(bench: Bench) -> None:
    took = iter((10, 20, 30, 40, 50))

    class Slow(Recorder):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            bench.clock.pass_(seconds=next(took, 0))
            return await super().handle_async_request(request)

    bench.recorder = Slow(bench.recorder.answer)
    service = bench.service()
    request = GenerateRequest(prompt="x", size=SMALL, quality="low")
    for _ in range(5):
        made(await service.generate(request))
    said: list[Standing] = []
    made(await service.generate(request, Caller(report=said.append)))
    (expected,) = {standing.expected for standing in said}
    assert expected is not None
    assert [round(s) for s in (expected.low, expected.usual, expected.high)] == [20, 30, 40]
    said.clear()
    other = GenerateRequest(prompt="x", size=SMALL, quality="medium")
    made(await service.generate(other, Caller(report=said.append)))
    assert {standing.expected for standing in said} == {Expectation(48, 48, 48)}


async def test_without_a_key_nothing_is_read_or_journalled(bench: Bench) -> None:
    bench.refusal = MissingKey("No OpenAI API key is set.")
    with pytest.raises(MissingKey):
        await bench.service().edit(EditRequest(prompt="x", images=["missing.png"]))
    assert not (bench.folder / "state").exists()


async def test_spending_is_told_of_this_run_and_of_all(bench: Bench) -> None:
    bench.budgets = Budgets(session=1_000_000)
    first, second = bench.service(), bench.service()
    one = made(await first.generate(GenerateRequest(prompt="x", size=SMALL, quality="low")))
    two = made(await second.generate(GenerateRequest(prompt="y", size=SMALL, quality="low")))
    told = await first.spending(SpendingRequest())
    assert one.cost_usd_estimated is not None
    assert two.cost_usd_estimated is not None
    session, *_, total = told.periods
    assert (session.calls, session.spent_usd) == (1, one.cost_usd_estimated)
    assert session.left_usd == pytest.approx(1 - one.cost_usd_estimated)
    assert total.spent_usd == pytest.approx(one.cost_usd_estimated + two.cost_usd_estimated)
    assert [(told.by, group.name, group.calls) for group in told.groups] == [("model", "gpt-image-2", 2)]
    by_project = await first.spending(parse_arguments(SpendingRequest, {"by": "Project"}))
    assert [group.name for group in by_project.groups] == ["/projects/site"]
