"""Flags made from the arguments of a request."""

from __future__ import annotations

import click

from gpt_image_2_mcp.requests import Arguments
from gpt_image_2_mcp.schemas import input_schema


class _Words(click.Choice[str]):
    """Choices for help and completion; what is right is for the request model to say, `jpg` for one."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        return value


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
    )
