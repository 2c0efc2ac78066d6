"""What an edit lays on its picture or says beside it, and what the result says of its model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpt_image_2_mcp.errors import InputError, InvalidRequest
from gpt_image_2_mcp.requests import ContinueSessionRequest, EditRequest, GenerateRequest, StartSessionRequest
from tests.support.pictures import mask
from tests.support.services import Bench, made, turned

pytestmark = pytest.mark.anyio
SMALL = "1024x640"


async def test_a_model_that_will_be_gone_is_told_of_with_the_picture(bench: Bench) -> None:
    result = made(await bench.service().generate(GenerateRequest(prompt="x", model="gpt-image-1.5")))

    assert result.note is not None
    assert "OpenAI shuts gpt-image-1.5 down on 2026-12-01; use gpt-image-2.6-flare" in result.note


async def test_markup_goes_out_with_the_picture_that_it_lies_on(bench: Bench) -> None:
    (bench.folder / "notes.png").write_bytes(mask())
    request = EditRequest(
        prompt="x", images=["sketch.png"], markup="notes.png", size=SMALL, model="gpt-image-2.5-flare"
    )
    made(await bench.service().edit(request))

    assert b'name="markup"; filename="markup.png"' in bench.recorder.requests[0].content


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ({"markup": "notes.png"}, "`markup` is not taken by gpt-image-2"),
        ({"markup": "n.png", "mask": "m.png"}, "`mask` and `markup` cannot be used together"),
        (
            {"mask": "m.png", "output_format": "gif", "model": "gpt-image-2.6-flare"},
            "A gif takes no `mask`",
        ),
    ],
)
async def test_overlays_that_cannot_be_are_refused_before_anything_is_read(
    bench: Bench, arguments: dict[str, Any], refusal: str
) -> None:
    asked = {"prompt": "x", "images": ["missing.png"], **arguments}
    with pytest.raises(InvalidRequest, match=refusal):
        await bench.service().edit(EditRequest.model_validate(asked))


async def test_moderation_of_an_edit_goes_out_as_json(bench: Bench) -> None:
    request = EditRequest(prompt="x", images=["sketch.png"], moderation="low", size=SMALL)
    made(await bench.service().edit(request))

    sent = json.loads(bench.recorder.requests[0].content)
    assert sent["moderation"] == "low"
    assert sent["images"][0]["image_url"].startswith("data:image/png;base64,")


async def test_a_turn_that_is_too_large_for_json_is_refused_before_it_is_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = bench.service()
    first = StartSessionRequest(prompt="x", images=["sketch.png"], size=SMALL, quality="low")
    begun = turned(await service.start_session(first))
    monkeypatch.setattr("gpt_image_2_mcp.checks.MAX_URL_BYTES", 1000)
    turn = ContinueSessionRequest(prompt="y", session_id=begun.session_id, moderation="low")
    with pytest.raises(InputError, match="sends pictures inside JSON"):
        await service.continue_session(turn)
    assert len(bench.recorder.posts) == 1


async def test_markup_has_no_place_in_json(bench: Bench) -> None:
    (bench.folder / "notes.png").write_bytes(mask())
    asked = {"prompt": "x", "images": ["sketch.png"], "markup": "notes.png", "moderation": "low"}
    for more in ({}, {"dry_run": True}):
        request = EditRequest.model_validate({**asked, "model": "gpt-image-2.5-flare", **more})
        with pytest.raises(InvalidRequest, match="cannot be combined with `markup`"):
            await bench.service().edit(request)
