"""The stand-in for the route while there is no key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import MissingKey
from gpt_image_2_mcp.gateways.keyless import KeylessGateway
from gpt_image_2_mcp.models import Receipt
from gpt_image_2_mcp.ports import Gateway
from tests.gateways.samples import FolderSpool, job


@pytest.mark.anyio
async def test_without_a_key_nothing_is_sent_and_the_hint_says_where_it_goes(tmp_path: Path) -> None:
    gateway: Gateway = KeylessGateway()
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        await gateway.send(job(), FolderSpool(tmp_path))


def test_without_a_key_nothing_is_read() -> None:
    with pytest.raises(MissingKey, match="No OpenAI API key"):
        KeylessGateway().read(Receipt("images", ()))
