"""Completes the blanks of prompts and of resource addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from mcp.types import CompleteRequestParams, CompleteResult, Completion, PromptReference

from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.picture_names import NAMES, SCHEME, address_of
from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.server.opening import Opening
from gpt_image_2_mcp.server.prompts import find_prompt
from gpt_image_2_mcp.server.refusals import Context
from gpt_image_2_mcp.server.resources import PARTIAL, PICTURE, PREVIEW

MOST: Final = 100
"""Values in one answer, by the protocol."""
_PARTIALS: Final = ("0", "1", "2")

Values = Callable[[str], Awaitable[Iterable[str]]]
"""What could be meant by a beginning."""


class Completions:
    """The handler of completion/complete."""

    def __init__(self, service: Opening) -> None:
        self._service = service

    async def complete(self, _context: Context, params: CompleteRequestParams) -> CompleteResult:
        """What an argument's value may go on to be, the likeliest first.

        Raises:
            InvalidRequest: there is no such prompt, template or argument.
        """
        name, typed = params.argument.name, params.argument.value
        if isinstance(params.ref, PromptReference):
            values = self._of_prompt(params.ref.name, name)
        else:
            values = self._of_template(params.ref.uri, name)
        found = list(await values(typed))
        return CompleteResult(completion=Completion(values=found[:MOST], has_more=len(found) > MOST))

    def _of_prompt(self, prompt: str, name: str) -> Values:
        spec = find_prompt(prompt)
        argument = next((a for a in spec.arguments if a.name == name), None)
        if argument is None:
            raise InvalidRequest(f"{prompt} has no argument {clean(name, 80)}.")
        return self._pictures if argument.picture else _among(argument.words)

    def _of_template(self, uri: str, name: str) -> Values:
        blanks: dict[tuple[str, str], Values] = {
            (PICTURE, "id"): self._ids,
            (PREVIEW, "id"): self._ids,
            (PARTIAL, "operation"): self._operations,
            (PARTIAL, "i"): _among(_PARTIALS),
        }
        if (uri, name) not in blanks:
            raise InvalidRequest(f"There is no {clean(name, 80)} in {clean(uri, 200)}.")
        return blanks[uri, name]

    async def _ids(self, typed: str) -> Iterable[str]:
        return await (await self._service()).library.ids(typed, MOST + 1)

    async def _pictures(self, typed: str) -> Iterable[str]:
        names = await _among(NAMES)(typed)
        if not SCHEME.startswith(typed) and not typed.startswith(SCHEME):
            return names
        return [*names, *(address_of(id_) for id_ in await self._ids(typed[len(SCHEME) :]))]

    async def _operations(self, typed: str) -> Iterable[str]:
        return await _among(await (await self._service()).under_way())(typed)


def _among(words: Iterable[str]) -> Values:
    async def beginning(typed: str) -> Iterable[str]:
        return [word for word in words if word.lower().startswith(typed.strip().lower())]

    return beginning
