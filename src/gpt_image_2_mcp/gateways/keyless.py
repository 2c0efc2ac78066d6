"""Stands in for the route while there is no key: nothing can be sent, what came earlier can be read."""

from __future__ import annotations

from gpt_image_2_mcp.errors import MissingKey
from gpt_image_2_mcp.models import Answer, ImageJob, Receipt, RequestOutline
from gpt_image_2_mcp.ports import Gateway, Spool, Tell


class KeylessGateway:
    """Refuses every call; `reader` reads answers that an earlier process spooled."""

    def __init__(self, reader: Gateway) -> None:
        self._reader = reader

    async def send(self, _job: ImageJob, _spool: Spool, _tell: Tell) -> Receipt:
        raise MissingKey("No OpenAI API key is set, so no picture can be made.")

    def outline(self, job: ImageJob) -> RequestOutline:
        return self._reader.outline(job)

    async def complete(self, receipt: Receipt, spool: Spool) -> Receipt:
        return await self._reader.complete(receipt, spool)

    def read(self, receipt: Receipt) -> Answer:
        return self._reader.read(receipt)

    async def tidy(self, _spool: Spool) -> None:
        """Without a key nothing can be deleted; uploads expire by themselves in an hour."""
