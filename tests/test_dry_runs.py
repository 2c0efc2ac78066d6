"""A dry run checks everything, sends nothing, and tells the price and the request."""

from __future__ import annotations

import json
import re

import pytest

from gpt_image_2_mcp.budgets import Budgets
from gpt_image_2_mcp.errors import BudgetExceeded, ImageServerError, MissingKey
from gpt_image_2_mcp.requests import ContinueSessionRequest, EditRequest, GenerateRequest, StartSessionRequest
from gpt_image_2_mcp.results import DryRunResult
from gpt_image_2_mcp.server.summaries import summarize
from gpt_image_2_mcp.service import ImageService
from gpt_image_2_mcp.stores.memory import MemorySessionStore
from tests.support.pictures import mask
from tests.support.services import Bench, made, turned

pytestmark = pytest.mark.anyio
SMALL = "1024x640"


async def rehearse(service: ImageService, request: GenerateRequest | EditRequest) -> DryRunResult:
    if isinstance(request, GenerateRequest):
        result = await service.generate(request)
    else:
        result = await service.edit(request)
    assert isinstance(result, DryRunResult)
    return result


async def test_a_dry_run_tells_price_and_request_and_sends_nothing(bench: Bench) -> None:
    service = bench.service()
    asked = {"prompt": "A red fox", "size": SMALL, "quality": "low", "n": 2}
    told = await rehearse(service, GenerateRequest.model_validate({**asked, "dry_run": True}))

    assert (told.request.method, told.request.path) == ("POST", "images/generations")
    assert told.estimate is not None
    assert told.estimate.expected_usd < told.estimate.most_usd
    assert bench.recorder.requests == []
    assert await service.under_way() == ()

    made_ = made(await service.generate(GenerateRequest.model_validate(asked)))
    assert json.loads(bench.recorder.requests[0].content) == told.request.body
    assert made_.cost_usd_estimated is not None
    assert made_.cost_usd_estimated <= told.estimate.most_usd


async def test_a_dry_run_of_an_edit_names_its_files_and_not_their_bytes(bench: Bench) -> None:
    (bench.folder / "mask.png").write_bytes(mask())
    request = EditRequest(prompt="x", images=["sketch.png"], mask="mask.png", size=SMALL, dry_run=True)
    told = await rehearse(bench.service(), request)

    assert [(file["field"], file["filename"]) for file in told.request.files] == [
        ("image[]", "image-1.png"),
        ("mask", "mask.png"),
    ]
    assert "data" not in told.model_dump_json()
    assert bench.recorder.requests == []


async def test_a_dry_run_refuses_what_the_call_would_refuse(bench: Bench) -> None:
    service = bench.service()
    wrong = (
        GenerateRequest(prompt="x", size="1000x1000", dry_run=True),
        EditRequest(prompt="x", images=["missing.png"], dry_run=True),
        EditRequest(prompt="x", images=["sketch.png"], mask="sketch.png", dry_run=True),
    )
    for request in wrong:
        with pytest.raises(ImageServerError, match="nothing was sent"):
            await rehearse(service, request)


async def test_a_dry_run_of_a_turn_leaves_its_session_as_it_is(bench: Bench) -> None:
    service = bench.service()
    first = StartSessionRequest(prompt="A lighthouse", images=["sketch.png"], size=SMALL, quality="low")
    begun = turned(await service.start_session(first))
    request = ContinueSessionRequest(prompt="bluer", session_id=begun.session_id, dry_run=True)
    told = await service.continue_session(request)

    assert isinstance(told, DryRunResult)
    assert told.request.body["prompt"] == "bluer"
    turn = await service.continue_session(request.model_copy(update={"dry_run": None}))
    assert turned(turn).turn == 2


async def test_a_dry_run_needs_no_key(bench: Bench) -> None:
    bench.refusal = MissingKey("No OpenAI API key is set.")

    assert (await rehearse(bench.service(), GenerateRequest(prompt="x", dry_run=True))).model == "gpt-image-2"


async def test_a_model_that_is_not_known_is_tried_and_said_to_have_no_price(bench: Bench) -> None:
    told = await rehearse(bench.service(), GenerateRequest(prompt="x", model="gpt-image-9", dry_run=True))

    assert told.estimate is None
    assert told.note == (
        "gpt-image-9 is not known here (did you mean gpt-image-2?): its options were not checked, and it has "
        "no price."
    )


async def test_a_file_at_openai_is_edited_without_being_uploaded(bench: Bench) -> None:
    told = await rehearse(
        bench.service(), EditRequest(prompt="x", images=["file-abc123", "sketch.png"], dry_run=True)
    )

    pictures = told.request.body["images"]
    assert isinstance(pictures, list)
    assert pictures[0] == {"file_id": "file-abc123"}
    assert told.request.files == []


async def test_a_dry_run_is_refused_by_the_budget_that_would_refuse_the_call(bench: Bench) -> None:
    bench.budgets = Budgets(session=50_000)
    service = bench.service()
    asked = GenerateRequest(prompt="x", quality="high", size="1024x1024", dry_run=True)
    with pytest.raises(BudgetExceeded, match="Call again with quality=low"):
        await rehearse(service, asked)
    await rehearse(service, asked.model_copy(update={"quality": "low"}))
    assert (await bench.ledger().spending()).periods[-1].tally.calls == 0


async def test_a_dry_run_of_a_turn_is_held_against_the_budget_of_its_edit_session(bench: Bench) -> None:
    bench.budgets, bench.sessions = Budgets(session=60_000), MemorySessionStore(bench.clock)
    begin = StartSessionRequest(prompt="x", images=["sketch.png"], quality="medium", size="1024x1024")
    begun = turned(await bench.service().start_session(begin))
    again = ContinueSessionRequest(prompt="y", session_id=begun.session_id, dry_run=True)
    with pytest.raises(BudgetExceeded, match="of this edit session's"):
        await bench.service().continue_session(again)


async def test_a_range_is_told_in_words_as_in_numbers(bench: Bench) -> None:
    told = await rehearse(
        bench.service(), GenerateRequest(prompt="x", model="gpt-image-2.6-flare", size=SMALL, dry_run=True)
    )

    assert told.estimate is not None
    said = re.search(r"Expected cost: \$[\d.]+, at most \$([\d.]+), at least \$([\d.]+)\n", summarize(told))
    assert said is not None
    assert 0 <= float(said[1]) - told.estimate.most_usd <= 0.0001
    assert 0 <= told.estimate.least_usd - float(said[2]) <= 0.0001
