"""Pictures as parts of a form; that they go out as the openai package sends them is seen in test_wire.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from gpt_image_2_mcp.contents import PIECE_BYTES, KeptFile
from gpt_image_2_mcp.errors import Unsendable
from gpt_image_2_mcp.gateways._parts import file_part
from gpt_image_2_mcp.gateways.images import ImagesGateway
from gpt_image_2_mcp.models import InputImage
from tests.gateways.samples import images_answer, input_image, job, spool, untold
from tests.support.upstreams import canned, upstream

pytestmark = pytest.mark.anyio
DATA = bytes(range(256)) * (3 * PIECE_BYTES // 256) + b"the end"


def kept(folder: Path, data: bytes = DATA) -> InputImage:
    (folder / "in").write_bytes(data)
    return replace(input_image(), data=KeptFile(folder / "in", len(data)))


def form(image: InputImage) -> httpx2.Request:
    return httpx2.Request("POST", "http://x/", files=[file_part("image[]", image)])


async def test_a_file_goes_out_in_pieces_that_are_few(tmp_path: Path) -> None:
    request = form(kept(tmp_path))

    pieces = [piece async for piece in request.stream]  # type: ignore[union-attr]

    assert DATA in b"".join(pieces)
    assert int(request.headers["Content-Length"]) == sum(map(len, pieces))
    assert [len(piece) for piece in pieces if len(piece) > 1000] == [PIECE_BYTES] * 3


async def test_a_form_that_is_sent_again_is_the_same(tmp_path: Path) -> None:
    request = form(kept(tmp_path))

    first, second = [b"".join([piece async for piece in request.stream]) for _ in range(2)]  # type: ignore[union-attr]

    assert first == second


async def test_a_file_that_is_gone_when_it_is_sent_was_not_paid_for(tmp_path: Path) -> None:
    image = kept(tmp_path)
    (tmp_path / "in").unlink()
    recorder = canned(body=images_answer("QUJD"))

    with pytest.raises(Unsendable, match="No such file or directory") as caught:
        await ImagesGateway(upstream(recorder)).send(job("edit", images=(image,)), spool(tmp_path), untold)

    assert caught.value.hint.startswith("The request broke off before its end, so nothing was billed")
    assert recorder.requests == []
