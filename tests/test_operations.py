from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gpt_image_2_mcp.budgets import Budgets, Tally
from gpt_image_2_mcp.errors import (
    BudgetExceeded,
    Busy,
    InputError,
    InvalidAnswer,
    ModelNotFound,
    RateLimited,
    Rejected,
    StorageError,
)
from gpt_image_2_mcp.limits import Limits
from gpt_image_2_mcp.models import Placement, StoredImage
from gpt_image_2_mcp.requests import (
    ContinueSessionRequest,
    EditRequest,
    GenerateRequest,
    GetResultRequest,
    RenderOptions,
    StartSessionRequest,
)
from gpt_image_2_mcp.stores.files import FileImageStore
from gpt_image_2_mcp.stores.memory import MemorySessionStore
from gpt_image_2_mcp.stores.spool import KEEP_RAW_S
from tests.support.doors import Door
from tests.support.pictures import opened, picture
from tests.support.services import Bench, made, turned
from tests.support.upstreams import canned, scripted, streamed

pytestmark = pytest.mark.anyio


def answer(*pictures: bytes | str, **more: Any) -> dict[str, Any]:
    texts = [p if isinstance(p, str) else base64.b64encode(p).decode() for p in pictures]
    usage = {"input_tokens": 10, "output_tokens": 196, "total_tokens": 206}
    return {"created": 1, "data": [{"b64_json": text} for text in texts], "usage": usage, **more}


async def test_one_damaged_picture_does_not_cost_the_good_ones(bench: Bench) -> None:
    bench.recorder = canned(body=answer(picture(), "no base64!", picture(color="red")))
    result = made(await bench.service().generate(GenerateRequest(prompt="x", n=3)))
    assert [i.filename.split("-")[-1] for i in result.images] == ["1.png", "3.png"]
    assert "base64 text is not valid" in (result.note or "")
    assert len(list(bench.spool.iterdir())) == 1, "the raw answer holds what was not saved"


async def test_a_finished_call_leaves_nothing_in_the_spool(bench: Bench) -> None:
    made(await bench.service().generate(GenerateRequest(prompt="x", size="1024x640")))
    assert list(bench.spool.iterdir()) == []
    assert [name for name in bench.names() if name.startswith(".")] == []


@pytest.mark.parametrize(
    "body", [answer(), answer("AAAA"), answer("%%"), {"data": None}, {"unexpected": True}, []]
)
async def test_an_answer_without_a_picture_is_an_error_and_is_kept(bench: Bench, body: Any) -> None:
    bench.recorder = canned(body=body)
    with pytest.raises(InvalidAnswer) as caught:
        made(await bench.service().generate(GenerateRequest(prompt="x")))
    assert "kept" in caught.value.hint
    assert len(list(bench.spool.iterdir())) == 1
    assert len(bench.recorder.posts) == 1


async def test_a_picture_that_cannot_be_stored_stays_in_the_spool(bench: Bench) -> None:
    def lose_folder(_request: httpx2.Request) -> httpx2.Response:
        bench.pictures.rmdir()
        bench.pictures.write_text("in the way")
        return streamed(200, json.dumps(answer(picture())).encode())

    bench.recorder = scripted(lose_folder)
    service = bench.service()
    with pytest.raises(
        StorageError, match="The picture is paid for and kept: mend that, then call get_result"
    ) as caught:
        await service.generate(GenerateRequest(prompt="x"))
    assert caught.value.may_be_billed
    (kept,) = bench.spool.iterdir()
    assert json.loads(kept.read_bytes()) == answer(picture())
    (operation,) = await bench.journal().unfinished()
    bench.pictures.unlink()
    result = made(await service.get_result(GetResultRequest(operation_id=operation.id)))
    assert Path(result.images[0].file_path).read_bytes() == picture()
    assert list(bench.spool.iterdir()) == []
    assert len(bench.recorder.posts) == 1


async def test_a_refused_call_leaves_nothing_behind(bench: Bench) -> None:
    bench.recorder = canned(400, {"error": {"code": "invalid_value", "message": "no"}})
    with pytest.raises(Rejected) as caught:
        await bench.service().generate(GenerateRequest(prompt="x"))
    assert not caught.value.may_be_billed
    assert list(bench.spool.iterdir()) == []
    assert bench.names() == []
    assert len(bench.recorder.posts) == 1


async def test_a_rate_limit_is_waited_out_for_a_quarter_of_an_hour_and_no_longer(bench: Bench) -> None:
    body = {"error": {"code": "rate_limit_exceeded", "message": "slow"}}
    bench.recorder = canned(429, body, {"retry-after": "3"})
    with pytest.raises(RateLimited, match="Wait 3 s"):
        await bench.service().generate(GenerateRequest(prompt="x"))
    assert bench.waits[:5] == [3.0, 3.0, 4.0, 8.0, 16.0]
    assert 800 < sum(bench.waits) <= 900
    (operation,) = await bench.journal().recent(1)
    assert (operation.state, operation.attempts) == ("released", len(bench.recorder.posts))


async def test_a_recovery_lets_go_of_raw_answers_after_seven_days_but_not_of_what_waits_for_room(
    bench: Bench,
) -> None:
    bench.recorder = canned(body=answer(picture()))
    service = bench.service()
    await service.generate(GenerateRequest(prompt="x"))
    journal = bench.journal()
    (waiting,) = await journal.recent(1)
    await journal.reserve(replace(waiting, id="cd" * 16, state="sent", completed=None))
    for name in ("ab" * 16, "cd" * 16, "ef" * 16):
        (bench.spool / f"{name}.images.0.resp").write_text(json.dumps(answer(picture())))
        age = KEEP_RAW_S - 60 if name.startswith("ef") else KEEP_RAW_S + 60
        os.utime(bench.spool / f"{name}.images.0.resp", (time.time() - age,) * 2)
    bench.images = Full()
    await bench.execution(journal).recover()
    assert sorted(path.name[:2] for path in bench.spool.iterdir()) == ["cd", "ef"]


class Full(FileImageStore):
    """A disk without room."""

    async def save(self, *_arguments: object, **_options: object) -> StoredImage:
        raise StorageError("The disk is full.")


async def test_a_state_folder_that_cannot_be_written_is_refused_before_anything_is_sent(bench: Bench) -> None:
    (bench.folder / "state").write_text("in the way")
    with pytest.raises(StorageError, match="GPT_IMAGE_2_STATE_DIR"):
        made(await bench.service().generate(GenerateRequest(prompt="x")))
    assert bench.recorder.requests == []


async def test_what_the_bytes_are_goes_before_what_the_answer_says(bench: Bench) -> None:
    said = {"size": "1024x1024", "output_format": "png", "quality": "low"}
    bench.recorder = canned(body=answer(picture(80, 40, "JPEG"), **said))
    result = made(await bench.service().generate(GenerateRequest(prompt="x", size="1024x1024")))
    assert result.applied.model_dump() == {
        "size": "80x40",
        "quality": "low",
        "background": None,
        "output_format": "jpeg",
    }
    assert result.images[0].filename.endswith(".jpeg")
    assert result.note == "Size 1024x1024 was asked for and 80x40 was made."


async def test_another_number_of_pictures_than_asked_for_is_kept_and_said(bench: Bench) -> None:
    bench.recorder = canned(body=answer(picture(), picture(color="red")))
    result = made(await bench.service().generate(GenerateRequest(prompt="x")))
    assert len(result.images) == 2
    assert result.note == "1 picture(s) were asked for and 2 came."


async def test_a_cost_is_not_made_up_where_usage_or_price_is_missing(bench: Bench) -> None:
    bench.recorder = canned(body=answer(picture(), usage=None))
    result = made(await bench.service().generate(GenerateRequest(prompt="x")))
    assert (result.usage, result.cost_usd_estimated) == (None, None)
    assert result.note is not None
    assert result.note.startswith("The API reported no tokens: the call cost at most $0.")
    bench.recorder = canned(body=answer(picture()))
    result = made(await bench.service().generate(GenerateRequest(prompt="x", model="some-new-model")))
    assert result.usage is not None
    assert result.cost_usd_estimated is None


async def test_a_prompt_is_logged_by_its_length_and_hash_and_its_text_only_for_debugging(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="gpt_image_2_mcp")
    service = bench.service()
    await service.generate(GenerateRequest(prompt="a secret fox", size="1024x1024", quality="high"))
    (bench.folder / "in.png").write_bytes(picture())
    with pytest.raises(ModelNotFound):
        await service.edit(EditRequest(prompt="a secret fox", images=["in.png"], model="a-new-one", n=2))
    first, second = [
        r.getMessage()
        for r in caplog.records
        if (r.levelname, r.name) == ("INFO", "gpt_image_2_mcp.operations")
    ]
    named = f"prompt of 12 characters ({hashlib.sha256(b'a secret fox').hexdigest()[:12]})"
    assert first == f"generate with gpt-image-2: {named}, 1 picture(s), at most about $0.2110"
    assert second == f"edit with a-new-one: {named}, 2 picture(s), an unknown price"
    assert "secret" not in caplog.text
    caplog.set_level("DEBUG", logger="gpt_image_2_mcp")
    await service.generate(GenerateRequest(prompt="a secret fox", size="1024x640"))
    assert ": a secret fox" in caplog.text


async def test_calls_over_the_limit_are_refused_before_anything_is_read_or_written(bench: Bench) -> None:
    door = Door()
    bench.gateway, bench.limits = door.before, Limits(in_flight=2, queue=3)
    bench.before_close.append(door.open)
    service = bench.service()
    (bench.folder / "in.png").write_bytes(picture())
    requests = [EditRequest(prompt=f"{number}", images=["in.png"]) for number in range(1000)]
    tasks = [asyncio.ensure_future(service.edit(request)) for request in requests]
    await asyncio.sleep(0)
    refused = [task for task in tasks if task.done()]
    assert len(refused) == 995, "they are refused in the step in which they came"
    for task in refused:
        error = task.exception()
        assert isinstance(error, Busy)
        assert error.retryable
        assert str(error) == (
            "5 calls are under way or waiting, as many as this server takes on. "
            "Wait about 78 s, then call again; nothing was sent."
        )
    await door.until(lambda: len(door.standing) == 2)
    with pytest.raises(Busy):
        await service.generate(GenerateRequest(prompt="x"))
    assert len(await bench.journal().recent(1000)) <= 5
    door.open()
    await asyncio.gather(*(task for task in tasks if task not in refused))
    assert len(bench.recorder.posts) == 5
    made(await service.generate(GenerateRequest(prompt="x")))


async def test_a_call_that_was_refused_or_broken_off_leaves_its_place(bench: Bench) -> None:
    bench.limits = Limits(in_flight=1, queue=0)
    service = bench.service()
    with pytest.raises(InputError):
        await service.edit(EditRequest(prompt="x", images=["missing.png"]))
    entering = asyncio.ensure_future(service.generate(GenerateRequest(prompt="x")))
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await service.generate(GenerateRequest(prompt="y"))
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    made(await service.generate(GenerateRequest(prompt="y")))


async def test_a_busy_server_names_the_usual_time_of_a_call_shared_by_those_that_are_sent_at_once(
    bench: Bench,
) -> None:
    bench.limits = Limits(in_flight=4, queue=0)
    operations = bench.operations()
    options = RenderOptions(model="gpt-image-2", quality="low")
    with ExitStack() as places:
        for number in range(4):
            places.enter_context(operations.admitted(str(number), options))
        with pytest.raises(Busy, match="Wait about 6 s"), operations.admitted("next", options):
            pass
        with pytest.raises(Busy, match="Wait about 15 s"), operations.admitted("next", None):
            pass
    with operations.admitted("next", options):
        pass


# Budgets


async def test_a_call_over_the_budget_is_refused_with_what_would_fit_and_leaves_nothing(bench: Bench) -> None:
    bench.budgets = Budgets(day=100_000)
    (bench.folder / "in.png").write_bytes(picture())
    service = bench.service()
    request = EditRequest(prompt="x", images=["in.png"], quality="high", size="1024x1024")
    with pytest.raises(BudgetExceeded) as caught:
        await service.edit(request)
    assert str(caught.value) == (
        "The call can cost $0.217029, and $0.10 of the day's $0.10 is left until 2026-11-23 00:00 UTC. "
        "Call again with quality=medium (at most $0.058989), or have GPT_IMAGE_2_BUDGET_DAY_USD raised; "
        "nothing was sent."
    )
    assert bench.recorder.requests == []
    assert await bench.journal().recent(9) == ()
    assert not bench.spool.exists()
    assert not bench.pictures.exists()
    made(await service.edit(request.model_copy(update={"quality": "medium"})))


async def test_a_call_that_another_process_leaves_no_room_for_meanwhile_is_refused_and_leaves_nothing(
    bench: Bench,
) -> None:
    """Between the first look and the last, somebody else spends."""
    bench.budgets = Budgets(total=300_000)
    other = bench.journal()
    request = GenerateRequest(prompt="x", quality="high", size="1024x1024")
    made(await bench.service().generate(request))
    (spent,) = await other.recent(1)

    class Slow(FileImageStore):
        async def prepare(self, placement: Placement, expected_bytes: int) -> None:
            await super().prepare(placement, expected_bytes)
            await other.reserve(replace(spent, id="ab" * 16, state="reserved", estimate=60_000))

    bench.images = Slow()
    with pytest.raises(BudgetExceeded, match="Call again with quality=low"):
        await bench.service().generate(request.model_copy(update={"quality": "medium"}))
    assert [operation.id for operation in await other.recent(9)] == ["ab" * 16, spent.id]
    assert list(bench.spool.iterdir()) == []


async def test_what_a_refused_call_was_charged_is_given_back(bench: Bench) -> None:
    bench.recorder = canned(400, {"error": {"code": "invalid_value", "message": "no"}})
    bench.budgets = Budgets(total=300_000)
    service = bench.service()
    for _ in range(3):
        with pytest.raises(Rejected):
            await service.generate(GenerateRequest(prompt="x", quality="high", size="1024x1024"))
    assert (await bench.ledger().spending()).periods[-1].tally == Tally()


async def test_a_model_without_a_price_is_refused_where_there_is_a_budget_and_only_there(
    bench: Bench,
) -> None:
    bench.recorder = canned(body=answer(picture()))
    made(await bench.service().generate(GenerateRequest(prompt="x", model="a-new-one")))
    bench.budgets = Budgets(month=10**9)
    with pytest.raises(BudgetExceeded) as caught:
        await bench.service().generate(GenerateRequest(prompt="x", model="a-new-one"))
    assert str(caught.value).startswith(
        "What a call with a-new-one costs is not known, and a budget is set. "
        "Name a model whose price is known (gpt-image-2, "
    )
    assert len(bench.recorder.posts) == 1


async def test_a_turn_counts_for_its_edit_session_in_every_run_of_the_server(bench: Bench) -> None:
    bench.budgets = Budgets(session=100_000)
    bench.sessions = MemorySessionStore(bench.clock)
    (bench.folder / "in.png").write_bytes(picture())
    begin = StartSessionRequest(prompt="x", images=["in.png"], quality="medium", size="1024x1024")
    begun = turned(await bench.service().start_session(begin))
    again = ContinueSessionRequest(prompt="y", session_id=begun.session_id)
    with pytest.raises(BudgetExceeded, match="of this edit session's"):
        await bench.service().continue_session(again)
    cheap = again.model_copy(update={"quality": "low"})
    assert turned(await bench.service().continue_session(cheap)).turn == 2


async def test_a_twin_that_is_joined_is_charged_once(bench: Bench) -> None:
    door = Door()
    bench.gateway, bench.budgets = door.before, Budgets(total=300_000)
    bench.before_close.append(door.open)
    service = bench.service()
    request = GenerateRequest(prompt="x", quality="high", size="1024x1024")
    first = asyncio.ensure_future(service.generate(request))
    await door.until(lambda: len(door.standing) == 1)
    first.cancel()
    second = asyncio.ensure_future(service.generate(request))
    await asyncio.sleep(0)
    door.open()
    made(await second)
    assert (await bench.ledger().spending()).periods[-1].tally.calls == 1


def test_opened_refuses_a_torn_picture() -> None:
    with pytest.raises(OSError, match="truncated"):
        opened(picture(500, 500)[:-900])
