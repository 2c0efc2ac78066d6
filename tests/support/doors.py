"""A gateway with a door before it, for tests that look at what happens while calls are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from gpt_image_2_mcp.models import Answer, ImageJob, Receipt, RequestOutline
from gpt_image_2_mcp.ports import Gateway, Spool, Tell


@dataclass
class Door:
    """Calls stand before it, in the order they came, until they are let through."""

    inner: Gateway | None = None
    standing: dict[str, asyncio.Event] = field(default_factory=dict)
    came: list[str] = field(default_factory=list)
    most: int = 0
    is_open: bool = False
    _arrival: asyncio.Event = field(default_factory=asyncio.Event)

    def before(self, inner: Gateway) -> Gateway:
        self.inner = inner
        return self

    def open(self) -> None:
        """Let everybody through, now and later."""
        self.is_open = True
        for event in self.standing.values():
            event.set()

    def let_through(self, prompt: str) -> None:
        self.standing[prompt].set()

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait for arrivals until it has happened."""
        while not happened():
            self._arrival.clear()
            await self._arrival.wait()

    async def send(self, job: ImageJob, spool: Spool, tell: Tell) -> Receipt:
        assert self.inner is not None
        event = self.standing[job.prompt] = asyncio.Event()
        self.came.append(job.prompt)
        self.most = max(self.most, len(self.standing))
        self._arrival.set()
        try:
            if not self.is_open:
                await event.wait()
        finally:
            del self.standing[job.prompt]
        return await self.inner.send(job, spool, tell)

    def outline(self, job: ImageJob) -> RequestOutline:
        assert self.inner is not None
        return self.inner.outline(job)

    async def complete(self, receipt: Receipt, spool: Spool) -> Receipt:
        assert self.inner is not None
        return await self.inner.complete(receipt, spool)

    def read(self, receipt: Receipt) -> Answer:
        assert self.inner is not None
        return self.inner.read(receipt)

    async def tidy(self, spool: Spool) -> None:
        assert self.inner is not None
        await self.inner.tidy(spool)
