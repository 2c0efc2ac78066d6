from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gpt_image_2_mcp.errors import InvalidAnswer, ModelNotFound, RateLimited, StorageError
from gpt_image_2_mcp.operations import KEEP_FAILED_S
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest
from tests.support.pictures import opened, picture
from tests.support.services import Bench
from tests.support.upstreams import canned, scripted, streamed

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def answer(*pictures: bytes | str, **more: Any) -> dict[str, Any]:
    texts = [p if isinstance(p, str) else base64.b64encode(p).decode() for p in pictures]
    usage = {"input_tokens": 10, "output_tokens": 196, "total_tokens": 206}
    return {"created": 1, "data": [{"b64_json": text} for text in texts], "usage": usage, **more}


async def test_one_damaged_picture_does_not_cost_the_good_ones(bench: Bench) -> None:
    bench.recorder = canned(body=answer(picture(), "no base64!", picture(color="red")))
    result = await bench.service().generate(GenerateRequest(prompt="x", n=3))
    assert [i.filename.split("-")[-1] for i in result.images] == ["1.png", "3.png"]
    assert "base64 text is not valid" in (result.note or "")
    assert len(list(bench.spool.iterdir())) == 1, "the raw answer holds what was not saved"


async def test_a_finished_call_leaves_nothing_in_the_spool(bench: Bench) -> None:
    await bench.service().generate(GenerateRequest(prompt="x", size="1024x640"))
    assert list(bench.spool.iterdir()) == []
    assert [name for name in bench.names() if name.startswith(".")] == []


@pytest.mark.parametrize(
    "body", [answer(), answer("AAAA"), answer("%%"), {"data": None}, {"unexpected": True}, []]
)
async def test_an_answer_without_a_picture_is_an_error_and_is_kept(bench: Bench, body: Any) -> None:
    bench.recorder = canned(body=body)
    with pytest.raises(InvalidAnswer) as caught:
        await bench.service().generate(GenerateRequest(prompt="x"))
    assert "kept" in caught.value.hint
    assert len(list(bench.spool.iterdir())) == 1
    assert len(bench.recorder.posts) == 1


async def test_a_picture_that_cannot_be_stored_stays_in_the_spool(bench: Bench) -> None:
    def lose_folder(_request: httpx2.Request) -> httpx2.Response:
        bench.pictures.rmdir()
        bench.pictures.write_text("in the way")
        return streamed(200, json.dumps(answer(picture())).encode())

    bench.recorder = scripted(lose_folder)
    with pytest.raises(StorageError, match="the answer itself was kept"):
        await bench.service().generate(GenerateRequest(prompt="x"))
    (kept,) = bench.spool.iterdir()
    assert json.loads(kept.read_bytes()) == answer(picture())


async def test_a_refused_call_leaves_nothing_behind(bench: Bench) -> None:
    bench.recorder = canned(429, {"error": {"code": "rate_limit_exceeded", "message": "slow"}})
    with pytest.raises(RateLimited):
        await bench.service().generate(GenerateRequest(prompt="x"))
    assert list(bench.spool.iterdir()) == []
    assert bench.names() == []
    assert len(bench.recorder.posts) == 1


async def test_raw_answers_are_kept_for_seven_days(bench: Bench) -> None:
    bench.spool.mkdir(parents=True)
    for name, age in (("old.0.resp", KEEP_FAILED_S + 60), ("young.0.resp", KEEP_FAILED_S - 60)):
        path = bench.spool / name
        path.write_bytes(b"{}")
        os.utime(path, (time.time() - age,) * 2)
    await bench.service().generate(GenerateRequest(prompt="x", size="1024x640"))
    assert [path.name for path in bench.spool.iterdir()] == ["young.0.resp"]


async def test_a_state_folder_that_cannot_be_written_is_refused_before_anything_is_sent(bench: Bench) -> None:
    (bench.folder / "state").write_text("in the way")
    with pytest.raises(StorageError, match="GPT_IMAGE_2_STATE_DIR"):
        await bench.service().generate(GenerateRequest(prompt="x"))
    assert bench.recorder.requests == []


async def test_what_the_bytes_are_goes_before_what_the_answer_says(bench: Bench) -> None:
    said = {"size": "1024x1024", "output_format": "png", "quality": "low"}
    bench.recorder = canned(body=answer(picture(80, 40, "JPEG"), **said))
    result = await bench.service().generate(GenerateRequest(prompt="x", size="1024x1024"))
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
    result = await bench.service().generate(GenerateRequest(prompt="x"))
    assert len(result.images) == 2
    assert result.note == "1 picture(s) were asked for and 2 came."


async def test_a_cost_is_not_made_up_where_usage_or_price_is_missing(bench: Bench) -> None:
    bench.recorder = canned(body=answer(picture(), usage=None))
    result = await bench.service().generate(GenerateRequest(prompt="x"))
    assert (result.usage, result.cost_usd_estimated) == (None, None)
    bench.recorder = canned(body=answer(picture()))
    result = await bench.service().generate(GenerateRequest(prompt="x", model="some-new-model"))
    assert result.usage is not None
    assert result.cost_usd_estimated is None


async def test_the_estimate_is_logged_without_the_prompt(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="gpt_image_2_mcp")
    service = bench.service()
    await service.generate(GenerateRequest(prompt="a secret fox", size="1024x1024", quality="high"))
    (bench.folder / "in.png").write_bytes(picture())
    with pytest.raises(ModelNotFound):
        await service.edit(EditRequest(prompt="a secret fox", images=["in.png"], model="a-new-one", n=2))
    first, second = [r.getMessage() for r in caplog.records if r.levelname == "INFO"]
    assert first == "generate with gpt-image-2: 1 picture(s), at most about $0.2109"
    assert second == "edit with a-new-one: 2 picture(s), an unknown price"
    assert "secret" not in caplog.text


def test_opened_refuses_a_torn_picture() -> None:
    with pytest.raises(OSError, match="truncated"):
        opened(picture(500, 500)[:-900])
