from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.models import Expectation, Standing
from gpt_image_2_mcp.server.progress import MAX_MESSAGE, USUAL, Pace, Progress, message

pytestmark = pytest.mark.anyio
QUICK = Pace(0.01, 0.02)
USUALLY = Expectation(14.2, 18, 22.4)
MADE = Standing(3, "the picture is being made", USUALLY)


class Told:
    """Takes notifications, and lets a test wait for them."""

    def __init__(self) -> None:
        self.said: list[tuple[float, float | None, str]] = []
        self._more = asyncio.Event()

    async def __call__(self, progress: float, total: float | None, words: str) -> None:
        self.said.append((progress, total, words))
        self._more.set()

    async def wait_for(self, count: int) -> None:
        while len(self.said) < count:
            self._more.clear()
            await self._more.wait()


def test_a_call_of_twenty_seconds_is_told_of_soon_and_often() -> None:
    assert USUAL.first_s <= 2
    assert USUAL.every_s <= 10
    assert USUAL.first_s + USUAL.every_s < 20


async def test_notifications_come_though_nothing_is_reported_yet() -> None:
    told = Told()
    async with Progress(told, QUICK).at_work():
        await told.wait_for(2)
    assert told.said[0][1:] == (None, "0 s: reading the arguments")


async def test_progress_always_grows_and_stays_below_its_total() -> None:
    told = Told()
    progress = Progress(told, QUICK, clock=lambda: 100.0)
    progress.report(Standing(50, "the picture is being made", Expectation(10, 20, 30)))
    async with progress.at_work():
        await told.wait_for(4)
        progress.report(Standing(5, "the clock was set back", Expectation(10, 20, 30)))
        await told.wait_for(6)
    amounts = [amount for amount, _, _ in told.said]
    assert amounts[0] == 50
    assert amounts == sorted(set(amounts))
    for amount, total, _ in told.said:
        assert total is not None
        assert amount < total


async def test_a_change_is_told_at_once() -> None:
    told = Told()
    progress = Progress(told, Pace(0.0, 3600))
    async with progress.at_work():
        await told.wait_for(1)
        progress.report(MADE)
        await told.wait_for(2)
        progress.report(replace(MADE, doing="waiting 7 s before attempt 2"))
        await told.wait_for(3)
    assert [words.split(": ", 1)[1] for _, _, words in told.said[1:]] == [
        "the picture is being made; usually 14-22 s",
        "waiting 7 s before attempt 2; usually 14-22 s",
    ]


async def test_nothing_is_told_of_a_call_that_is_through_at_once() -> None:
    told = Told()
    async with Progress(told).at_work():
        await asyncio.sleep(0)
    assert told.said == []


async def test_a_client_that_cannot_be_told_does_not_disturb_the_call() -> None:
    tried = asyncio.Event()

    async def broken(*_said: object) -> None:
        tried.set()
        raise ConnectionError

    async with Progress(broken, QUICK).at_work():
        await tried.wait()


async def test_a_call_that_fails_fails_as_it_did() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Progress(Told(), QUICK).at_work():
            raise ZeroDivisionError


def test_a_message_says_how_long_such_calls_take() -> None:
    assert message(12.4, MADE) == "12 s: the picture is being made; usually 14-22 s"
    assert message(0, Standing(0, "about to be sent", None)) == "0 s: about to be sent"
    one = Standing(0, "x", Expectation(48, 48, 48))
    assert message(0, one) == "0 s: x; usually about 48 s"


@given(elapsed=st.floats(0, 1e6), doing=st.text(max_size=400), high=st.floats(0, 1e5))
def test_no_message_is_longer_than_clients_show(elapsed: float, doing: str, high: float) -> None:
    assert len(message(elapsed, Standing(0, doing, Expectation(0, 0, high)))) <= MAX_MESSAGE
