"""What a call may cost: by its own word, or by a person's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from gpt_image_2_mcp.alternatives import Alternative
from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.consent import Quote, Terms
from gpt_image_2_mcp.errors import ConsentDeclined, ConsentNeeded, ImageServerError, TooDear
from gpt_image_2_mcp.pricing import upper_bound
from gpt_image_2_mcp.requests import (
    ContinueSessionRequest,
    EditRequest,
    GenerateRequest,
    StartSessionRequest,
)
from gpt_image_2_mcp.results import DryRunResult
from tests.support.services import Bench, made, turned
from tests.test_pricing import job

pytestmark = pytest.mark.anyio
TODAY = date(2026, 11, 27)
HIGH: dict[str, Any] = {"size": "1024x1024", "quality": "high"}
CENT = 10_000


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.confirm_above = CENT
    return bench


def answering(*changes: Mapping[str, Any] | None, asked: list[Quote] | None = None) -> Caller:
    """Somebody who takes the cheaper way with these changes, or the call as it is for {}; None is no."""
    answers = iter(changes)

    async def ask(quote: Quote) -> Alternative:
        if asked is not None:
            asked.append(quote)
        wanted = next(answers)
        if wanted is None:
            raise ConsentDeclined("no")
        ways = [Alternative({}, quote.most), *quote.cheaper]
        return next(way for way in ways if dict(way.changes) == dict(wanted))

    return Caller(ask=ask)


def refusal(terms: Terms, **options: Any) -> ImageServerError:
    with pytest.raises((TooDear, ConsentNeeded)) as caught:
        terms.quote(job("gpt-image-2", "a fox", **options), TODAY)
    return caught.value


def test_without_terms_nobody_is_asked() -> None:
    assert Terms.of(None, None).quote(job("gpt-image-2", n=10, quality="high"), TODAY) is None


def test_a_call_is_asked_about_from_the_first_millionth_above_what_is_free() -> None:
    dear = job("gpt-image-2", "a fox", **HIGH)
    most = upper_bound(dear)
    assert most is not None

    assert Terms(free=most).quote(dear, TODAY) is None
    quote = Terms(free=most - 1).quote(dear, TODAY)
    assert quote is not None
    assert (quote.most, quote.count, quote.model) == (most, 1, "gpt-image-2")
    assert quote.cheaper
    assert all(way.price < most for way in quote.cheaper)


def test_a_refusal_says_the_price_and_how_to_agree() -> None:
    quote = Terms(free=CENT).quote(job("gpt-image-2", "a fox", **HIGH), TODAY)
    assert quote is not None
    said = str(quote.refusal())

    assert said.startswith("The call can cost $0.210905, and calls above $0.01 need the user's consent.")
    assert "call again with `max_cost_usd` 0.211." in said
    assert "Cheaper: quality=medium (at most $0.052865)" in said
    assert said.endswith("Nothing was sent.")


def test_the_amount_that_a_refusal_names_is_enough() -> None:
    for quality in ("low", "medium", "high"):
        dear = job("gpt-image-2", "a fox", size="1024x1024", quality=quality)
        quote = Terms(free=0).quote(dear, TODAY)
        assert quote is not None
        amount = float(quote.refusal().hint.partition("`max_cost_usd` ")[2].split(" ")[0].rstrip("."))
        assert Terms.of(0, amount).quote(dear, TODAY) is None


def test_a_callers_limit_is_kept_to_the_millionth() -> None:
    dear = job("gpt-image-2", "a fox", **HIGH)

    assert Terms.of(None, 0.210905).quote(dear, TODAY) is None
    error = refusal(Terms.of(None, 0.210904), **HIGH)
    assert error.message == "The call can cost $0.210905, which is more than the $0.210904 of `max_cost_usd`."
    assert error.hint.startswith("Call again with quality=medium")
    assert error.hint.endswith("; nothing was sent.")


def test_nobody_can_agree_to_a_price_that_is_not_known() -> None:
    for terms in (Terms.of(CENT, None), Terms.of(None, 5)):
        with pytest.raises((TooDear, ConsentNeeded), match="What a call with gpt-image-3 costs is not known"):
            terms.quote(job("gpt-image-3"), TODAY)
    assert Terms().quote(job("gpt-image-3"), TODAY) is None


def test_a_server_that_takes_other_prices_has_none_that_is_known() -> None:
    elsewhere = replace(job("gpt-image-2", **HIGH), openai_prices=False)

    with pytest.raises(ConsentNeeded):
        Terms(free=CENT).quote(elsewhere, TODAY)


async def test_where_nobody_can_be_asked_the_call_is_refused_and_nothing_is_sent(bench: Bench) -> None:
    with pytest.raises(ConsentNeeded, match="need the user's consent"):
        await bench.service().generate(GenerateRequest.model_validate({"prompt": "x", **HIGH}))
    assert bench.recorder.requests == []


async def test_a_limit_that_the_user_agreed_to_lets_the_call_through(bench: Bench) -> None:
    request = GenerateRequest.model_validate({"prompt": "x", **HIGH, "max_cost_usd": "$0.25"})

    assert made(await bench.service().generate(request)).applied.quality == "high"


async def test_a_limit_is_no_consent_where_the_user_can_be_asked(bench: Bench) -> None:
    """A model wrote it; they are asked, and the limit holds besides."""
    service, asked = bench.service(), list[Quote]()
    request = GenerateRequest.model_validate({"prompt": "x", **HIGH, "max_cost_usd": 0.25})
    made(await service.generate(request, answering({}, asked=asked)))
    assert len(asked) == 1

    small = request.model_copy(update={"max_cost_usd": 0.1})
    with pytest.raises(TooDear):
        await service.generate(small, answering({}, asked=asked))
    assert len(asked) == 1


async def test_a_limit_is_consent_where_asking_fails(bench: Bench) -> None:
    async def ask(quote: Quote) -> Alternative:
        raise quote.refusal(", who could not be asked")

    request = GenerateRequest.model_validate({"prompt": "x", **HIGH, "max_cost_usd": 0.25})
    assert made(await bench.service().generate(request, Caller(ask=ask))).applied.quality == "high"
    with pytest.raises(ConsentNeeded, match="who could not be asked"):
        await bench.service().generate(request.model_copy(update={"max_cost_usd": None}), Caller(ask=ask))


async def test_what_is_cheap_enough_is_not_asked_about(bench: Bench) -> None:
    asked: list[Quote] = []
    request = GenerateRequest(prompt="x", size="1024x1024", quality="low")

    made(await bench.service().generate(request, answering(asked=asked)))
    assert asked == []


async def test_a_person_who_agrees_gets_the_call_as_it_is(bench: Bench) -> None:
    asked: list[Quote] = []
    request = GenerateRequest.model_validate({"prompt": "x", **HIGH})
    result = made(await bench.service().generate(request, answering({}, asked=asked)))

    assert (result.requested.quality, len(asked)) == ("high", 1)
    assert len(bench.recorder.posts) == 1


async def test_a_person_who_takes_a_cheaper_way_gets_that(bench: Bench) -> None:
    request = EditRequest.model_validate({"prompt": "x", "images": ["sketch.png"], **HIGH})
    result = made(await bench.service().edit(request, answering({"quality": "medium"})))

    assert result.requested.quality == "medium"
    assert b'name="quality"\r\n\r\nmedium' in bench.recorder.requests[0].content


async def test_a_person_who_declines_pays_nothing(bench: Bench) -> None:
    with pytest.raises(ConsentDeclined):
        await bench.service().generate(
            GenerateRequest.model_validate({"prompt": "x", **HIGH}), answering(None)
        )
    assert bench.recorder.requests == []


async def test_a_session_keeps_what_was_chosen_and_each_turn_is_asked_about(bench: Bench) -> None:
    service, asked = bench.service(), list[Quote]()
    first = StartSessionRequest.model_validate({"prompt": "x", "images": ["sketch.png"], **HIGH})
    begun = turned(await service.start_session(first, answering({"quality": "medium"}, asked=asked)))
    turn = ContinueSessionRequest(prompt="y", session_id=begun.session_id)
    second = turned(await service.continue_session(turn, answering({}, asked=asked)))

    assert (second.requested.quality, len(asked)) == ("medium", 2)


async def test_while_a_person_thinks_others_take_their_turns(bench: Bench) -> None:
    """No slot for reading pictures is held, and no right to the session's turn."""
    service = bench.service()
    first = StartSessionRequest(prompt="x", images=["sketch.png"], size="1024x640", quality="low")
    begun = turned(await service.start_session(first, answering()))

    async def ask(quote: Quote) -> Alternative:
        quick = ContinueSessionRequest(prompt="quick", session_id=begun.session_id)
        assert turned(await service.continue_session(quick)).turn == 2
        return Alternative({}, quote.most)

    slow = ContinueSessionRequest(prompt="slow", session_id=begun.session_id, quality="high")
    assert turned(await service.continue_session(slow, Caller(ask=ask))).turn == 3


async def test_a_dry_run_asks_nobody_and_tells_that_the_call_would(bench: Bench) -> None:
    request = GenerateRequest.model_validate({"prompt": "x", **HIGH, "dry_run": True})
    told = await bench.service().generate(request)

    assert isinstance(told, DryRunResult)
    assert told.note is not None
    assert re.fullmatch(
        r"The call can cost \$[\d.]+, and calls above \$[\d.]+ need the user's consent.", told.note
    )


async def test_a_dry_run_keeps_to_the_limit_that_the_call_would(bench: Bench) -> None:
    asked = {"prompt": "x", **HIGH, "dry_run": True}
    with pytest.raises(TooDear):
        await bench.service().generate(GenerateRequest.model_validate({**asked, "max_cost_usd": 0.05}))
    told = await bench.service().generate(GenerateRequest.model_validate({**asked, "max_cost_usd": 1}))
    assert isinstance(told, DryRunResult)
    assert told.note is None


async def test_a_dry_run_of_a_turn_keeps_to_the_limit_too(bench: Bench) -> None:
    service = bench.service()
    first = StartSessionRequest(prompt="x", images=["sketch.png"], size="1024x640", quality="low")
    begun = turned(await service.start_session(first, answering()))
    turn = ContinueSessionRequest(
        prompt="y", session_id=begun.session_id, quality="high", dry_run=True, max_cost_usd=0.01
    )
    with pytest.raises(TooDear):
        await service.continue_session(turn)
