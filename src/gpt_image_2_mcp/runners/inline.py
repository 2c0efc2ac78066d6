"""Carries operations out in this process; leaving waits for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.execution import Execution
from gpt_image_2_mcp.redaction import whereabouts

logger = logging.getLogger(__name__)


class InlineRunner:
    """One task an operation. What a kill takes with it, recovery finds in the spool."""

    def __init__(self, execution: Execution, on_end: Callable[[str], None] = lambda _id: None) -> None:
        self._execution, self._on_end = execution, on_end
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, operation_id: str) -> None:
        if operation_id in self._tasks:  # ordered again by a server that took over from another worker
            return
        task = asyncio.ensure_future(self._run(operation_id))
        self._tasks[operation_id] = task
        task.add_done_callback(lambda _task: self._forget(operation_id))

    async def ended(self, operation_id: str, within: float) -> bool:
        task = self._tasks.get(operation_id)
        if task is None:
            await asyncio.sleep(within)
            return False
        done, _ = await asyncio.wait({task}, timeout=within)
        return bool(done)

    async def close(self) -> None:
        if self._tasks:
            logger.info("waiting for %d picture call(s) under way", len(self._tasks))
            await asyncio.wait(self._tasks.values())

    @property
    def running(self) -> Collection[str]:
        return self._tasks.keys()

    def _forget(self, operation_id: str) -> None:
        del self._tasks[operation_id]
        self._on_end(operation_id)

    async def _run(self, operation_id: str) -> None:
        try:
            await self._execution.run(operation_id)
        except ImageServerError as error:
            logger.warning("operation %s could not be carried on: %s", operation_id, error)
        except Exception as error:  # noqa: BLE001 - an outermost door: the journal keeps what is known
            logger.error("operation %s failed in the server: %s", operation_id, whereabouts(error))
            await self._give_up(operation_id, type(error).__name__)

    async def _give_up(self, operation_id: str, kind: str) -> None:
        try:
            await self._execution.give_up(operation_id, kind)
        except ImageServerError as error:
            logger.warning("operation %s is left for a recovery: %s", operation_id, error)
