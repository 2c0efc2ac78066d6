"""`estimate`: what a call would cost, from its options alone: nothing is read and nothing is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from gpt_image_2_mcp import pricing
from gpt_image_2_mcp.checks import check_options
from gpt_image_2_mcp.commands.options import option
from gpt_image_2_mcp.commands.running import fail, settings_or_exit
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.models import ImageJob, ImageReference, InputImage
from gpt_image_2_mcp.pricing import MICRO
from gpt_image_2_mcp.requests import RenderOptions, parse_arguments
from gpt_image_2_mcp.sizes import Size

_OF_THE_PRICE = (
    *("model", "size", "quality", "n", "partial_images", "output_format", "frame_count", "input_fidelity"),
)
"""Options that a price depends on."""


def _estimate(*, prompt: str, inputs: tuple[str, ...], batch: bool, as_json: bool, **chosen: Any) -> None:
    given = {name: value for name, value in chosen.items() if value is not None}
    try:
        options = parse_arguments(RenderOptions, {"model": settings_or_exit().model, **given})
        check_options(options, datetime.now(UTC).date())
        pictures = tuple(map(_picture, inputs))
    except InvalidRequest as error:
        fail(error)
    job = ImageJob("edit" if pictures else "generate", prompt, options, pictures)
    known = pricing.estimate(job, batch=batch)
    if known is None:
        at = " at the rates of the Batch API" if batch else ""
        fail(
            InvalidRequest(
                f"What {options.model} costs{at} is not known.",
                hint="`gpt-image-2-mcp models` lists the models that have a price.",
            )
        )
    if as_json:
        usd = {f"{name}_usd": getattr(known, name) / MICRO for name in ("least", "expected", "most")}
        click.echo(json.dumps({"model": options.model, **usd, "caveats": known.caveats}, indent=2))
        return
    _say(known)


def _say(known: pricing.Estimate) -> None:
    prices = pricing.format_range(known.least, known.expected, known.most, wide=bool(known.caveats))
    click.echo(f"Expected {prices}.")
    for caveat in known.caveats:
        click.echo(f"- {caveat}")


def _picture(text: str) -> InputImage | ImageReference:
    """An input of a size, or one of which nothing is known."""
    if text == "?":
        return ImageReference("file_id", text)
    size = Size.parse(text)
    if size is None:
        raise InvalidRequest(f"--input {text} is no WIDTHxHEIGHT.", hint="Give 1024x1024, or ? for any.")
    return InputImage(b"", "", "image/png", size, has_alpha=False, mark="")


estimate = click.Command(
    "estimate",
    callback=_estimate,
    params=[
        click.Argument(["prompt"], default="", required=False, metavar="[PROMPT]"),
        *(option(RenderOptions, name) for name in _OF_THE_PRICE),
        click.Option(
            ["--input", "inputs"],
            multiple=True,
            metavar="WIDTHxHEIGHT",
            help="An input picture of an edit; ? if its size is not known. Once for each.",
        ),
        click.Option(["--batch"], is_flag=True, help="At the rates of OpenAI's Batch API."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
    ],
    help="What a call would cost. Nothing is sent: no key is needed.",
)
