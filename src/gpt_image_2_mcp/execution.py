"""Carries one journalled operation from reserved to its end, in whichever process has its lease.

The order of writes is the promise: `sent` is durable before the POST, the answer before `received`, the
pictures before `done`. After a death at any point another process goes on from what stands on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from gpt_image_2_mcp.conclusions import completed
from gpt_image_2_mcp.cutouts import Backdrop, measured
from gpt_image_2_mcp.errors import (
    ConfigurationError,
    ImageServerError,
    InvalidAnswer,
    InvalidRequest,
    OperationNotFound,
    OutcomeUnknown,
    PictureAway,
    RateLimited,
    Rejected,
    StorageError,
    Unreachable,
    UpstreamError,
)
from gpt_image_2_mcp.limits import Limits
from gpt_image_2_mcp.models import (
    Answer,
    Completed,
    Failure,
    ImageJob,
    Operation,
    Receipt,
    RequestOutline,
    State,
    StoredImage,
)
from gpt_image_2_mcp.ports import Clock, Gateway, ImageStore, Journal, Leases, Pace, Place, Spool, Spools
from gpt_image_2_mcp.retries import RetryPolicy, Tries
from gpt_image_2_mcp.slots import Slots

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]
ORDER_GRACE_S: Final = 30.0
"""How long the order for a reserved operation may be on its way to a worker that is starting."""
ADDRESS_GRACE: Final = timedelta(days=1)
"""How long pictures are fetched that an answer names by address; OpenAI's own lasted an hour."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many operations a recovery brought to which end."""

    done: int = 0
    released: int = 0
    unknown: int = 0
    waiting: int = 0


class Execution:
    """Runs and recovers operations: so many at once, and no faster than the account may.

    One layer of retries, the only one there is.
    """

    def __init__(
        self,
        journal: Journal,
        gateway: Gateway,
        images: ImageStore,
        spools: Spools,
        leases: Leases,
        pace: Pace,
        *,
        limits: Limits = Limits(),
        retries: RetryPolicy | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._journal, self._gateway, self._images = journal, gateway, images
        self._spools, self._leases, self._pace = spools, leases, pace
        self._slots = Slots(limits.in_flight)
        self._measuring = CapacityLimiter(1)  # one of the largest takes 280 MB
        self._retries = retries or RetryPolicy()
        self._sleep, self._clock = sleep, clock

    async def run(self, operation_id: str) -> None:
        """Send a reserved operation and bring it to its end; nothing if it is no longer reserved."""
        await self._take(operation_id)
        spool = self._spools.open(operation_id)
        try:
            operation = await self._journal.get(operation_id)
            if operation.state == "reserved" and (receipt := await self._send(operation, spool)):
                await self._finish(operation, receipt, spool)
        finally:
            self._leases.give_back(operation_id)

    def outline(self, job: ImageJob) -> RequestOutline:
        """The request that would be sent for a job. Blocks."""
        return self._gateway.outline(job)

    async def _take(self, operation_id: str) -> None:
        while not self._leases.take(operation_id):  # a recovery is looking at it, which takes milliseconds
            await self._sleep(0.02)

    async def _send(self, operation: Operation, spool: Spool) -> Receipt | None:
        # A worker that died while it waited for the next attempt leaves the count in the journal.
        tries = Tries(operation.attempts)
        place = self._pace.place(operation.id, operation.model, operation.options.n or 1)
        while True:
            # The slot first: who stands at the head of the machine's line must be able to go.
            async with self._slots.slot(partial(self._say_queued, operation.id), back=tries.posts > 0):
                await place.turn(partial(self._say_paced, operation.id))
                outcome = await self._attempt(operation, spool, place, tries)
            if not isinstance(outcome, Tries):
                return outcome
            tries = outcome
            await self._sleep(tries.wait_s)

    async def _say_queued(self, operation_id: str, ahead: int) -> None:
        await self._say_waiting(operation_id, f"waiting for {_calls(ahead)} before it")

    async def _say_paced(self, operation_id: str, ahead: int, per_minute: int | None) -> None:
        limit = f"limit of {_images(per_minute)} a minute" if per_minute else "rate limit"
        next_ = f"{_calls(ahead)} before it" if ahead else "it is next"
        await self._say_waiting(operation_id, f"waiting for the account's {limit}: {next_}")

    async def _say_waiting(self, operation_id: str, phase: str) -> None:
        with suppress(ImageServerError):  # only said; where the journal cannot be written, sending tells
            await self._journal.move(operation_id, "reserved", "reserved", phase=phase)

    async def _attempt(
        self, operation: Operation, spool: Spool, place: Place, tries: Tries
    ) -> Receipt | Tries | None:
        """One POST: its answer, the tries so far if there is to be another, or None if that was the end."""
        job = await run_sync(spool.load_job)  # not before: inputs of those in the line stay on disk
        if not await self._journal.move(operation.id, "reserved", "sent", attempts=tries.posts + 1):
            return None
        try:
            receipt = await self._gateway.send(job, spool, partial(self._tell, operation.id))
        except UpstreamError as error:
            if tried := await self._again(operation, error, place, tries):
                return tried
            await self._end_unsent(operation, error, spool)
        except (InvalidRequest, ConfigurationError) as error:
            await self._journal.move(operation.id, "sent", "released", failure=_failure(error))
            await run_sync(spool.discard)
        except ImageServerError as error:
            await self._salvage(operation, error, spool)
        else:
            await self._journal.move(operation.id, "sent", "received")
            await _learn(place, receipt.images_per_minute)
            return receipt
        return None

    async def _again(
        self, operation: Operation, error: UpstreamError, place: Place, tries: Tries
    ) -> Tries | None:
        """Put a call back that may be sent again; the tries with this one, None where it may not."""
        limited = error if isinstance(error, RateLimited) else None
        if limited:
            await _learn(place, limited.images_per_minute)
        wait = self._retries.wait_before_next(error, tries)
        if wait is None:
            if tries.posts:
                error.message = f"{error.message} It was tried {tries.posts + 1} times."
            return None
        reason = error.message.rstrip(".")
        phase = f"waiting {wait:.0f} s before attempt {tries.posts + 2}: {reason}"
        await self._journal.move(operation.id, "sent", "reserved", phase=phase)
        with suppress(ImageServerError):  # then it counts as sent, which keeps the pace too
            await place.withdraw(wait if limited else 0)
        return tries.after(error, wait)

    async def _tell(self, operation_id: str, phase: str) -> None:
        """Have the journal say how far a call is that was sent, for all who wait."""
        await self._journal.move(operation_id, "sent", "sent", phase=phase)

    async def _end_unsent(self, operation: Operation, error: UpstreamError, spool: Spool) -> None:
        if isinstance(error, Rejected | Unreachable):
            await self._journal.move(operation.id, "sent", "released", failure=_failure(error))
            await run_sync(spool.discard)
        else:
            await self._salvage(operation, error, spool)

    async def _salvage(self, operation: Operation, error: ImageServerError, spool: Spool) -> None:
        """Keep the whole pictures of a broken-off answer; without one the outcome is unknown."""
        receipt = await run_sync(spool.torn)
        if receipt and await self._pictures_in(receipt):
            await self._journal.move(operation.id, "sent", "received")
            await self._finish(operation, receipt, spool)
        else:
            await self._journal.move(operation.id, "sent", "unknown", failure=_failure(error))
            await run_sync(spool.drop_job)

    async def _pictures_in(self, receipt: Receipt) -> int:
        """How many there are, here or at an address."""
        try:
            answer = await self._open(receipt)
        except UpstreamError:
            return 0
        return len(answer.pictures) + answer.away

    async def _finish(self, operation: Operation, receipt: Receipt, spool: Spool) -> None:
        """From received to done: pictures, then the catalogue; may be done again after any death."""
        through = False
        try:
            receipt, answer = await self._answer(operation, receipt, spool)
            images, damage = await self._save(operation, answer)
        except (StorageError, PictureAway) as error:
            logger.warning(
                "operation %s has its answer and not its pictures: %s", operation.id, error.message
            )
            await self._journal.move(operation.id, "received", "received", failure=_failure(error))
        except UpstreamError as error:
            through = isinstance(error, Rejected) and not error.partly_made
            end: State = "released" if through else "unknown"
            await self._journal.move(operation.id, "received", end, failure=_failure(error))
        else:
            backdrop = await self._look_behind(operation, images)
            done = completed(operation, receipt, answer, images, damage, backdrop)
            await self._journal.commit(operation.id, done)
            through = not damage and not answer.away
        await run_sync(spool.discard if through else spool.drop_job)

    async def _answer(self, operation: Operation, receipt: Receipt, spool: Spool) -> tuple[Receipt, Answer]:
        """What an answer holds, once pictures that stand elsewhere have been fetched."""
        answer = await self._read(receipt)
        if answer.away:
            receipt = await self._complete(operation, receipt, spool)
            answer = await self._read(receipt)
        return receipt, answer

    async def _complete(self, operation: Operation, receipt: Receipt, spool: Spool) -> Receipt:
        try:
            return await self._gateway.complete(receipt, spool)
        except PictureAway:
            if self._clock() - operation.created_at < ADDRESS_GRACE:
                raise
            return await run_sync(spool.torn) or receipt

    async def _read(self, receipt: Receipt) -> Answer:
        """What an answer holds; of one that ends too early though it came whole, the pictures before that."""
        try:
            return await self._open(receipt)
        except InvalidAnswer:
            torn = replace(receipt, torn=True)
            if receipt.torn or not await self._pictures_in(torn):
                raise
            return await self._open(torn)

    async def _open(self, receipt: Receipt) -> Answer:
        """What an answer holds.

        Raises:
            StorageError: it cannot be read now (too many open files, a disk that is away), and may be later.
        """
        try:
            return await run_sync(self._gateway.read, receipt)
        except OSError as error:
            raise StorageError(
                f"The answer could not be read ({error.strerror}).",
                hint="It is kept: collect the picture with get_result in a while.",
            ) from None

    async def _save(
        self, operation: Operation, answer: Answer
    ) -> tuple[tuple[StoredImage, ...], list[ImageServerError]]:
        images: list[StoredImage] = []
        damage: list[ImageServerError] = []
        total = max(operation.options.n or 1, len(answer.pictures))
        drawing = operation.wants_drawing
        for index, picture in enumerate(answer.pictures):
            try:
                images.append(
                    await self._images.save(picture, operation.placement, index, total, drawing=drawing)
                )
            except UpstreamError as error:  # one bad picture must not cost the good ones
                damage.append(error)
        if not images:
            raise damage[0] if damage else InvalidAnswer("No picture could be fetched from its address.")
        return tuple(images), damage

    async def _look_behind(self, operation: Operation, images: tuple[StoredImage, ...]) -> Backdrop:
        """Whether the pictures have the transparent background that was asked for."""
        if operation.options.background != "transparent":
            return Backdrop()
        return await run_sync(measured, images, limiter=self._measuring)

    async def recover(self) -> Recovered:
        """Go on where processes died; safe beside live ones and beside another recovery."""
        ends: dict[str, int] = {}
        for operation in await self._journal.unfinished():
            with _left_for_later(operation.id):
                if state := await self.resume(operation.id):
                    ends[state] = ends.get(state, 0) + 1
        unfinished = {operation.id for operation in await self._journal.unfinished()}
        await run_sync(self._spools.prune, unfinished)
        self._leases.tidy(server_lease(""))
        for operation_id in await run_sync(self._spools.operations):
            with _left_for_later(operation_id):
                await self._clear(operation_id)
        return Recovered(**{name: ends.get(name, 0) for name in Recovered.__dataclass_fields__})

    async def _clear(self, operation_id: str) -> None:
        """Remove what a death between an operation's end and its clearing up left in the spool."""
        try:
            operation = await self._journal.get(operation_id)
        except OperationNotFound:  # being entered; if that was cut short, it goes after a week
            return
        spool, made = self._spools.open(operation_id), operation.completed
        if operation.state == "released" or (made and await self._has_all(made, spool)):
            await run_sync(spool.discard)

    async def _has_all(self, made: Completed, spool: Spool) -> bool:
        """Whether no picture of the raw answer is missing; one that is damaged is kept there."""
        receipt = await run_sync(spool.torn)
        return receipt is None or await self._pictures_in(receipt) <= len(made.images)

    async def resume(self, operation_id: str) -> str | None:
        """Bring one operation further that nobody works on; its end, `waiting`, or None if not ours."""
        if not self._leases.take(operation_id):
            return None
        spool = self._spools.open(operation_id)
        try:
            operation = await self._journal.get(operation_id)
            match operation.state:
                case "reserved" if self._is_forgotten(operation):
                    await self._release_unsent(operation, spool)
                case "sent":
                    await self._resume_sent(operation, spool)
                case "received":
                    await self._resume_received(operation, spool)
                case _:
                    return None
            state = (await self._journal.get(operation_id)).state
            return "waiting" if state == "received" else state
        finally:
            self._leases.give_back(operation_id)

    def _is_forgotten(self, operation: Operation) -> bool:
        """Whether nobody can send it any more: its server is gone and no worker has taken it."""
        age = (self._clock() - operation.changed_at).total_seconds()
        return age > ORDER_GRACE_S and not self._leases.is_held(server_lease(operation.server))

    async def give_up(self, operation_id: str, kind: str) -> None:
        """End an operation whose execution broke on an error of ours, named by `kind`."""
        await self._take(operation_id)
        try:
            operation, spool = await self._journal.get(operation_id), self._spools.open(operation_id)
            if operation.state == "reserved":
                await self._release_unsent(operation, spool)
            elif operation.state == "sent":
                await self._salvage(
                    operation,
                    OutcomeUnknown(f"The server failed while the picture was being made ({kind})."),
                    spool,
                )
            elif operation.state == "received":
                error = InvalidAnswer(f"The server failed while it read the answer ({kind}).")
                await self._journal.move(operation.id, "received", "unknown", failure=_failure(error))
                await run_sync(spool.drop_job)
        finally:
            self._leases.give_back(operation_id)

    async def _release_unsent(self, operation: Operation, spool: Spool) -> None:
        error = Unreachable(
            "The server ended before the call was sent.", hint="Call again; nothing was billed."
        )
        if await self._journal.move(operation.id, "reserved", "released", failure=_failure(error)):
            await run_sync(spool.discard)

    async def _resume_sent(self, operation: Operation, spool: Spool) -> None:
        await self._gateway.tidy(spool)
        receipt = await run_sync(spool.received)
        if receipt and len(receipt.bodies) >= (
            operation.options.n or 1 if receipt.route == "responses" else 1
        ):
            await self._journal.move(operation.id, "sent", "received")
            await self._finish(operation, receipt, spool)
        else:
            message = "The process that waited for the answer was ended before it came."
            await self._salvage(operation, OutcomeUnknown(message), spool)

    async def _resume_received(self, operation: Operation, spool: Spool) -> None:
        # Torn ones too: an earlier recovery may have begun with legs that lack only their final name.
        receipt = await run_sync(spool.torn)
        if receipt:
            await self._finish(operation, receipt, spool)
        else:
            error = OutcomeUnknown("The raw answer is no longer in the state folder.")
            await self._journal.move(operation.id, "received", "unknown", failure=_failure(error))
            await run_sync(spool.drop_job)


@contextmanager
def _left_for_later(operation_id: str) -> Iterator[None]:
    """What cannot be done for one operation holds up no other."""
    try:
        yield
    except (ImageServerError, OSError) as error:
        logger.warning("operation %s could not be recovered: %s", operation_id, error)


def server_lease(server: str) -> str:
    """The name of the lease that a live server holds."""
    return f"server-{server}"


async def _learn(place: Place, per_minute: int | None) -> None:
    with suppress(ImageServerError):  # a limit that is not kept is met again
        await place.learn(per_minute)


def _calls(count: int) -> str:
    return f"{count} {'call' if count == 1 else 'calls'}"


def _images(count: int) -> str:
    return f"{count} {'image' if count == 1 else 'images'}"


def _failure(error: ImageServerError) -> Failure:
    return Failure(error.code, error.message, error.hint)
