"""Chooses the route: the Images API, and the Responses API while the edits endpoint rejects the model."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from gpt_image_2_mcp.errors import EditsRejectModel
from gpt_image_2_mcp.models import Answer, ImageJob, Receipt, RequestOutline
from gpt_image_2_mcp.ports import Gateway, Spool, Tell

logger = logging.getLogger(__name__)

REMEMBER_S = 600
"""How long a rejection is remembered before the direct route is probed again."""


class FallbackGateway:
    """Sends edits round by `responses` after the one rejection that proves nothing was made.

    `pinned` sends every edit that way; without a `detour` none goes it, and answers that once came by it
    are read. `monotonic` gives seconds.
    """

    def __init__(
        self,
        images: Gateway,
        responses: Gateway,
        *,
        pinned: bool = False,
        detour: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateways = {"images": images, "responses": responses}
        self._monotonic = monotonic
        self._detour = detour
        self._until = float("inf") if pinned else float("-inf")

    async def send(self, job: ImageJob, spool: Spool, tell: Tell) -> Receipt:
        if job.action == "edit" and self._monotonic() < self._until:
            return await self._gateways["responses"].send(job, spool, tell)
        try:
            return await self._gateways["images"].send(job, spool, tell)
        except EditsRejectModel:
            if job.action != "edit" or not self._detour:
                raise
            self._until = self._monotonic() + REMEMBER_S
            logger.warning(
                "the edits endpoint rejects %s; edits go by the Responses API for 10 min", job.model
            )
        return await self._gateways["responses"].send(job, spool, tell)

    def outline(self, job: ImageJob) -> RequestOutline:
        pinned = job.action == "edit" and self._monotonic() < self._until
        return self._gateways["responses" if pinned else "images"].outline(job)

    async def complete(self, receipt: Receipt, spool: Spool) -> Receipt:
        return await self._gateways[receipt.route].complete(receipt, spool)

    def read(self, receipt: Receipt) -> Answer:
        return self._gateways[receipt.route].read(receipt)

    async def tidy(self, spool: Spool) -> None:
        await self._gateways["responses"].tidy(spool)
