"""A service in this process over the stand-in upstream: real HTTP, a real folder, times scaled down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx2

from gpt_image_2_mcp.assembly import utc_now
from gpt_image_2_mcp.drafts import Defaults
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.execution import ORDER_GRACE_S, Execution, Sleep
from gpt_image_2_mcp.gateways._upstream import Account, Timeouts, Upstream
from gpt_image_2_mcp.gateways.fallback import FallbackGateway
from gpt_image_2_mcp.gateways.images import ImagesGateway
from gpt_image_2_mcp.gateways.responses import ResponsesGateway
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.library import Library
from gpt_image_2_mcp.limits import Limits
from gpt_image_2_mcp.models import Operation
from gpt_image_2_mcp.operations import Operations
from gpt_image_2_mcp.ports import ImageStore, Journal, Leases, Pace, Spools
from gpt_image_2_mcp.results import ImageResult
from gpt_image_2_mcp.retries import RetryPolicy
from gpt_image_2_mcp.roots import OutputDir, Roots, real_path
from gpt_image_2_mcp.runners.inline import InlineRunner
from gpt_image_2_mcp.service import ImageService, PaidResult
from gpt_image_2_mcp.sources.https import HttpsFetcher
from gpt_image_2_mcp.sources.loader import Sources
from gpt_image_2_mcp.stores.catalogue import SqliteCatalogue
from gpt_image_2_mcp.stores.files import FileImageStore
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.leases import FileLeases
from gpt_image_2_mcp.stores.ledger import SqliteLedger
from gpt_image_2_mcp.stores.pace import SqlitePace
from gpt_image_2_mcp.stores.spool import SpoolFolder
from gpt_image_2_mcp.stores.sqlite import Database
from gpt_image_2_mcp.stores.sqlite_sessions import SqliteSessionStore
from tests.faults.standing import Scene, assert_standing
from tests.faults.wire import Post
from tests.support.upstreams import CANARY

SCALED: Final = Timeouts(connect=0.5, pool=1, write=1, first_byte=1.5, idle=1.0, stream_idle=1.0, total=3.0)
PATIENT: Final = Timeouts(connect=2, pool=5, write=10, first_byte=20, idle=20, total=60)


@dataclass
class Parts:
    """What an open stack consists of; a test may put wrappers in their places."""

    database: Database
    journal: Journal
    images: ImageStore
    spools: Spools
    leases: Leases
    pace: Pace


@dataclass
class Stack:
    """The folders and the address of one service; opening it twice is two processes in one."""

    folder: Path
    base_url: str
    timeouts: Timeouts = SCALED
    transport: Callable[[], httpx2.AsyncBaseTransport | None] = lambda: None
    bend: Callable[[Parts], Parts] = lambda parts: parts
    clock_ahead_s: float = 0
    limits: Limits = Limits()
    waits: list[float] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def second(self) -> Path:
        return self.folder / "second-spool"

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    def scene(self, posts: Sequence[Post] = (), said: str = "", unfinished: tuple[str, ...] = ()) -> Scene:
        return Scene(
            self.state, (self.pictures,), self.second, posts, said=said.encode(), unfinished=unfinished
        )

    @asynccontextmanager
    async def service(self) -> AsyncIterator[ImageService]:
        async with self.parts() as (parts, execution):
            operations = Operations(
                parts.journal,
                InlineRunner(execution),
                execution,
                parts.images,
                parts.spools,
                parts.leases,
                utc_now,
                self.limits,
            )
            sessions = SqliteSessionStore(parts.database, self.state / "locks", utc_now)
            chosen = OutputDir(self.pictures, real_path(self.folder))
            defaults = Defaults("gpt-image-2", lambda _asked: chosen)
            sources = Sources(self.folder, HttpsFetcher(), Roots.of(self.folder), limits=self.limits)
            try:
                library = Library(SqliteCatalogue(parts.database), sources)
                ledger = SqliteLedger(parts.database, utc_now)
                yield ImageService(operations, sources, sessions, defaults, utc_now, library, ledger)
            finally:
                await operations.close()

    @asynccontextmanager
    async def parts(self) -> AsyncIterator[tuple[Parts, Execution]]:
        database = Database(self.state)
        api = Upstream(
            Account(self.base_url, Secret(CANARY)), self.transport, self.timeouts, self.limits.answer
        )
        journal = SqliteJournal(database, utc_now)
        spools = SpoolFolder(self.state / "spool", self.second)
        leases, sleep = FileLeases(self.state / "locks"), self._sleeper(journal)
        pace = SqlitePace(database, leases, "account", self._later, sleep=sleep)
        parts = self.bend(Parts(database, journal, FileImageStore(), spools, leases, pace))
        gateway = FallbackGateway(ImagesGateway(api), ResponsesGateway(api, "gpt-5.4-mini"))
        execution = Execution(
            parts.journal,
            gateway,
            parts.images,
            parts.spools,
            parts.leases,
            parts.pace,
            limits=self.limits,
            retries=RetryPolicy(draw=lambda low, _high: low),
            sleep=sleep,
            clock=lambda: utc_now() + timedelta(seconds=self.clock_ahead_s),
        )
        try:
            yield parts, execution
        finally:
            await api.close()
            await database.close()

    def _later(self) -> datetime:
        return utc_now() + timedelta(seconds=sum(self.waits))

    def _sleeper(self, journal: SqliteJournal) -> Sleep:
        """Writes down what is slept and what the journal says meanwhile."""

        async def sleep(seconds: float) -> None:
            (operation,) = await journal.recent(1)
            self.waits.append(seconds)
            self.phases.append(operation.phase)
            await asyncio.sleep(0)

        return sleep

    async def recover(self) -> None:
        """As if a while had passed since."""
        self.clock_ahead_s = 2 * ORDER_GRACE_S
        async with self.parts() as (_, execution):
            await execution.recover()

    async def latest(self) -> Operation | None:
        async with self.parts() as (parts, _):
            return next(iter(await parts.journal.recent(1)), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one call: what the caller was told, and what stands in the journal."""

    told: str
    result: ImageResult | None
    error: ImageServerError | None
    operation: Operation | None

    @property
    def state(self) -> str:
        return self.operation.state if self.operation else ""


async def outcome(stack: Stack, call: Callable[[ImageService], Awaitable[PaidResult]]) -> Outcome:
    """Make one call on a stack that is opened for it."""
    result: ImageResult | None = None
    error: ImageServerError | None = None
    async with stack.service() as service:
        try:
            made = await call(service)
            assert isinstance(made, ImageResult)
            result = made
        except ImageServerError as caught:
            error = caught
    told = str(error) if error else str(result)
    return Outcome(told, result, error, await stack.latest())


def assert_stands(stack: Stack, posts: Sequence[Post], *outcomes: Outcome, unfinished: str = "") -> None:
    """The standing checks over a stack and what its callers were told."""
    said = "\n".join(outcome.told for outcome in outcomes)
    assert_standing(stack.scene(posts, said, (unfinished,) if unfinished else ()))
