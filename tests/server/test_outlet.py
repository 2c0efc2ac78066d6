"""What waits for a client to read: its order, its end, and how much of it there may be."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCNotification, JSONRPCResponse

from gpt_image_2_mcp.server.encoding import LONG
from gpt_image_2_mcp.server.outlet import ANSWERS_WAITING, RESULTS_AT_ONCE, Outlet

pytestmark = pytest.mark.anyio


def said(method: str) -> SessionMessage:
    return SessionMessage(JSONRPCNotification(jsonrpc="2.0", method=method))


def pictured(id_: int) -> SessionMessage:
    block = {"type": "image", "data": "A" * LONG, "mimeType": "image/png"}
    return SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=id_, result={"content": [block]}))


def names(messages: list[SessionMessage]) -> list[str | int | None]:
    return [getattr(each.message, "method", None) or getattr(each.message, "id", None) for each in messages]


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_short_goes_before_pictures_and_all_at_once() -> None:
    outlet = Outlet()
    messages = [said("a"), pictured(1), said("b"), pictured(2), said("c")]
    senders = [asyncio.ensure_future(outlet.send(message)) for message in messages]
    await settle()
    assert names(await outlet.next()) == ["a", "b", "c"]
    assert names(await outlet.next()) == [1]
    late = asyncio.ensure_future(outlet.send(said("d")))
    await settle()
    assert names(await outlet.next()) == ["d"]
    assert names(await outlet.next()) == [2]
    await asyncio.gather(late, *senders)


async def test_a_sender_waits_until_its_message_is_taken() -> None:
    outlet = Outlet()
    first, second = (asyncio.ensure_future(outlet.send(pictured(id_))) for id_ in (1, 2))
    await settle()
    assert not first.done()
    await outlet.next()
    await settle()
    assert first.done()
    assert not second.done()
    second.cancel()


async def test_what_a_cancelled_sender_had_to_say_is_not_written() -> None:
    outlet = Outlet()
    for message in (pictured(1), said("a")):
        sender = asyncio.ensure_future(outlet.send(message))
        await settle()
        sender.cancel()
        await settle()
    await outlet.aclose()
    assert await outlet.next() == []


async def test_the_writer_waits_for_something_to_write_and_hears_of_the_end() -> None:
    outlet = Outlet()
    waiting = asyncio.ensure_future(outlet.next())
    await settle()
    sender = asyncio.ensure_future(outlet.send(said("a")))
    assert names(await waiting) == ["a"]
    await sender
    waiting = asyncio.ensure_future(outlet.next())
    await settle()
    await outlet.aclose()
    assert await waiting == []
    with pytest.raises(anyio.ClosedResourceError):
        await outlet.send(said("b"))


async def test_what_was_sent_before_the_end_is_still_written() -> None:
    outlet = Outlet()
    sender = asyncio.ensure_future(outlet.send(pictured(1)))
    await settle()
    await outlet.aclose()
    assert names(await outlet.next()) == [1]
    await sender
    assert await outlet.next() == []


async def test_nobody_waits_for_a_writer_that_broke_off() -> None:
    outlet = Outlet()
    senders = [asyncio.ensure_future(outlet.send(message)) for message in (said("a"), pictured(1))]
    await settle()
    outlet.break_off()
    for sender in senders:
        with pytest.raises(anyio.BrokenResourceError):
            await sender
    with pytest.raises(anyio.BrokenResourceError):
        await outlet.send(said("b"))


async def test_no_more_is_read_while_hundreds_of_answers_are_left_unread() -> None:
    outlet = Outlet()
    async with anyio.create_task_group() as group:
        for number in range(ANSWERS_WAITING + 1):
            group.start_soon(outlet.send, pictured(number))
        await settle()
        more = asyncio.ensure_future(outlet.ready_for_more(lambda: False))
        await settle()
        assert not more.done()
        await outlet.next()
        assert await more
        group.start_soon(outlet.refuse, 0, 1, "no")
        await settle()
        assert not await outlet.ready_for_more(lambda: True)
        group.cancel_scope.cancel()


async def test_room_for_a_result_is_given_back_when_its_task_has_ended() -> None:
    outlet = Outlet()
    leave, inside = asyncio.Event(), 0

    async def answer() -> None:
        nonlocal inside
        await outlet.room()
        inside += 1
        await leave.wait()

    tasks = [asyncio.ensure_future(answer()) for _ in range(RESULTS_AT_ONCE + 2)]
    await settle()
    assert inside == RESULTS_AT_ONCE
    tasks[0].cancel()
    await settle()
    assert inside == RESULTS_AT_ONCE + 1
    leave.set()
    await asyncio.wait(tasks)
    assert inside == RESULTS_AT_ONCE + 2
