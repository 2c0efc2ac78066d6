"""Several processes on one state folder, and recoveries beside whatever is alive there."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, cast

import pytest

from gpt_image_2_mcp.errors import SessionBusy
from gpt_image_2_mcp.gateways.keyless import KeylessGateway
from gpt_image_2_mcp.models import Operation
from gpt_image_2_mcp.ports import Journal
from gpt_image_2_mcp.requests import ContinueSessionRequest, GenerateRequest, StartSessionRequest
from tests.faults.folder import Folder
from tests.faults.nursery import Child
from tests.faults.stack import Parts, Stack, assert_stands
from tests.faults.standing import operations
from tests.faults.steps import Steps
from tests.faults.upstream import RawUpstream
from tests.faults.waiting import until
from tests.support.services import id_of

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the nursery passes files over Unix sockets")
MODES = ("ok", "delay=0.2", "reset0", "shortcl=0.5", "status=500", "moderated", "limited=0,ok", "badb64")


# Two services at once


@pytest.mark.anyio
async def test_two_services_on_one_folder_keep_out_of_each_others_way(
    stack: Stack, upstream: RawUpstream
) -> None:
    other = replace(stack)
    async with stack.service() as first, other.service() as second:
        requests = [GenerateRequest(prompt=f"Fox {number}", n=2) for number in range(8)]
        made = await asyncio.gather(
            *(service.generate(request) for request in requests for service in (first, second))
        )
    assert len({id_of(result) for result in made}) == len(upstream.paid) == 16
    assert_stands(stack, upstream.posts)


@pytest.mark.anyio
async def test_identical_calls_that_are_all_awaited_are_wishes_for_several_pictures(
    stack: Stack, upstream: RawUpstream
) -> None:
    """Also while the first is journalled and its worker only being started."""
    reserved = asyncio.Event()
    release = asyncio.Event()

    def bend(parts: Parts) -> Parts:
        return replace(parts, journal=cast(Journal, _Held(parts.journal, reserved, release)))

    stack.bend = bend
    request = GenerateRequest(prompt="A fox")
    async with stack.service() as service:
        first = asyncio.ensure_future(service.generate(request))
        await reserved.wait()
        second = asyncio.ensure_future(service.generate(request))
        await asyncio.sleep(0)
        release.set()
        made = await asyncio.gather(first, second)
    assert len({id_of(result) for result in made}) == len(upstream.paid) == 2
    assert_stands(stack, upstream.posts)


class _Held:
    """Holds every reservation up when it is made."""

    def __init__(self, inner: Journal, reserved: asyncio.Event, release: asyncio.Event) -> None:
        self._inner, self._reserved, self._release = inner, reserved, release

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def reserve(self, operation: Operation) -> None:
        await self._inner.reserve(operation)
        self._reserved.set()
        await self._release.wait()


# Processes


def live(folder: Folder, opened: ExitStack, marker: str, n: int = 1) -> Child:
    child = folder.start("call", arguments={"prompt": f"A fox [fault:{marker}]", "n": n})
    opened.callback(child.kill)
    return child


@linux_only
def test_many_processes_with_many_faults_leave_one_story(folder: Folder) -> None:
    children = [
        folder.start("call", arguments={"prompt": f"Fox {number} [fault:{mode}]", "n": 2})
        for number, mode in enumerate(MODES * 2)
    ]
    assert [child.read()[0] for child in children] == [0] * len(children)
    rows = operations(folder.stack.state)
    assert len(rows) == len(children)
    assert {row.state for row in rows} == {"done", "released", "unknown"}
    folder.recover(2)
    assert_stands(folder.stack, folder.upstream.posts)


@linux_only
def test_recoveries_take_up_the_dead_and_leave_the_living_alone(folder: Folder) -> None:
    with ExitStack() as opened:
        dead = [live(folder, opened, "delay=30") for _ in range(4)]
        living = [live(folder, opened, "delay=1.5", n=2) for _ in range(4)]
        until(lambda: len(folder.upstream.paid) == 8)
        for child in dead:
            child.kill()
            assert child.wait() == -signal.SIGKILL
        found = folder.recover(3)
        assert sum(each["unknown"] for each in found if each) == 4
        assert sum(sum(each.values()) for each in found if each) == 4
        assert folder.recover() == [{"done": 0, "released": 0, "unknown": 0, "waiting": 0}]
        assert [child.read()[0] for child in living] == [0] * 4
    assert sorted(row.state for row in operations(folder.stack.state)) == ["done"] * 4 + ["unknown"] * 4
    assert_stands(folder.stack, folder.upstream.posts)


# Recoveries that meet something they cannot handle


@pytest.fixture
def died(folder: Folder) -> Iterator[Folder]:
    """Two processes died when their answers had come."""
    for number in range(2):
        arguments = {"prompt": f"Fox {number}"}
        status, _ = folder.call(arguments=arguments, die_after="after journal.move to received")
        assert status == -signal.SIGKILL
    yield folder
    folder.recover()
    assert_stands(folder.stack, folder.upstream.posts)
    assert {row.state for row in operations(folder.stack.state)} == {"done"}


@linux_only
@pytest.mark.anyio
async def test_a_server_without_a_key_saves_what_another_paid_for(died: Folder) -> None:
    async with died.stack.parts() as (_, execution):
        execution._gateway = KeylessGateway(execution._gateway)
        await execution.recover()
    assert {row.state for row in operations(died.stack.state)} == {"done"}


@linux_only
@pytest.mark.anyio
async def test_an_answer_that_cannot_be_read_now_holds_up_no_other(died: Folder) -> None:
    first, second = operations(died.stack.state)
    spool = died.stack.state / "spool"
    answer = spool / f"{first.id}.images.0.resp"
    aside = answer.rename(died.stack.folder / "aside")
    answer.mkdir()
    (answer / "in the way").touch()
    await died.stack.recover()
    states = {row.id: row.state for row in operations(died.stack.state)}
    assert states == {first.id: "received", second.id: "done"}
    (answer / "in the way").unlink()
    answer.rmdir()
    aside.rename(answer)


@linux_only
@pytest.mark.anyio
async def test_a_recovery_ends_though_the_state_disk_fails_under_it(died: Folder) -> None:
    def fail(step: str) -> None:
        if step.startswith("before") and "pictures" in step:
            raise OSError(5, "Input/output error")

    steps = Steps(fail)
    with pytest.MonkeyPatch.context() as patch:
        for name, function in steps.system_calls().items():
            patch.setattr(f"os.{name}", function)
        await died.stack.recover()
    assert {row.state for row in operations(died.stack.state)} == {"received"}
    assert all(row.failure for row in operations(died.stack.state))


# Sessions


@pytest.mark.anyio
async def test_turns_of_two_services_on_one_session_come_one_after_the_other(
    stack: Stack, upstream: RawUpstream
) -> None:
    other = replace(stack)
    async with stack.service() as first, other.service() as second:
        begun = await first.start_session(StartSessionRequest(prompt="A fox", images=["sketch.png"]))
        session_id = begun.model_dump()["session_id"]
        turn = ContinueSessionRequest(session_id=session_id, prompt="Snow [fault:delay=0.1]")
        made = await asyncio.gather(*(service.continue_session(turn) for service in (first, second, first)))
    assert sorted(result.model_dump()["turn"] for result in made) == [2, 3, 4]
    assert len(upstream.paid) == 4
    assert_stands(stack, upstream.posts)


@pytest.mark.anyio
async def test_a_turn_that_another_process_has_made_meanwhile_is_not_made_again(
    stack: Stack, upstream: RawUpstream
) -> None:
    """A server that died left the turn to its worker, which ended between our look and our reservation."""
    async with stack.service() as service:
        await service.start_session(StartSessionRequest(prompt="A fox", images=["sketch.png"]))
    made = await stack.latest()
    assert made is not None
    async with stack.parts() as (parts, _):
        with pytest.raises(SessionBusy):
            await parts.journal.reserve(replace(made, id="0" * 32, state="reserved", completed=None))
    assert await stack.latest() == made
    assert_stands(stack, upstream.posts)
