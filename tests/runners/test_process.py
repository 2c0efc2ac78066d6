"""The worker process for real: pipes, sessions, death."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.assembly import open_service
from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.errors import OutcomeUnknown
from gpt_image_2_mcp.requests import GenerateRequest, GetResultRequest
from gpt_image_2_mcp.results import WorkingResult
from gpt_image_2_mcp.runners.process import MAX_ORDERS
from gpt_image_2_mcp.service import ImageService
from gpt_image_2_mcp.settings import Settings, read_settings
from tests.support.pictures import opened
from tests.support.services import made

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="finds the worker through /proc"),
]
SMALL = GenerateRequest(prompt="a fox", size="1024x640", quality="low")
BIG = GenerateRequest(prompt="a fox", size="2880x2880", quality="low")


@pytest.fixture
def settings(home: Path) -> Settings:
    environ = {"GPT_IMAGE_2_SANDBOX": "1", "GPT_IMAGE_2_WORKER": "process", "HOME": str(home)}
    return replace(read_settings(environ), state_dir=home / "state", output_dir=home / "out")


@asynccontextmanager
async def service_of(settings: Settings) -> AsyncIterator[ImageService]:
    async with open_service(settings) as service:
        yield service


def workers(settings: Settings) -> Iterator[int]:
    """The process ids of workers that stand in the state folder."""
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if b"gpt_image_2_mcp.worker" in command and (entry / "cwd").readlink() == settings.state_dir:
                yield int(entry.name)
        except OSError:
            continue


def states(settings: Settings) -> list[str]:
    """How the operations in the sandbox's journal stand."""
    with closing(sqlite3.connect(settings.state_dir / "sandbox" / "state.sqlite3", timeout=10)) as db:
        return [row[0] for row in db.execute("SELECT state FROM operations")]


async def until(happened: Callable[[], object]) -> None:
    """Poll other processes, for half a minute at most."""
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def handed_off(service: ImageService) -> str:
    working = await service.generate(BIG, Caller(wait_s=0))
    assert isinstance(working, WorkingResult)
    return working.operation_id


async def test_calls_are_made_by_one_worker_that_stays_for_the_next(settings: Settings) -> None:
    async with service_of(settings) as service:
        first = made(await service.generate(SMALL))
        (pid,) = workers(settings)
        second = made(await service.generate(SMALL))
        assert list(workers(settings)) == [pid]
        assert os.getsid(pid) == pid, "a session of its own"
    for result in (first, second):
        assert opened(Path(result.images[0].file_path).read_bytes()).size == (1024, 640)
    await until(lambda: not list(workers(settings)))


async def test_a_call_goes_on_when_its_server_leaves(settings: Settings) -> None:
    async with service_of(settings) as service:
        operation_id = await handed_off(service)
    async with service_of(settings) as other:
        result = made(await other.get_result(GetResultRequest(operation_id=operation_id)))
    assert opened(Path(result.images[0].file_path).read_bytes()).size == (2880, 2880)


async def test_the_end_of_a_worker_is_told_at_once_and_the_next_call_has_another(settings: Settings) -> None:
    async with service_of(settings) as service:
        made(await service.generate(SMALL))
        (pid,) = workers(settings)
        waiting = asyncio.create_task(service.generate(BIG))
        await until(lambda: "sent" in states(settings))
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(OutcomeUnknown, match="was ended before it came"):
            await waiting
        made(await service.generate(SMALL))


async def test_signals_that_end_a_session_do_not_end_the_worker(settings: Settings) -> None:
    async with service_of(settings) as service:
        made(await service.generate(SMALL))
        (pid,) = workers(settings)
        operation_id = await handed_off(service)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        made(await service.get_result(GetResultRequest(operation_id=operation_id)))


async def test_where_no_process_can_be_let_out_the_server_does_the_work(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_arguments: object, **_options: object) -> object:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr("gpt_image_2_mcp.runners.process.subprocess.Popen", forbidden)
    async with service_of(settings) as service:
        made(await service.generate(SMALL))
        operation_id = await handed_off(service)
    async with service_of(settings) as other:
        made(await other.get_result(GetResultRequest(operation_id=operation_id)))


async def test_workers_that_die_before_they_work_are_not_started_for_ever(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    popen = subprocess.Popen

    def dying(_command: object, **options: Any) -> subprocess.Popen[bytes]:
        started.append(1)
        return popen([sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit(3)"], **options)

    monkeypatch.setattr("gpt_image_2_mcp.runners.process.subprocess.Popen", dying)
    async with service_of(settings) as service:
        made(await service.generate(SMALL))
    assert len(started) == MAX_ORDERS
