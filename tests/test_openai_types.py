"""Every argument of the API, by the openai package's own types: offered, or listed with the reason."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args, get_origin

import pytest
from openai.types import image_edit_params, image_generate_params
from typing_extensions import is_typeddict

from gpt_image_2_mcp.capabilities import NOT_OFFERED
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest
from gpt_image_2_mcp.schemas import input_schema

OTHER_NAMES: Final = {
    "image": "images",
    "svg.model": "svg_model",
    "svg.reasoning.effort": "svg_reasoning_effort",
}
ENDPOINTS: Final[Mapping[str, tuple[Any, type[GenerateRequest | EditRequest]]]] = {
    "generations": (image_generate_params, GenerateRequest),
    "edits": (image_edit_params, EditRequest),
}


def published(module: Any) -> dict[str, Any]:
    """The arguments by name, what is nested by its path; of all forms of the call together."""
    found: dict[str, Any] = {}
    for name in ("NonStreaming", "Streaming"):
        kind = next(value for key, value in vars(module).items() if key.endswith(f"Params{name}"))
        found |= dict(flattened(typing.get_type_hints(kind)))
    return found


def flattened(hints: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, hint in hints.items():
        inner = [each for each in parts(hint) if is_typeddict(each)]
        if inner:
            yield from flattened(typing.get_type_hints(inner[0]), f"{path}{name}.")
        else:
            yield f"{path}{name}", hint


def parts(hint: Any) -> Iterator[Any]:
    """What a type is made of, to the innermost."""
    if get_origin(hint) is typing.Literal:
        yield from get_args(hint)
    elif get_args(hint):
        for each in get_args(hint):
            yield from parts(each)
    else:
        yield hint


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_argument_is_offered_or_listed_with_the_reason(endpoint: str) -> None:
    module, request = ENDPOINTS[endpoint]
    ours = set(input_schema(request)["properties"])
    for name in published(module):
        offered = OTHER_NAMES.get(name, name) in ours
        assert offered != (name in NOT_OFFERED), name


def test_the_list_of_what_is_not_offered_names_nothing_that_is_not_there() -> None:
    known = {name for module, _ in ENDPOINTS.values() for name in published(module)}
    values = {
        f"{name}={value}"
        for module, _ in ENDPOINTS.values()
        for name, hint in published(module).items()
        for value in parts(hint)
        if isinstance(value, str)
    }
    assert set(NOT_OFFERED) <= known | values
    assert all(reason.endswith(".") for reason in NOT_OFFERED.values())


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_word_that_an_argument_takes_is_offered_or_listed(endpoint: str) -> None:
    module, request = ENDPOINTS[endpoint]
    schema = input_schema(request)["properties"]
    for name, hint in published(module).items():
        rule = schema.get(OTHER_NAMES.get(name, name), {})
        words = {value for value in parts(hint) if isinstance(value, str)}
        if "enum" in rule:
            missing = words - set(rule["enum"])
            assert {f"{name}={word}" for word in missing} <= set(NOT_OFFERED), name
