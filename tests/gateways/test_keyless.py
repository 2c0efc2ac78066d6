"""The stand-in for the route while there is no key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import InvalidAnswer, MissingKey
from gpt_image_2_mcp.gateways.images import ImagesGateway
from gpt_image_2_mcp.gateways.keyless import KeylessGateway
from gpt_image_2_mcp.models import Receipt
from gpt_image_2_mcp.ports import Gateway
from tests.gateways.samples import answer_in, images_answer, job, spool, text_of, untold, written
from tests.support.pictures import picture
from tests.support.upstreams import Recorder, canned, upstream


def keyless(recorder: Recorder) -> Gateway:
    return KeylessGateway(ImagesGateway(upstream(recorder)))


@pytest.mark.anyio
async def test_without_a_key_nothing_is_sent_and_the_hint_says_where_it_goes(tmp_path: Path) -> None:
    recorder = canned(body=images_answer("QUJD"))
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        await keyless(recorder).send(job(), spool(tmp_path), untold)
    assert recorder.requests == []


@pytest.mark.anyio
async def test_without_a_key_uploads_are_left_to_expire_and_stay_noted(tmp_path: Path) -> None:
    recorder = canned()
    noted = spool(tmp_path)
    noted.note_upload("file-1")
    await keyless(recorder).tidy(noted)
    assert noted.uploads() == ("file-1",)
    assert recorder.requests == []


def test_without_a_key_an_answer_that_came_while_there_was_one_is_read(tmp_path: Path) -> None:
    receipt = Receipt("images", (written(answer_in(tmp_path), images_answer("QUJD")),))
    (found,) = keyless(canned()).read(receipt).pictures
    assert text_of(found) == "QUJD"


@pytest.mark.anyio
async def test_without_a_key_a_picture_is_fetched_from_its_address(tmp_path: Path) -> None:
    answer = written(answer_in(tmp_path), {"data": [{"url": "/a.png"}]})
    gateway, made = keyless(canned(raw=picture())), spool(tmp_path)
    receipt = await gateway.complete(Receipt("images", (answer,)), made)
    assert [index for index, _ in receipt.fetched] == [0]
    assert len(gateway.read(receipt).pictures) == 1


def test_without_a_key_an_answer_without_a_picture_is_what_it_always_is(tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer):
        keyless(canned()).read(Receipt("images", (written(answer_in(tmp_path), {}),)))
