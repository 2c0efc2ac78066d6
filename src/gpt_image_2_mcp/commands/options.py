"""Flags made from the arguments of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import click
from click.shell_completion import CompletionItem

from gpt_image_2_mcp.requests import Arguments
from gpt_image_2_mcp.schemas import input_schema

_PATHS: Final = {"images": "file", "mask": "file", "markup": "file", "output_dir": "dir"}
"""Arguments that are mostly paths, and of what."""
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


class _Words(click.Choice[str]):
    """Choices for help and completion; what is right is for the request model to say, `jpg` for one."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        return value


def takes_file(field: str) -> Complete | None:
    """Completion by the shell's own paths, for an argument that can be one."""
    if field not in _PATHS:
        return None
    return lambda _context, _parameter, begun: [CompletionItem(begun, type=_PATHS[field])]


def option(request: type[Arguments], field: str) -> click.Option:
    """The flag of an argument, from its one declaration."""
    schema = input_schema(request)["properties"][field]
    choices, flag = schema.get("enum"), f"--{field.replace('_', '-')}"
    if schema["type"] == "boolean":
        return click.Option([flag, field], is_flag=True, default=None, help=schema["description"])
    return click.Option(
        [flag, field],
        type=_Words(choices) if choices else str,
        metavar=None if choices else schema["type"].upper().replace("STRING", "TEXT"),
        help=schema["description"].replace("`", ""),
        shell_complete=takes_file(field),
    )
