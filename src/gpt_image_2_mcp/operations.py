"""Carries a paid call from the check of its folder to stored pictures, whoever still waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from anyio.to_thread import run_sync

from gpt_image_2_mcp import pricing
from gpt_image_2_mcp.capabilities import find_model
from gpt_image_2_mcp.errors import ImageServerError, StorageError
from gpt_image_2_mcp.models import Answer, Completed, ImageJob, Placement, Receipt, StoredImage
from gpt_image_2_mcp.ports import Gateway, ImageStore

T = TypeVar("T")
logger = logging.getLogger(__name__)

KEEP_FAILED_S: Final = 7 * 24 * 3600
"""How long the raw answer of a call that could not be finished is kept."""


@dataclass(frozen=True, slots=True)
class SpoolFolder:
    """The bodies of one operation, in the state folder until its pictures stand."""

    folder: Path
    operation_id: str

    def body(self, leg: int) -> Path:
        return self.folder / f"{self.operation_id}.{leg}.resp"


class Operations:
    """Runs paid calls. `spool_folder` is on the state disk."""

    def __init__(self, gateway: Gateway, images: ImageStore, spool_folder: Path) -> None:
        self._gateway = gateway
        self._images = images
        self._spool_folder = spool_folder
        self._running: set[asyncio.Task[Any]] = set()

    async def outliving(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` in a task of its own: a cancelled caller stops waiting, the work goes on."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.debug("an operation ended with %s", type(error).__name__)

    async def drain(self) -> None:
        """Wait for every call that is under way."""
        if self._running:
            logger.info("waiting for %d picture call(s) under way", len(self._running))
            await asyncio.wait(self._running)

    async def carry_out(self, job: ImageJob, placement: Placement) -> Completed:
        """One paid call.

        Raises:
            StorageError, UpstreamError
        """
        await self._images.prepare(placement.folder)
        await run_sync(_open_spool, self._spool_folder)
        _log_estimate(job)
        spool = SpoolFolder(self._spool_folder, placement.token)
        receipt = await self._gateway.send(job, spool)
        try:
            answer = await run_sync(self._gateway.read, receipt)
            images, damage = await self._save(answer, placement, job.count)
        except ImageServerError:
            logger.warning("the raw answer is kept for 7 days: %s", ", ".join(map(str, receipt.bodies)))
            raise
        if not damage:
            await run_sync(_discard, receipt)
        return _completed(job, receipt, answer, images, damage)

    async def _save(
        self, answer: Answer, placement: Placement, count: int
    ) -> tuple[tuple[StoredImage, ...], list[ImageServerError]]:
        images: list[StoredImage] = []
        damage: list[ImageServerError] = []
        total = max(count, len(answer.pictures))
        for index, picture in enumerate(answer.pictures):
            try:
                images.append(await self._images.save(picture, placement, index, total))
            except ImageServerError as error:  # one bad picture must not cost the good ones
                damage.append(error)
        if not images:
            raise damage[0]
        return tuple(images), damage


def _open_spool(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        limit = time.time() - KEEP_FAILED_S
        for path in folder.iterdir():
            if path.stat().st_mtime < limit:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"The state folder {folder.parent} cannot be written ({error.strerror}).",
            hint="Set GPT_IMAGE_2_STATE_DIR to a folder that can be written; nothing was sent.",
        ) from None


def _discard(receipt: Receipt) -> None:
    for path in receipt.bodies:
        path.unlink(missing_ok=True)


def _log_estimate(job: ImageJob) -> None:
    bound = pricing.upper_bound(job)
    price = f"at most about {pricing.format_usd(bound)}" if bound is not None else "an unknown price"
    logger.info("%s with %s: %d picture(s), %s", job.action, job.model, job.count, price)


def _completed(
    job: ImageJob,
    receipt: Receipt,
    answer: Answer,
    images: tuple[StoredImage, ...],
    damage: list[ImageServerError],
) -> Completed:
    first = images[0]
    made = {"size": str(first.size), "output_format": first.mime_type.removeprefix("image/")}
    applied = answer.applied.model_copy(update=made)
    spent = pricing.cost(job.model, answer.usage)
    if answer.usage is None and receipt.route == "responses":
        spent = _published_output_price(job, applied.quality, images)
    notes = [answer.note, *(f"One picture was lost: {error}" for error in damage)]
    if job.options.size not in (None, "auto", made["size"]):
        notes.append(f"Size {job.options.size} was asked for and {made['size']} was made.")
    if len(images) != job.count and not damage and receipt.route == "images":
        notes.append(f"{job.count} picture(s) were asked for and {len(images)} came.")
    return Completed(images, applied, answer.usage, spent, receipt.route, tuple(n for n in notes if n))


def _published_output_price(
    job: ImageJob, quality: str | None, images: tuple[StoredImage, ...]
) -> int | None:
    model = find_model(job.model)
    counts = [pricing.output_tokens(model, quality or "", image.size) if model else None for image in images]
    known = [count for count in counts if count is not None]
    return int(sum(known) * model.prices.image_out) if model and len(known) == len(images) else None
