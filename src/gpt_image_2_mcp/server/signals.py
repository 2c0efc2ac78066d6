"""Signals that ask the server to leave."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio


@asynccontextmanager
async def at_first_signal(leave: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Call `leave` at the first signal that comes inside; the second ends the process at once."""

    async def watch() -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for _ in signals:
                group.start_soon(leave)
                break
            async for _ in signals:
                os._exit(130)

    async with anyio.create_task_group() as group:
        if sys.platform != "win32":  # asyncio has no signal handlers there
            group.start_soon(watch)
        yield
        group.cancel_scope.cancel()
