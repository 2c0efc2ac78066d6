"""Prompts that people pick in their client: listed, filled in, and said as one message to the model."""

from __future__ import annotations

import json

from mcp.types import (
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    PaginatedRequestParams,
    Prompt,
    PromptArgument,
    PromptMessage,
    TextContent,
)

from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest, parse_arguments
from gpt_image_2_mcp.server.prompt_texts import PROMPTS, Given, PromptSpec, Suggestion
from gpt_image_2_mcp.server.refusals import Context


async def list_prompts(_context: Context, _params: PaginatedRequestParams | None) -> ListPromptsResult:
    return ListPromptsResult(prompts=[_listing(spec) for spec in PROMPTS])


def _listing(spec: PromptSpec) -> Prompt:
    arguments = [
        PromptArgument(name=a.name, description=a.description, required=a.required) for a in spec.arguments
    ]
    return Prompt(name=spec.name, title=spec.title, description=spec.description, arguments=arguments)


async def get_prompt(_context: Context, params: GetPromptRequestParams) -> GetPromptResult:
    """One message that tells the model which tool to call, with which arguments.

    Raises:
        InvalidRequest: no such prompt, a blank is missing or unknown, or the tool would refuse a value.
    """
    spec = find_prompt(params.name)
    suggestion = spec.suggest(_filled_in(spec, params.arguments or {}))
    parse_arguments(EditRequest if suggestion.images else GenerateRequest, suggestion.arguments)
    message = PromptMessage(role="user", content=TextContent(type="text", text=_text(spec, suggestion)))
    return GetPromptResult(description=spec.description, messages=[message])


def find_prompt(name: str) -> PromptSpec:
    """The prompt of that name.

    Raises:
        InvalidRequest: there is none.
    """
    found = next((spec for spec in PROMPTS if spec.name == name), None)
    if found is None:
        names = ", ".join(spec.name for spec in PROMPTS)
        raise InvalidRequest(f"There is no prompt {clean(name, 80)}.", hint=f"There are {names}.")
    return found


def _filled_in(spec: PromptSpec, given: Given) -> Given:
    said = {name: text.strip() for name, text in given.items() if text.strip()}
    names = [argument.name for argument in spec.arguments]
    if unknown := [name for name in said if name not in names]:
        raise InvalidRequest(
            f"{spec.name} has no argument {clean(unknown[0], 80)}.", hint=f"It has {', '.join(names)}."
        )
    if missing := [a.name for a in spec.arguments if a.required and a.name not in said]:
        raise InvalidRequest(f"{spec.name} needs {', '.join(missing)}.", hint="Fill it in and ask again.")
    return said


def _text(spec: PromptSpec, suggestion: Suggestion) -> str:
    arguments = json.dumps(suggestion.arguments, indent=2, ensure_ascii=False)
    return f"""\
{spec.title}: call the tool `{suggestion.tool}` with these arguments.

```json
{arguments}
```

Where I have told you more of what I want, work it into `prompt` first and keep its other lines. Then tell \
me the path of each picture and what it cost. {suggestion.then}"""
