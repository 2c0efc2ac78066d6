"""Puts the price of a call to a person through the client, before anything is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from mcp import MCPError
from mcp.types import (
    CallToolRequestParams,
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)

from gpt_image_2_mcp.budgets import usd
from gpt_image_2_mcp.errors import ConsentDeclined
from gpt_image_2_mcp.server.refusals import Context, is_modern

if TYPE_CHECKING:
    from gpt_image_2_mcp.alternatives import Alternative
    from gpt_image_2_mcp.consent import Quote

_KEY: Final = "consent"
_FIELD: Final = "choice"
_NO: Final = "Do not make it"
_THINK_S: Final = 600.0
"""How long a person may think; most clients end the call before."""


class InputNeeded(Exception):
    """Not an error: a client of 2026-07-28 is to ask a person, and to make the call again with the answer."""

    def __init__(self, result: InputRequiredResult) -> None:
        super().__init__("a person must be asked")
        self.result = result


def can_ask(capabilities: ClientCapabilities | None) -> bool:
    """Whether a client shows forms to a person; one that says nothing of modes shows forms."""
    elicitation = capabilities.elicitation if capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


class Asker:
    """Asks on behalf of one call. In the handshake era the answer comes within it; since 2026-07-28 it comes
    with the same call made again, and holds for the price that was asked about.
    """

    def __init__(self, context: Context, params: CallToolRequestParams) -> None:
        self._context, self._params = context, params

    async def ask(self, quote: Quote) -> Alternative:
        """As `consent.Ask`; raises InputNeeded too."""
        choices = _choices(quote)
        answer = self._answer(quote) if is_modern(self._context) else await self._elicit(quote)
        said = (answer.content or {}).get(_FIELD)
        chosen = choices.get(said) if answer.action == "accept" and isinstance(said, str) else None
        if chosen is None:
            price = usd(quote.most)
            raise ConsentDeclined(f"The user was asked, and has not agreed to the call for {price}.")
        return chosen

    def _answer(self, quote: Quote) -> ElicitResult:
        answer = (self._params.input_responses or {}).get(_KEY)
        if not isinstance(answer, ElicitResult) or self._params.request_state != _state(quote):
            request = ElicitRequest(params=_form(quote))
            raise InputNeeded(
                InputRequiredResult(input_requests={_KEY: request}, request_state=_state(quote))
            )
        return answer

    async def _elicit(self, quote: Quote) -> ElicitResult:
        form, session = _form(quote), self._context.session
        try:
            async with asyncio.timeout(_THINK_S):
                return await session.elicit_form(
                    form.message, form.requested_schema, related_request_id=self._context.request_id
                )
        except (TimeoutError, MCPError):
            raise quote.refusal(", who could not be asked through this client") from None


def _state(quote: Quote) -> str:
    """What an answer is an answer to: another price is another question."""
    return f"{quote.model} {quote.count} {quote.most}"


def _choices(quote: Quote) -> dict[str, Alternative]:
    """What a person can answer, in their words."""
    cheaper = {f"Cheaper: {each}": each for each in quote.cheaper}
    return {f"Make it (at most {usd(quote.most)})": quote.as_it_is, **cheaper}


def _form(quote: Quote) -> ElicitRequestFormParams:
    pictures = "A picture" if quote.count == 1 else f"{quote.count} pictures"
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            _FIELD: {"type": "string", "title": "What to do", "enum": [*_choices(quote), _NO]},
        },
        "required": [_FIELD],
    }
    return ElicitRequestFormParams(
        message=f"{pictures} with {quote.model} will cost about {usd(quote.expected)}, at most "
        f"{usd(quote.most)}. Calls above {usd(quote.free)} need your consent.",
        requested_schema=schema,
    )
