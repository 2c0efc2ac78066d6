"""The service behind the handlers: opened once, when it is needed or the tools were listed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Final

import anyio

from gpt_image_2_mcp.errors import ImageServerError

if TYPE_CHECKING:
    from gpt_image_2_mcp.service import ImageService

Open = Callable[[], "AbstractAsyncContextManager[ImageService]"]

logger = logging.getLogger(__name__)

UNLISTED_S: Final = 2.0
"""How long a client is given to ask for the tools, before the service is opened anyway."""


class Opening:
    """Called, it gives the service, and opens it first where that is still to be done.

    A handshake needs none of what a service is made of, so a client is not kept waiting for it. What keeps
    it from opening is told to whoever needs it, and the next one tries again.
    """

    def __init__(self, open_: Open) -> None:
        self._open = open_
        self._service: ImageService | None = None
        self._opening = asyncio.Lock()
        self._closing = AsyncExitStack()
        self._listed = asyncio.Event()

    async def __call__(self) -> ImageService:
        async with self._opening:
            if self._service is None:
                self._service = await self._closing.enter_async_context(self._open())
            return self._service

    def tools_listed(self) -> None:
        """The client knows what it can call."""
        self._listed.set()

    async def open_unasked(self) -> None:
        """Open it after the handshake, for the first call and for what earlier servers have left."""
        with anyio.move_on_after(UNLISTED_S):
            await self._listed.wait()
        try:
            await self()
        except ImageServerError as error:
            logger.warning("not ready: %s", error)

    async def let_go(self) -> None:
        """Let go of paid calls: what this process carries out itself is finished first."""
        if self._service is not None:
            await self._service.close()

    async def close(self) -> None:
        async with self._opening:
            await self._closing.aclose()


def ready(service: ImageService) -> Opening:
    """One that is open already, and stays so."""
    return Opening(lambda: nullcontext(service))


@asynccontextmanager
async def opening(open_: Open) -> AsyncIterator[Opening]:
    """The service to be opened, meanwhile; closed at the end if it was."""
    service = Opening(open_)
    async with anyio.create_task_group() as group:
        group.start_soon(service.open_unasked)
        try:
            yield service
        finally:
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await service.close()
