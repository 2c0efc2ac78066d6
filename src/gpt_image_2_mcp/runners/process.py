"""Has operations carried out by a worker process that a client's closing of the server does not reach.

Clients close a server by EOF, SIGTERM after 2 s and SIGKILL after 2 s more, so no draining in the server can
finish a 60-second call. The worker stands in a session of its own, gets its settings and its orders through
a pipe, and leaves when it has nothing to do.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.execution import Execution
from gpt_image_2_mcp.runners.inline import InlineRunner

logger = logging.getLogger(__name__)

LOG_LIMIT = 1024 * 1024
MAX_ORDERS = 3
"""How often an operation is ordered of workers that leave or die before they take it."""


class ProcessRunner:
    """`spawn` starts a worker and hands it its settings; `execution` looks after what a dead one left.

    Where the platform lets no process out (a Windows job that forbids it), `inline` does the work.
    """

    def __init__(
        self, spawn: Callable[[], subprocess.Popen[bytes]], execution: Execution, inline: InlineRunner
    ) -> None:
        self._spawn, self._execution, self._inline = spawn, execution, inline
        self._worker: subprocess.Popen[bytes] | None = None
        self._starting = asyncio.Lock()
        self._pending: dict[str, asyncio.Event] = {}
        self._orders: Counter[str] = Counter()
        self._closing = False
        self._taking_over: asyncio.Task[None] | None = None

    @property
    def running(self) -> Collection[str]:
        return self._pending.keys() | set(self._inline.running)

    async def start(self, operation_id: str) -> None:
        self._pending.setdefault(operation_id, asyncio.Event())
        try:
            await self._order(operation_id)
        except OSError as error:
            await self._do_it_here(operation_id, error.strerror or "it takes no orders")

    async def _do_it_here(self, operation_id: str, why: str) -> None:
        logger.warning("no worker process can be used (%s; see worker.log): working in the server", why)
        self._heard(operation_id, through=False)
        await self._inline.start(operation_id)

    async def ended(self, operation_id: str, within: float) -> bool:
        event = self._pending.get(operation_id)
        if event is None:
            return await self._inline.ended(operation_id, within)
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await event.wait()
        return event.is_set()

    async def close(self) -> None:
        """Close the worker's orders: it finishes what it has and leaves."""
        self._closing = True
        if self._worker and self._worker.stdin:
            with suppress(OSError):
                await run_sync(self._worker.stdin.close)
        await self._inline.close()

    async def _order(self, operation_id: str) -> None:
        line = json.dumps({"run": operation_id}).encode() + b"\n"
        while self._orders[operation_id] < MAX_ORDERS:
            self._orders[operation_id] += 1
            worker = await self._ensure_worker()
            try:
                await run_sync(_write, worker, line)
            except (BrokenPipeError, ValueError):  # it left for want of work between the look and the order
                self._worker = None
            else:
                return
        raise OSError("workers end before they take it")

    async def _ensure_worker(self) -> subprocess.Popen[bytes]:
        async with self._starting:
            if self._worker is None or self._worker.poll() is not None:
                self._worker = await run_sync(self._spawn)
                listener = threading.Thread(
                    target=self._listen, args=(self._worker, asyncio.get_running_loop()), daemon=True
                )
                listener.start()
            return self._worker

    def _listen(self, worker: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop) -> None:
        assert worker.stdout is not None  # noqa: S101 - it was asked for
        for line in worker.stdout:
            with suppress(RuntimeError):  # the loop is closed: the server is leaving
                loop.call_soon_threadsafe(self._heard, json.loads(line)["ended"])
        worker.wait()
        _close_pipes(worker)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(self._lost, worker)

    def _heard(self, operation_id: str, *, through: bool = True) -> None:
        self._orders.pop(operation_id, None)
        event = self._pending.pop(operation_id, None)
        if event and through:
            event.set()

    def _lost(self, worker: subprocess.Popen[bytes]) -> None:
        if self._worker is worker:
            self._worker = None
        if not self._closing and self._pending:
            logger.warning("the worker process ended with %d call(s) under way", len(self._pending))
            self._taking_over = asyncio.ensure_future(self._take_over(list(self._pending)))

    async def _take_over(self, operation_ids: list[str]) -> None:
        for operation_id in operation_ids:
            try:
                if await self._execution.resume(operation_id) is None:
                    await self.start(operation_id)  # never sent: another worker may
                else:
                    self._heard(operation_id)
            except ImageServerError as error:
                self._heard(operation_id, through=False)  # a recovery's, from now on
                logger.warning("operation %s could not be taken over: %s", operation_id, error)


def _write(worker: subprocess.Popen[bytes], line: bytes) -> None:
    assert worker.stdin is not None  # noqa: S101 - it was asked for
    worker.stdin.write(line)
    worker.stdin.flush()


def _close_pipes(worker: subprocess.Popen[bytes]) -> None:
    for pipe in (worker.stdin, worker.stdout):
        with suppress(OSError):  # an order that was still to be flushed to the dead
            if pipe:
                pipe.close()


def spawn_worker(settings: bytes, state_dir: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a worker in a session of its own and hand it `settings`, as it reads them. Blocks.

    Raises:
        OSError: the platform will not let a process out of this one's job.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _open_log(state_dir / "worker.log") as log:
        worker = subprocess.Popen(
            # -P: no module of the folder it stands in is imported; the package is found as it was here.
            [sys.executable, "-P", "-m", "gpt_image_2_mcp.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=state_dir,
            env=dict(environment),
            **_detached(),
        )
    _write(worker, base64.b64encode(settings) + b"\n")
    return worker


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        flags = subprocess.CREATE_BREAKAWAY_FROM_JOB | subprocess.CREATE_NEW_PROCESS_GROUP
        return {"creationflags": flags | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _open_log(path: Path) -> BinaryIO:
    """Its log is a file of the state folder: the server's stderr is a pipe that nobody may drain."""
    mode = os.O_TRUNC if path.exists() and path.stat().st_size > LOG_LIMIT else os.O_APPEND
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o600), "ab")
