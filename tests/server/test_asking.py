"""A person is asked about the price through the client, in both eras, before anything is sent."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from mcp import Client
from mcp.types import (
    CallToolResult,
    ClientCapabilities,
    ElicitationCapability,
    ElicitRequestFormParams,
    ElicitResult,
    ErrorData,
    FormElicitationCapability,
    TextContent,
    UrlElicitationCapability,
)

from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.asking import can_ask
from gpt_image_2_mcp.server.opening import ready
from tests.support.services import Bench

pytestmark = pytest.mark.anyio
Era = Literal["legacy", "2026-07-28"]
HIGH = {"prompt": "a fox", "size": "1024x1024", "quality": "high"}
BOTH_ERAS = pytest.mark.parametrize("era", ["legacy", "2026-07-28"])


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.confirm_above = 10_000
    return bench


class Person:
    """Answers forms: with the choice that begins so, or by an action."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), list[ElicitRequestFormParams]()

    async def answer(self, context: Any, params: Any) -> ElicitResult | ErrorData:
        assert context is not None
        self.asked.append(params)
        answer = self.answers.pop(0)
        if answer in ("decline", "cancel"):
            return ElicitResult(action=answer)  # type: ignore[arg-type]  # one of the two
        choices = params.requested_schema["properties"]["choice"]["enum"]
        return ElicitResult(
            action="accept", content={"choice": next(c for c in choices if c.startswith(answer))}
        )


async def called(bench: Bench, era: Era, person: Person | None, **arguments: Any) -> CallToolResult:
    server = create_server(ready(bench.service()))
    callback = person.answer if person else None
    async with Client(server, mode=era, elicitation_callback=callback) as client:
        return await client.call_tool("generate_image", {**HIGH, **arguments})


def text_of(result: CallToolResult) -> str:
    block = result.content[-1]
    assert isinstance(block, TextContent)
    return block.text


@BOTH_ERAS
async def test_a_person_sees_price_and_cheaper_ways_and_agrees(bench: Bench, era: Era) -> None:
    person = Person("Make it")
    result = await called(bench, era, person)

    assert not result.is_error, text_of(result)
    assert len(bench.recorder.posts) == 1
    (form,) = person.asked
    assert "will cost about $0.210805, at most $0.210905" in form.message
    choices = form.requested_schema["properties"]["choice"]["enum"]
    assert choices[0] == "Make it (at most $0.210905)"
    assert choices[1] == "Cheaper: quality=medium (at most $0.052865)"
    assert choices[-1] == "Do not make it"


@BOTH_ERAS
async def test_a_person_takes_the_cheaper_way(bench: Bench, era: Era) -> None:
    result = await called(bench, era, Person("Cheaper: quality=medium"))

    assert result.structured_content["requested"]["quality"] == "medium"
    assert len(bench.recorder.posts) == 1


@BOTH_ERAS
@pytest.mark.parametrize("answer", ["decline", "cancel", "Do not"])
async def test_a_person_who_does_not_want_it_pays_nothing(bench: Bench, era: Era, answer: str) -> None:
    result = await called(bench, era, Person(answer))

    assert result.is_error
    assert text_of(result).startswith("The user was asked, and has not agreed to the call for $0.210905.")
    assert bench.recorder.requests == []


@BOTH_ERAS
async def test_through_a_client_that_cannot_ask_the_way_to_agree_is_told(bench: Bench, era: Era) -> None:
    refused = await called(bench, era, None)

    assert refused.is_error
    assert "call again with `max_cost_usd` 0.211" in text_of(refused)
    assert not (await called(bench, era, None, max_cost_usd=0.211)).is_error
    assert len(bench.recorder.posts) == 1


async def test_an_answer_to_another_price_is_no_answer(bench: Bench) -> None:
    """What comes with a call made again holds for the question that was put, and no dearer one."""
    server, person = create_server(ready(bench.service())), Person("Make it", "decline")
    async with Client(server, mode="2026-07-28", elicitation_callback=person.answer) as client:
        asked = await client.session.call_tool("generate_image", HIGH, allow_input_required=True)
        state = asked.request_state  # type: ignore[union-attr]  # nothing was answered yet
        answer = ElicitResult(action="accept", content={"choice": "Make it (at most $0.421810)"})
        again = await client.session.call_tool(
            "generate_image",
            {**HIGH, "n": 2},
            input_responses={"consent": answer},
            request_state=state,
            allow_input_required=True,
        )
    assert again.result_type == "input_required"
    assert bench.recorder.requests == []


@pytest.mark.parametrize(
    ("declared", "able"),
    [
        (None, False),
        (ClientCapabilities(), False),
        (ClientCapabilities(elicitation=ElicitationCapability()), True),
        (ClientCapabilities(elicitation=ElicitationCapability(form=FormElicitationCapability())), True),
        (ClientCapabilities(elicitation=ElicitationCapability(url=UrlElicitationCapability())), False),
    ],
)
def test_a_client_that_shows_no_forms_is_not_asked(declared: ClientCapabilities | None, able: bool) -> None:
    assert can_ask(declared) is able
