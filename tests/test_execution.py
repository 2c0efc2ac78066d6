"""How many calls are sent at once, and what becomes of those behind them."""

from __future__ import annotations

import asyncio
import base64
import errno
import json

import pytest

from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.limits import Limits
from gpt_image_2_mcp.models import Answer, Receipt
from gpt_image_2_mcp.requests import GenerateRequest, GetResultRequest
from gpt_image_2_mcp.results import ImageResult, WorkingResult
from gpt_image_2_mcp.service import ImageService, PaidResult
from tests.support.doors import Door
from tests.support.pictures import picture
from tests.support.services import Bench
from tests.support.upstreams import canned, scripted, streamed

pytestmark = pytest.mark.anyio
ANSWER = {"data": [{"b64_json": base64.b64encode(picture()).decode()}]}


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.recorder = canned(body=ANSWER)
    return bench


@pytest.fixture
def door(bench: Bench) -> Door:
    """Before the bench's gateway; it opens when the bench closes."""
    door = Door()
    bench.gateway = door.before
    bench.before_close.append(door.open)
    return door


def calls(service: ImageService, count: int) -> list[asyncio.Task[PaidResult]]:
    requests = (GenerateRequest(prompt=f"{number:03}") for number in range(count))
    return [asyncio.ensure_future(service.generate(request)) for request in requests]


async def test_four_calls_are_sent_at_once_and_the_others_follow(bench: Bench, door: Door) -> None:
    tasks = calls(bench.service(), 12)
    await door.until(lambda: len(door.standing) == 4)
    door.open()
    results = await asyncio.gather(*tasks)
    assert all(isinstance(result, ImageResult) for result in results)
    assert door.most <= 4
    assert len(bench.recorder.posts) == 12


async def test_a_hundred_calls_are_under_way_at_once_where_the_limit_says_so(
    bench: Bench, door: Door
) -> None:
    bench.limits = Limits(in_flight=100, queue=0)
    tasks = calls(bench.service(), 100)
    await door.until(lambda: len(door.standing) == 100)
    door.open()
    assert all(isinstance(result, ImageResult) for result in await asyncio.gather(*tasks))


async def said(bench: Bench, operation_id: str, phase: str) -> None:
    """Until the journal says it of the operation."""
    journal = bench.journal()
    while (await journal.get(operation_id)).phase != phase:
        pass


async def working(service: ImageService, prompt: str) -> str:
    result = await service.generate(GenerateRequest(prompt=prompt), Caller(wait_s=0))
    assert isinstance(result, WorkingResult)
    return result.operation_id


async def test_a_call_that_waits_its_turn_says_so_and_is_sent_in_the_order_of_the_calls(
    bench: Bench, door: Door
) -> None:
    bench.limits = Limits(in_flight=1)
    service = bench.service()
    ids = [await working(service, name) for name in ("a", "b", "c")]
    await door.until(lambda: "a" in door.standing)

    async def phase(operation_id: str) -> str:
        seen = await service.get_result(GetResultRequest(operation_id=operation_id, wait_seconds=0))
        assert isinstance(seen, WorkingResult)
        return seen.phase

    await said(bench, ids[2], "waiting for 2 calls before it")
    assert await phase(ids[0]) == ""
    assert await phase(ids[1]) == "waiting for 1 call before it"
    door.let_through("a")
    await door.until(lambda: "b" in door.standing)
    await said(bench, ids[2], "waiting for 1 call before it")
    assert await phase(ids[1]) == ""
    door.let_through("b")
    await door.until(lambda: "c" in door.standing)
    assert door.came == ["a", "b", "c"]


async def test_a_recovery_leaves_alone_what_waits_its_turn(bench: Bench, door: Door) -> None:
    bench.limits = Limits(in_flight=1)
    service = bench.service()
    first, second = [await working(service, name) for name in ("a", "b")]
    await door.until(lambda: "a" in door.standing)
    bench.clock.pass_(hours=1)
    journal = bench.journal()
    found = await bench.execution(journal).recover()
    assert (found.released, found.unknown) == (0, 0)
    assert sorted(o.state for o in await journal.unfinished()) == ["reserved", "sent"]
    door.open()
    for operation_id in (first, second):
        result = await service.get_result(GetResultRequest(operation_id=operation_id))
        assert isinstance(result, ImageResult)


async def test_a_call_that_waits_out_a_rate_limit_leaves_its_slot_to_others(bench: Bench) -> None:
    bench.limits = Limits(in_flight=1)
    limited = {"error": {"code": "rate_limit_exceeded", "message": "slow"}}
    answers = [(429, limited), (200, ANSWER), (200, ANSWER)]
    bench.recorder = scripted(lambda _request: streamed(*_bytes(*answers.pop(0))))

    async def make_another(seconds: float) -> None:
        bench.waits.append(seconds)
        await service.generate(GenerateRequest(prompt="another", model="gpt-image-1.5"))

    bench.sleep = make_another
    service = bench.service()
    assert isinstance(await service.generate(GenerateRequest(prompt="first")), ImageResult)
    prompts = [json.loads(request.content)["prompt"] for request in bench.recorder.requests]
    assert prompts == ["first", "another", "first"]


async def test_a_call_that_was_refused_is_the_next_when_it_comes_back(bench: Bench) -> None:
    bench.limits = Limits(in_flight=1)
    limited = {"error": {"code": "rate_limit_exceeded", "message": "slow"}}
    answers = [(429, limited), *[(200, ANSWER)] * 3]
    bench.recorder = scripted(lambda _request: streamed(*_bytes(*answers.pop(0))))
    results = await asyncio.gather(*calls(bench.service(), 3))
    assert all(isinstance(result, ImageResult) for result in results)
    prompts = [json.loads(request.content)["prompt"] for request in bench.recorder.requests]
    assert prompts[0] in prompts[1:3]  # one may have gone while it waited
    assert len(set(prompts)) == 3


def _bytes(status: int, body: object) -> tuple[int, bytes]:
    return status, json.dumps(body).encode()


class OutOfFiles(Door):
    """Before a gateway in a process that has too many files open to read an answer for the first time."""

    left = 1

    def read(self, receipt: Receipt) -> Answer:
        if self.left:
            self.left -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().read(receipt)


async def test_an_answer_that_cannot_be_read_just_now_is_read_later(bench: Bench) -> None:
    crowded = OutOfFiles(is_open=True)
    bench.gateway = crowded.before
    service = bench.service()
    with pytest.raises(StorageError, match="Too many open files") as raised:
        await service.generate(GenerateRequest(prompt="a fox"))
    assert "get_result" in raised.value.hint
    assert isinstance(await service.get_result(GetResultRequest()), ImageResult)
    assert len(bench.recorder.posts) == 1
