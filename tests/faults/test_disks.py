"""Disks that fill up, fail, or are taken away, before the call, during it and after it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.requests import GenerateRequest, GetResultRequest
from gpt_image_2_mcp.results import ImageResult
from tests.faults.folder import Folder
from tests.faults.stack import PATIENT, Outcome, Stack, assert_stands, outcome
from tests.faults.standing import operations
from tests.faults.steps import Steps
from tests.faults.upstream import RawUpstream
from tests.faults.waiting import until

pytestmark = pytest.mark.anyio
LARGE = "A fox [pixels:300x300]"
"""A picture of 270 KB, which is 360 KB of answer."""


async def generated(stack: Stack, prompt: str = "A fox", n: int = 1, size: str | None = None) -> Outcome:
    request = GenerateRequest(prompt=prompt, n=n, size=size)
    return await outcome(stack, lambda service: service.generate(request))


async def collected(stack: Stack, came: Outcome) -> Outcome:
    """As `get_result` answers for the operation of an earlier call."""
    assert came.operation is not None
    request = GetResultRequest(operation_id=came.operation.id)
    return await outcome(stack, lambda service: service.get_result(request))


async def under_way(
    stack: Stack, upstream: RawUpstream, prompt: str = "A fox", **more: Any
) -> asyncio.Task[Outcome]:
    """A call whose POST is at the upstream and not answered yet."""
    call = asyncio.ensure_future(generated(stack, f"{prompt} [fault:delay=0.4]", **more))
    await asyncio.to_thread(until, lambda: upstream.paid or call.done())
    assert not call.done(), call.result()
    return call


# The n-th call of the system fails


class _Fault:
    """Fails the `at`-th step that is about to be done; a `lasting` one all that follow."""

    def __init__(self, at: int, *, lasting: bool) -> None:
        self._left, self._lasting = at, lasting
        self.steps: list[str] = []

    @property
    def happened(self) -> bool:
        return self._left <= 0

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if not step.startswith("before"):
            return
        self._left -= 1
        if self._left == 0 or (self._lasting and self._left < 0):
            self.steps.append("failed")
            raise OSError(errno.ENOSPC, "No space left on device")


@contextmanager
def failing(at: int, *, lasting: bool) -> Iterator[_Fault]:
    fault = _Fault(at, lasting=lasting)
    steps = Steps(fault)
    with pytest.MonkeyPatch.context() as patch:
        calls = steps.system_calls()
        patch.setattr(os, "fdopen", steps.opened_files())
        for name, function in calls.items():
            patch.setattr(os, name, function)
        yield fault


@pytest.mark.skipif(sys.platform != "linux", reason="tells files apart by /proc")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("n", [1, 3])
async def test_whichever_call_of_the_system_fails_nothing_that_came_is_lost(
    tmp_path: Path, upstream: RawUpstream, n: int, lasting: bool
) -> None:
    for at in count(1):
        sent = len(upstream.posts)
        stack = Stack(tmp_path / str(at), upstream.base_url)
        with failing(at, lasting=lasting) as fault:
            came = await generated(stack, n=n)
        await stack.recover()
        posts = upstream.posts[sent:]
        assert_stands(stack, posts, came)
        states = [row.state for row in operations(stack.state)]
        stood = "after replace of spool .part" in fault.steps
        if not posts:
            assert states in ([], ["released"]), fault.steps
            assert isinstance(came.error, StorageError), fault.steps
            assert "nothing was sent" in came.told, fault.steps
        elif stood or not lasting:
            assert states == ["done"], fault.steps
            assert len(list(stack.pictures.iterdir())) == n
        if not fault.happened:
            break
    assert at > 10 + 3 * n


@pytest.mark.parametrize("left", [False, True], ids=["alive", "after a death"])
async def test_a_disk_without_hard_links_gets_whole_pictures_and_no_empty_ones(
    stack: Stack, upstream: RawUpstream, monkeypatch: pytest.MonkeyPatch, left: bool
) -> None:
    def no_link(*_paths: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    call = await under_way(stack, upstream)
    latest = await stack.latest()
    assert latest is not None
    if left:  # by a process that had taken the name and died before it moved the picture there
        (stack.pictures / latest.placement.filename("png", 0, 1)).touch()
    came = await call
    assert came.state == "done"
    assert_stands(stack, upstream.posts, came)


# A full disk


def test_an_answer_that_no_folder_can_hold_is_salvaged_as_far_as_it_came(folder: Folder) -> None:
    arguments = {"prompt": LARGE, "n": 3}
    child = folder.start("call", arguments=arguments, file_limit=600_000)
    status, said = child.read()
    end = json.loads(said[-1])
    assert (status, end["state"]) == (0, "done")
    assert "The answer broke off" in end["told"]
    (row,) = operations(folder.stack.state)
    assert len(row.images) == 1
    folder.recover()
    assert_stands(folder.stack, folder.upstream.posts)


def test_an_answer_of_which_too_little_can_be_held_is_unknown(folder: Folder) -> None:
    child = folder.start("call", arguments={"prompt": LARGE}, file_limit=300_000)
    status, said = child.read()
    end = json.loads(said[-1])
    assert (status, end["state"]) == (0, "unknown")
    assert "could not be written" in end["told"]
    assert "may have been billed" in end["told"]
    folder.recover()
    assert_stands(folder.stack, folder.upstream.posts)
    assert len(folder.upstream.paid) == 1


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path]:
    """A disk of its own at `place`."""
    place.mkdir(parents=True, exist_ok=True)
    if sys.platform != "linux" or not mounted("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)):
        pytest.skip("a tmpfs cannot be mounted here: it takes root on Linux")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def mounted(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0


async def test_an_answer_goes_to_the_second_folder_when_the_state_disk_is_full(
    stack: Stack, upstream: RawUpstream
) -> None:
    with small_disk(stack.state, 300):
        came = await generated(stack, LARGE, n=3)
        assert (came.state, len(upstream.paid)) == ("done", 1)
        assert_stands(stack, upstream.posts, came)
    assert list(stack.second.iterdir()) == []


async def test_a_call_whose_pictures_have_no_room_is_refused_before_it_is_sent(
    stack: Stack, upstream: RawUpstream
) -> None:
    with small_disk(stack.pictures, 1000):
        came = await generated(stack, size="1024x1024")
        assert isinstance(came.error, StorageError)
        assert "nothing was sent" in came.told
        assert upstream.posts == []
        assert operations(stack.state) == []


async def test_a_picture_without_room_waits_and_is_collected_when_there_is_some(
    stack: Stack, upstream: RawUpstream
) -> None:
    with small_disk(stack.pictures, 26_000):
        filler = stack.pictures / ".filler"
        call = await under_way(stack, upstream, LARGE, n=3, size="1024x640")
        filler.write_bytes(bytes(shutil.disk_usage(stack.pictures).free - 400_000))
        came = await call
        assert isinstance(came.error, StorageError)
        assert came.operation is not None
        assert came.state == "received"
        assert len([path for path in stack.pictures.iterdir() if path != filler]) == 1
        assert f"call get_result with {came.operation.id}" in came.told
        again = await collected(stack, came)
        assert isinstance(again.error, StorageError)
        filler.unlink()
        at_last = await collected(stack, came)
        assert at_last.result is not None
        assert len(at_last.result.images) == 3
        assert len(upstream.paid) == 1
        assert_stands(stack, upstream.posts, came, again, at_last)


# A folder that is taken away


async def test_a_folder_that_is_deleted_during_the_call_is_made_again(
    stack: Stack, upstream: RawUpstream
) -> None:
    call = await under_way(stack, upstream)
    shutil.rmtree(stack.pictures)
    came = await call
    assert isinstance(came.result, ImageResult)
    assert_stands(stack, upstream.posts, came)


async def test_a_file_in_the_folders_place_keeps_the_picture_waiting(
    stack: Stack, upstream: RawUpstream
) -> None:
    call = await under_way(stack, upstream, n=2)
    shutil.rmtree(stack.pictures)
    stack.pictures.write_text("in the way")
    came = await call
    assert (came.state, type(came.error)) == ("received", StorageError)
    assert_stands(stack, upstream.posts, came, unfinished="received")
    await stack.recover()
    stack.pictures.unlink()
    await stack.recover()
    latest = await stack.latest()
    assert latest is not None
    assert (latest.state, latest.failure) == ("done", None)
    assert_stands(stack, upstream.posts, came)


@pytest.mark.parametrize("where", ["pictures", "its parent"])
async def test_a_link_in_the_folders_place_keeps_the_picture_waiting_and_nothing_goes_through_it(
    tmp_path: Path, upstream: RawUpstream, where: str
) -> None:
    stack = Stack(tmp_path / "a" / "b", upstream.base_url)
    call = await under_way(stack, upstream, n=2)
    moved = stack.pictures if where == "pictures" else stack.pictures.parent
    outside = tmp_path / "outside"
    if where == "pictures":
        outside.mkdir()
    moved.rename(tmp_path / "moved")
    if where != "pictures":  # the rest of the folder stands there, and is the attacker's
        (tmp_path / "moved").rename(outside)
    moved.symlink_to(outside, target_is_directory=True)
    before = sorted(outside.rglob("*.png"))
    came = await call
    assert (came.state, type(came.error)) == ("received", StorageError)
    assert "no longer leads below" in came.told
    assert sorted(outside.rglob("*.png")) == before
    moved.unlink()
    (tmp_path / "moved" if where == "pictures" else outside).rename(moved)
    at_last = await collected(stack, came)
    assert at_last.result is not None
    assert_stands(stack, upstream.posts, came, at_last)


async def test_a_folder_that_turns_read_only_keeps_the_picture_waiting(
    stack: Stack, upstream: RawUpstream
) -> None:
    with small_disk(stack.pictures, 300_000) as disk:
        call = await under_way(stack, upstream, size="1024x640")
        assert mounted("-o", "remount,ro", str(disk))
        came = await call
        assert (came.state, type(came.error)) == ("received", StorageError)
        assert mounted("-o", "remount,rw", str(disk))
        at_last = await collected(stack, came)
        assert at_last.result is not None
        assert_stands(stack, upstream.posts, came, at_last)


async def test_a_state_folder_that_is_deleted_under_a_call_ends_it_with_an_error_and_no_second_post(
    stack: Stack, upstream: RawUpstream
) -> None:
    stack.timeouts = PATIENT
    call = await under_way(stack, upstream)
    shutil.rmtree(stack.state / "spool")
    came = await call
    assert came.state == "done"
    assert len(upstream.paid) == 1


async def test_a_name_that_is_taken_is_never_written_over(stack: Stack, upstream: RawUpstream) -> None:
    call = await under_way(stack, upstream)
    (row,) = operations(stack.state)
    latest = await stack.latest()
    assert latest is not None
    taken = [stack.pictures / latest.placement.filename("png", 0, 1, digits=digits) for digits in (6, 10)]
    for path in taken:
        path.write_bytes(b"mine")
    came = await call
    assert came.result is not None
    assert Path(came.result.images[0].file_path).name.count(row.id[:16]) == 1
    assert [path.read_bytes() for path in taken] == [b"mine", b"mine"]
    for path in taken:
        path.unlink()
    assert_stands(stack, upstream.posts, came)
