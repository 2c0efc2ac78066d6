"""Takes a paid call into the journal, hands it to a runner, and waits for it on behalf of its callers."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from statistics import quantiles
from typing import Final

from anyio.to_thread import run_sync

from gpt_image_2_mcp import pricing
from gpt_image_2_mcp.alternatives import advised
from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.capabilities import typical_seconds
from gpt_image_2_mcp.contents import whole
from gpt_image_2_mcp.errors import (
    Busy,
    ImageServerError,
    OperationNotFound,
    PartialNotFound,
    StorageError,
)
from gpt_image_2_mcp.execution import ORDER_GRACE_S, Execution, server_lease
from gpt_image_2_mcp.limits import Limits
from gpt_image_2_mcp.models import (
    AppliedOptions,
    Completed,
    Expectation,
    ImageJob,
    InputImage,
    Operation,
    PartialPicture,
    Placement,
    RequestOutline,
    SessionStep,
    Standing,
)
from gpt_image_2_mcp.ports import Clock, ImageStore, Journal, Leases, Runner, Spools
from gpt_image_2_mcp.redaction import whereabouts
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.sizes import Size

logger = logging.getLogger(__name__)

JOIN_WITHIN: Final = timedelta(minutes=10)
RECOVER_EVERY_S: Final = 600.0
_POLL_S: Final = 0.5
_CROWD: Final = 25
"""Calls from which on each is looked at half as often: an end is told at once all the same."""
_LEAVE_WITHIN_S: Final = 1.0
_SOME_CALL_S: Final = 60.0
"""How long a call is taken to last where nothing is known about its kind."""
_LARGEST = Size(2880, 2880)


class Operations:
    """The front of the journal. `server` names this process among those that share the state folder."""

    def __init__(
        self,
        journal: Journal,
        runner: Runner,
        execution: Execution,
        images: ImageStore,
        spools: Spools,
        leases: Leases,
        clock: Clock,
        limits: Limits = Limits(),
    ) -> None:
        self._journal, self._runner, self._execution = journal, runner, execution
        self._images, self._spools, self._leases, self._clock = images, spools, leases, clock
        self.server: Final = secrets.token_hex(8)
        self._waiting: Counter[str] = Counter()
        self._limits = limits
        self._admitted: set[str] = set()
        self._entering: dict[str, asyncio.Task[None]] = {}
        self._follows: dict[str, asyncio.Task[None]] = {}
        self._recovery: asyncio.Task[None] | None = None
        self._handing_off = False

    @contextmanager
    def admitted(self, operation_id: str, options: RenderOptions | None) -> Iterator[None]:
        """A place among the calls under way, from before its inputs are read until it has begun.

        Raises:
            Busy: all are taken; nothing was read or written.
        """
        under_way = self._admitted.union(self._entering, self._runner.running)
        if len(under_way) >= self._limits.in_flight + self._limits.queue:
            raise Busy(
                f"{len(under_way)} calls are under way or waiting, as many as this server takes on.",
                wait_s=self._until_one_ends(options),
            )
        self._admitted.add(operation_id)
        try:
            yield
        finally:
            self._admitted.discard(operation_id)

    def _until_one_ends(self, options: RenderOptions | None) -> float:
        """Seconds, if the calls under way are of the same kind."""
        known = typical_seconds(options.model or "", options.quality or "auto") if options else None
        return (known or _SOME_CALL_S) / self._limits.in_flight

    async def begin(
        self, job: ImageJob, placement: Placement, fingerprint: str, step: SessionStep | None = None
    ) -> Operation:
        """Journal a call and start it. When this returns it will end, whoever waits.

        Raises:
            StorageError: a folder cannot be written or has no room; nothing was journalled or sent.
            BudgetExceeded: the call may cost more than is left; likewise.
        """
        operation = self._reserved(job, placement, fingerprint, step)
        await self._check_budgets(operation, job)  # before anything is written; entering it looks again
        await self._images.prepare(placement, _expected_bytes(job))
        _log_begin(operation)
        self._announce()
        # Once it is journalled it is also started, though the caller be cancelled or the server leave.
        entering = asyncio.ensure_future(self._enter(operation, job))
        self._entering[operation.id] = entering
        entering.add_done_callback(lambda _task: self._entering.pop(operation.id))
        with self._waited_for(operation.id):  # its caller is about to: nobody else may take it for abandoned
            await asyncio.shield(entering)
        return operation

    @contextmanager
    def _waited_for(self, operation_id: str) -> Iterator[None]:
        self._waiting[operation_id] += 1
        try:
            yield
        finally:
            self._waiting[operation_id] -= 1
            if not self._waiting[operation_id]:
                del self._waiting[operation_id]

    def _reserved(
        self, job: ImageJob, placement: Placement, fingerprint: str, step: SessionStep | None
    ) -> Operation:
        now = self._clock()
        return Operation(
            id=placement.token,
            state="reserved",
            action=job.action,
            prompt=job.prompt,
            options=job.options,
            placement=placement,
            fingerprint=fingerprint,
            server=self.server,
            created_at=now,
            changed_at=now,
            step=step,
            estimate=pricing.upper_bound(job),
        )

    async def check_budgets(self, job: ImageJob, placement: Placement, step: SessionStep | None) -> None:
        """Whether `begin` would find room in the budgets now.

        Raises:
            BudgetExceeded: it would not.
        """
        await self._check_budgets(self._reserved(job, placement, "", step), job)

    async def _check_budgets(self, operation: Operation, job: ImageJob) -> None:
        with advised(job, operation.created_at.date()):
            await self._journal.check_budgets(operation)

    async def outline(self, job: ImageJob) -> RequestOutline:
        """The request that `begin` would have sent."""
        return await run_sync(self._execution.outline, job)

    async def keep(self, image: InputImage, placement: Placement) -> Operation:
        """Save a picture from elsewhere and enter it, so that it has an id.

        Raises:
            StorageError: it cannot be saved.
        """
        # A photograph may lie on its side in its file; it is told of, and masked, as it is shown.
        stored = replace(await self._images.save(whole(image.data), placement, 0, 1), size=image.size)
        now = self._clock()
        made = AppliedOptions(size=str(stored.size), quality=None, background=None, output_format=None)
        operation = Operation(
            id=placement.token,
            state="done",
            action="import",
            prompt=image.origin,
            options=RenderOptions(),
            placement=placement,
            fingerprint="",
            server=self.server,
            created_at=now,
            changed_at=now,
            completed=Completed((stored,), made, None, 0, "images"),
        )
        await self._journal.record(operation)
        return operation

    async def _enter(self, operation: Operation, job: ImageJob) -> None:
        spool = self._spools.open(operation.id)
        await run_sync(spool.save_job, job)
        try:
            with advised(job, operation.created_at.date()):
                await self._journal.reserve(operation)
        except ImageServerError:
            await run_sync(spool.drop_job)
            raise
        await self._runner.start(operation.id)

    def when_settled(
        self, operation: Operation, then: Callable[[Operation], Awaitable[None]], held: AsyncExitStack
    ) -> None:
        """Keep what `held` holds until the operation is settled and `then` is done, whoever waits."""

        async def follow() -> None:
            async with held:
                await then(await self._watch(operation, Caller()))

        task = asyncio.ensure_future(follow())
        self._follows[operation.id] = task
        task.add_done_callback(lambda _task: self._follows.pop(operation.id, None))

    async def get(self, operation_id: str | None) -> Operation:
        """An operation, or this server's latest where the id is None.

        Raises:
            OperationNotFound: there is none.
        """
        if operation_id is not None:
            return await self._journal.get(operation_id)
        recent = await self._journal.recent(100)
        latest = [o for o in recent if o.server == self.server and o.action != "import"]
        if not latest:
            raise OperationNotFound("This server made no call yet.", hint=_found_instead(recent))
        return latest[0]

    async def under_way(self) -> tuple[str, ...]:
        """The ids of the operations that have not ended, the latest first."""
        return tuple(operation.id for operation in reversed(await self._journal.unfinished()))

    async def abandoned_twin(self, fingerprint: str) -> Operation | None:
        """An identical call in flight that nobody waits for any more: a re-sent call joins it."""
        since = self._clock() - JOIN_WITHIN
        for operation_id, server in await self._journal.alike(fingerprint, since):
            ours = server == self.server
            awaited = self._waiting[operation_id] if ours else self._server_lives(server)
            if not awaited:
                with suppress(StorageError):  # its entry is damaged: nobody can join it
                    return await self._journal.get(operation_id)
        return None

    async def wait(self, operation: Operation, caller: Caller) -> Operation:
        """The operation when it is settled, the caller's patience ends or all is handed off."""
        with self._waited_for(operation.id):
            seen = await self._watch(operation, caller, lambda: self._handing_off)
            if seen.is_settled and (follow := self._follows.get(operation.id)):
                await asyncio.shield(follow)  # a turn is in its session before it is told of
            return seen

    async def settle_session(self, session_id: str) -> bool:
        """Wait for turns that a process which died left in flight; whether there were any."""
        under_way = [o for o in await self._journal.unfinished_in_session(session_id) if not o.is_settled]
        for operation in under_way:
            await self._watch(operation, Caller())
        return bool(under_way)

    async def partial(self, operation_id: str, index: int) -> PartialPicture:
        """A picture in the making; `index` counts from 0.

        Raises:
            OperationNotFound: there is no such operation.
            PartialNotFound: it has not come, or is not kept any more.
        """
        operation = await self._journal.get(operation_id)
        kept = await run_sync(self._spools.open(operation.id).partial, index)
        if kept is None:
            raise PartialNotFound(f"There is no partial picture {index} of that call.")
        return kept

    async def resume(self, operation_id: str) -> Operation:
        """Try again what a full disk stopped; the operation as it then stands."""
        await self._execution.resume(operation_id)
        return await self._journal.get(operation_id)

    async def expected(self, operation: Operation) -> Expectation | None:
        """How long such a call takes: by this machine's own history, else by published figures."""
        own = await self._journal.durations(operation.options)
        if len(own) > 1:
            return Expectation(*quantiles(own, n=4, method="inclusive"))
        usual = own[0] if own else typical_seconds(operation.model, operation.options.quality or "auto")
        return None if usual is None else Expectation(usual, usual, usual)

    async def start_recovery(self) -> None:
        """Recover now and every ten minutes, in the background."""
        self._recovery = asyncio.ensure_future(self._recover_for_ever())

    async def check(self) -> None:
        """Make sure that a call could be journalled and its answer spooled.

        Raises:
            StorageError: it could not.
        """
        await run_sync(self._spools.probe)
        await self._journal.recent(1)

    def hand_off(self) -> None:
        """End all waiting: a server that leaves still tells its callers what to collect."""
        self._handing_off = True

    async def close(self) -> None:
        """Let go of what this process holds; calls under way end in their runner."""
        if self._recovery:
            self._recovery.cancel()
        if self._entering:
            await asyncio.wait(self._entering.values(), timeout=_LEAVE_WITHIN_S)
        await self._runner.close()
        if self._follows:
            await asyncio.wait(self._follows.values(), timeout=0.3)
        self.forget_server()

    def forget_server(self) -> None:
        """Stop being among the servers that somebody may be waiting at."""
        self._leases.give_back(server_lease(self.server))

    def _announce(self) -> None:
        self._leases.take(server_lease(self.server))

    def _server_lives(self, server: str) -> bool:
        return self._leases.is_held(server_lease(server))

    async def _watch(
        self, operation: Operation, caller: Caller, stop: Callable[[], bool] = lambda: False
    ) -> Operation:
        """Look again and again, from the operation as it was seen last."""
        if caller.left_s == 0:  # who cannot wait is told how it stands now
            operation = await self._journal.get(operation.id)
        expected = None if operation.is_settled else await self.expected(operation)
        while not (operation.is_settled or caller.left_s == 0 or stop()):
            elapsed = (self._clock() - operation.created_at).total_seconds()
            caller.report(Standing(elapsed, operation.doing, expected))
            pause = _POLL_S * (1 + len(self._waiting) / _CROWD)
            within = pause if caller.left_s is None else min(caller.left_s, pause)
            ended = await self._runner.ended(operation.id, within)
            operation = await (self._conclude if ended else self._journal.get)(operation.id)
        return operation

    async def _conclude(self, operation_id: str) -> Operation:
        """What its runner is through with: it has ended, or the reason is told.

        Raises:
            StorageError: the journal cannot be written.
        """
        operation = await self._journal.get(operation_id)
        if not operation.is_settled:
            await self._execution.resume(operation_id)
            operation = await self._journal.get(operation_id)
        if operation.state == "reserved":
            await self._execution.give_up(operation_id, "it could not be started")
            operation = await self._journal.get(operation_id)
        return operation

    async def _recover_for_ever(self) -> None:
        again = False
        while True:
            try:
                found = await self._execution.recover()
                logger.debug("recovery: %s", found)
            except ImageServerError as error:
                logger.warning("recovery could not run: %s", error.message)
            except Exception as error:  # noqa: BLE001 - an outermost door: the next recovery must still come
                logger.error("recovery failed: %s", whereabouts(error))
            # Once more soon after the start: what was reserved a moment before it is given time.
            await asyncio.sleep(RECOVER_EVERY_S if again else 2 * ORDER_GRACE_S)
            again = True


def _found_instead(recent: Sequence[Operation]) -> str:
    """The latest calls of other servers: whose client was closed may not have been told an id."""
    calls = [operation for operation in recent if operation.action != "import"][:3]
    told = [f"{o.id} ({o.state}, {o.created_at.astimezone():%Y-%m-%d %H:%M:%S})" for o in calls]
    return (
        f"Give the operation_id. The latest calls: {'; '.join(told)}." if told else "Give the operation_id."
    )


def _expected_bytes(job: ImageJob) -> int:
    """The most that the job's pictures can take: uncompressed, four bytes a pixel."""
    size = Size.parse(job.options.size or "auto") or _LARGEST
    return size.pixels * 4 * job.count


def _log_begin(operation: Operation) -> None:
    """A prompt is told by its length and hash; its text only where debugging was asked for."""
    bound = operation.estimate
    price = f"at most about {pricing.format_bound(bound)}" if bound is not None else "an unknown price"
    count, prompt = operation.options.n or 1, operation.prompt
    print_ = hashlib.sha256(prompt.encode()).hexdigest()[:12]
    what = f"prompt of {len(prompt)} characters ({print_}), {count} picture(s), {price}"
    logger.info("%s with %s: %s", operation.action, operation.model, what)
    logger.debug("prompt %s: %s", print_, prompt)
