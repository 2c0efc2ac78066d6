"""A gateway that stands still, for tests of what happens while a picture is being made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gpt_image_2_mcp.models import Answer, ImageJob, Receipt, RequestOutline
from gpt_image_2_mcp.ports import Gateway, Spool, Tell
from tests.support.services import Bench


@dataclass
class Held:
    """A gateway that waits at the door until it is let go, and counts who came."""

    inner: Gateway
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    second: asyncio.Event = field(default_factory=asyncio.Event)
    jobs: list[ImageJob] = field(default_factory=list)

    async def send(self, job: ImageJob, spool: Spool, tell: Tell) -> Receipt:
        self.jobs.append(job)
        (self.second if self.arrived.is_set() else self.arrived).set()
        await self.go.wait()
        return await self.inner.send(job, spool, tell)

    def outline(self, job: ImageJob) -> RequestOutline:
        return self.inner.outline(job)

    async def complete(self, receipt: Receipt, spool: Spool) -> Receipt:
        return await self.inner.complete(receipt, spool)

    def read(self, receipt: Receipt) -> Answer:
        return self.inner.read(receipt)

    async def tidy(self, spool: Spool) -> None:
        await self.inner.tidy(spool)


def hold(bench: Bench) -> list[Held]:
    """Put a held door before the bench's gateway; the list has it once the service is made."""
    doors: list[Held] = []

    def wrap(inner: Gateway) -> Gateway:
        doors.append(Held(inner))
        return doors[0]

    bench.gateway = wrap

    def let_go() -> None:
        for door in doors:
            door.go.set()

    bench.before_close.append(let_go)
    return doors
