"""Takes an answer to the disk as it comes: in few writes, each done to its end, and not waiting for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

import httpx2
from anyio.to_thread import run_sync

from gpt_image_2_mcp.gateways._events import Follower
from gpt_image_2_mcp.gateways._patience import Patience
from gpt_image_2_mcp.gateways._sink import Sink
from gpt_image_2_mcp.models import EncodedPicture

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_WRITE_BYTES: Final = 512 * 1024
"""What is kept of an answer before it is written."""

OnPartial = Callable[[int, EncodedPicture], Awaitable[None]]
"""Given each partial picture of a stream, by its index from 0, when it stands on disk."""


class Receiver:
    """Of one answer; `follower` if it is a stream. `patience` says how long it may be silent, in seconds.

    An event stream is whole when it has said everything, though its connection break.
    """

    def __init__(
        self,
        targets: Sequence[Path],
        follower: Follower | None,
        patience: Callable[[Follower | None], float],
        on_partial: OnPartial,
    ) -> None:
        self._sink = Sink(targets)
        self._follower = follower
        self._patience = patience
        self._on_partial = on_partial
        self._held: list[bytes] = []

    async def receive(self, pieces: AsyncGenerator[bytes]) -> Path:
        """Where the answer stands, whole and flushed.

        Raises:
            TimeoutError: it was silent for too long.
            StorageError: it could not be written.
        """
        try:
            await self._take(pieces)
        except BaseException:
            # Also of an answer that breaks off: whole pictures in it are salvaged.
            await _to_its_end(self._sink.leave, *self._let_go())
            raise
        return await _to_its_end(self._sink.finish, *self._let_go())

    async def _take(self, pieces: AsyncGenerator[bytes]) -> None:
        try:
            async with aclosing(pieces), Patience(self._patience(self._follower)) as silence:
                async for piece in pieces:
                    await self._keep(piece, silence)
                    silence.renew(self._patience(self._follower))
        except (TimeoutError, httpx2.HTTPError, httpx2.StreamError):
            if not (self._follower and self._follower.all_said):
                raise

    async def _keep(self, piece: bytes, silence: Patience) -> None:
        ended, partials = self._follower.feed(piece) if self._follower else (False, [])
        self._held.append(piece)
        if ended or sum(map(len, self._held)) >= _WRITE_BYTES:
            silence.renew(None)  # a slow disk is not the server's
            await _to_its_end(self._sink.write, *self._let_go())
        for partial in partials:
            await self._on_partial(partial.index, EncodedPicture(self._sink.path, *partial.span))

    def _let_go(self) -> list[bytes]:
        held, self._held = self._held, []
        return held


async def _to_its_end(work: Callable[[*Ts], T], *args: *Ts) -> T:
    """Do `work` in a thread; a cancellation is heeded when it is done, lest two threads write one file."""
    task = asyncio.ensure_future(run_sync(work, *args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
