"""Stands in for the route while there is no key, so that the server starts and lists its tools."""

from __future__ import annotations

from gpt_image_2_mcp.errors import MissingKey
from gpt_image_2_mcp.models import Answer, ImageJob, Receipt
from gpt_image_2_mcp.ports import Spool


class KeylessGateway:
    """Refuses every call."""

    async def send(self, _job: ImageJob, _spool: Spool) -> Receipt:
        raise MissingKey("No OpenAI API key is set, so no picture can be made.")

    def read(self, _receipt: Receipt) -> Answer:
        raise MissingKey("No OpenAI API key is set, so no picture can be read.")
