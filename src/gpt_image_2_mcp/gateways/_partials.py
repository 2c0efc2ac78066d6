"""Keeps the partial pictures of a stream as they come, and says how far it is."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.models import EncodedPicture
from gpt_image_2_mcp.picture_names import address_of
from gpt_image_2_mcp.ports import Spool, Tell

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Partials:
    """Where those of one call go; `asked` is how many it wants."""

    spool: Spool
    tell: Tell
    asked: int

    async def keep(self, index: int, picture: EncodedPicture) -> None:
        """Keep one and tell of it; what goes wrong with it must not harm the call."""
        try:
            await run_sync(self.spool.keep_partial, index, picture)
            address = address_of(f"{self.spool.operation_id}/partial/{index}")
            await self.tell(f"at partial picture {index + 1} of {max(self.asked, index + 1)}, {address}")
        except ImageServerError as error:
            logger.warning(
                "operation %s: a partial picture was not kept: %s", self.spool.operation_id, error.message
            )
