"""Patience ends when the server is late, and not because this process was."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gpt_image_2_mcp.gateways._patience import Patience

pytestmark = pytest.mark.anyio
Forward = Callable[[float], None]


@pytest.fixture
async def forward(monkeypatch: pytest.MonkeyPatch) -> Forward:
    """Sets the loop's clock forward, as it stands after the process was stopped for so many seconds."""
    loop = asyncio.get_running_loop()
    real, stopped = loop.time, [0.0]
    monkeypatch.setattr(loop, "time", lambda: real() + sum(stopped))
    return stopped.append


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


async def rounds() -> None:
    """Let every alarm ring that is due, and what it has done follow."""
    for _ in range(5):
        await asyncio.sleep(0)


async def stopped_and_waiting(forward: Forward) -> None:
    forward(6000)
    await asyncio.Event().wait()


@pytest.mark.parametrize("stopped_s", [61, 6000])
async def test_what_came_while_this_process_was_stopped_is_taken(forward: Forward, stopped_s: float) -> None:
    with pair() as (ours, theirs):
        async with Patience(60):
            reading = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(ours, 9))
            await asyncio.sleep(0)
            theirs.send(b"paid for")
            forward(stopped_s)
            assert await reading == b"paid for"


async def test_who_says_nothing_is_late_however_long_this_process_was_stopped(forward: Forward) -> None:
    patience = Patience(0.01)
    with pytest.raises(TimeoutError):
        async with patience:
            await stopped_and_waiting(forward)


async def test_who_says_nothing_is_late() -> None:
    with pytest.raises(TimeoutError):
        async with Patience(0.01):
            await asyncio.Event().wait()


async def test_it_can_be_renewed_and_have_no_end(forward: Forward) -> None:
    async with Patience(60) as patience:
        for seconds in (60, None, 60):
            forward(59)
            patience.renew(seconds)
            await asyncio.sleep(0)
        patience.renew(None)
        forward(6000)
        await rounds()


async def test_what_was_given_back_is_renewed_too(forward: Forward) -> None:
    async with Patience(60) as patience:
        forward(90)
        await rounds()
        patience.renew(60)
        forward(59)
        await rounds()


async def test_a_cancellation_stays_one() -> None:
    async def wait() -> None:
        async with Patience(60):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
