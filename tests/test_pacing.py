"""Many calls at once at an account's limit: none fails for it, none is overtaken, no minute has too many."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.limits import Limits
from gpt_image_2_mcp.requests import GenerateRequest, GetResultRequest
from gpt_image_2_mcp.results import ImageResult, WorkingResult
from gpt_image_2_mcp.sandbox.errors import ApiError
from gpt_image_2_mcp.sandbox.rates import ImageRate
from gpt_image_2_mcp.service import ImageService
from tests.support.moments import Moments
from tests.support.pictures import picture
from tests.support.services import Bench
from tests.support.upstreams import Recorder, streamed

pytestmark = pytest.mark.anyio
PICTURE = base64.b64encode(picture()).decode()
TAKES_S = 30


@dataclass
class Account(httpx2.AsyncBaseTransport):
    """The sandbox's limit before pictures that take half a minute; writes down what came when."""

    moments: Moments
    rate: ImageRate
    came: list[tuple[float, int]] = field(default_factory=list)
    made: list[tuple[float, int]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = json.loads(request.content)
        count, now = asked.get("n", 1), self.moments.seconds
        self.came.append((now, int(asked["prompt"])))
        try:
            headers = self.rate.admit(asked["model"], count)
        except ApiError as error:
            self.refused.append(now)
            return streamed(error.status, json.dumps(error.body()).encode(), error.headers)
        self.made.append((now, count))
        await self.moments.sleep(TAKES_S)
        return streamed(200, json.dumps({"data": [{"b64_json": PICTURE}] * count}).encode(), headers)

    @property
    def most_in_a_minute(self) -> int:
        return max(sum(count for at, count in self.made if end - 60 < at <= end) for end, _ in self.made)

    @property
    def first_sent(self) -> dict[int, float]:
        """When each call was sent first, by its number."""
        return {number: at for at, number in reversed(self.came)}


@dataclass
class Machine:
    """Services of one state folder before one account."""

    bench: Bench
    account: Account
    moments: Moments
    services: list[ImageService] = field(default_factory=list)

    async def order(self, number: int, n: int = 1) -> tuple[ImageService, str]:
        """Begin a call at one of the services; they take turns."""
        service = self.services[number % len(self.services)]
        asked = GenerateRequest(prompt=f"{number:03}", n=n)
        begun = await service.generate(asked, Caller(wait_s=0))
        assert isinstance(begun, WorkingResult)
        return service, begun.operation_id


@pytest.fixture
def moments() -> Moments:
    return Moments()


@pytest.fixture
async def machine(tmp_path: Path, moments: Moments) -> AsyncIterator[Machine]:
    account = Account(moments, ImageRate(20, lambda: moments.seconds))
    bench = Bench(tmp_path, recorder=Recorder(account), clock=moments, sleep=moments.sleep)
    yield Machine(bench, account, moments)
    await bench.close()


async def results(machine: Machine, count: int) -> list[ImageResult]:
    """So many calls, begun one after the other and all waited for."""
    begun = [await machine.order(number) for number in range(count)]
    async with machine.moments.leaping():
        ends = [service.get_result(GetResultRequest(operation_id=id_)) for service, id_ in begun]
        told = await asyncio.gather(*ends)
    assert all(isinstance(end, ImageResult) for end in told)
    return [end for end in told if isinstance(end, ImageResult)]


def overtaken(sent: dict[int, float], of: int, among: int) -> list[int]:
    """Calls of process `of` that were sent later than one which came after them there."""
    line = [sent[number] for number in sorted(sent) if number % among == of]
    return [place for place, at in enumerate(line) if any(later < at for later in line[place:])]


@pytest.mark.parametrize("known", [True, False], ids=["limit set", "limit learned"])
async def test_a_hundred_calls_of_two_processes_are_made_within_the_limit_and_in_order(
    machine: Machine, known: bool
) -> None:
    machine.bench.limits = Limits(in_flight=25, queue=100)
    machine.bench.images_per_minute = 20 if known else None
    machine.services = [machine.bench.service() for _ in range(2)]

    made = await results(machine, 100)

    account = machine.account
    assert len({result.operation_id for result in made}) == 100
    assert account.most_in_a_minute == 20
    for process in range(2):
        assert overtaken(account.first_sent, process, among=2) == []
    # Where the limit is not known at first, those that were in flight learn it; nobody after them is refused.
    assert set(account.refused) == (set() if known else {0.0})
    assert len(account.came) == 100 + len(account.refused)
    assert machine.moments.seconds == pytest.approx(4 * 61 + TAKES_S, abs=15)


async def test_calls_of_many_pictures_share_the_minute_with_others(machine: Machine) -> None:
    machine.bench.limits = Limits(in_flight=10, queue=100)
    machine.services = [machine.bench.service()]
    begun = [await machine.order(number, n=10) for number in range(6)]
    async with machine.moments.leaping():
        for service, id_ in begun:
            made = await service.get_result(GetResultRequest(operation_id=id_))
            assert isinstance(made, ImageResult)
            assert len(made.images) == 10
    assert machine.account.most_in_a_minute == 20
    assert overtaken(machine.account.first_sent, 0, among=1) == []


async def test_a_call_in_the_line_says_at_which_place_and_for_which_limit(
    machine: Machine, moments: Moments
) -> None:
    machine.bench.images_per_minute = 1
    machine.services = [machine.bench.service() for _ in range(2)]
    first, second, third = [await machine.order(number) for number in range(3)]
    journal = machine.bench.journal()

    async def said(id_: str, phase: str) -> None:
        while (await journal.get(id_)).phase != phase:
            pass

    limit = "waiting for the account's limit of 1 image a minute"
    async with asyncio.timeout(30):
        await said(second[1], f"{limit}: it is next")
        await said(third[1], f"{limit}: 1 call before it")
    async with moments.leaping():
        for service, id_ in (first, second, third):
            await service.get_result(GetResultRequest(operation_id=id_))
    assert [at for at, _ in machine.account.made] == pytest.approx([0, 61, 122], abs=6)


async def test_a_limit_that_answers_name_is_kept_before_anybody_is_refused(machine: Machine) -> None:
    machine.bench.limits = Limits(in_flight=10, queue=100)
    machine.services = [machine.bench.service() for _ in range(2)]
    await results(machine, 30)
    assert machine.account.refused == []
    assert machine.account.most_in_a_minute == 20
