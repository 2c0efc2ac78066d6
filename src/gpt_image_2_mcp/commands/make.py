"""`generate` and `edit`: the picture tools by hand, with flags from the tools' own request models."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import click

from gpt_image_2_mcp.commands.asking import ask
from gpt_image_2_mcp.commands.options import option
from gpt_image_2_mcp.commands.running import fail, run_with_service, settings_or_exit
from gpt_image_2_mcp.commands.trust import trusting
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.operations import Caller
from gpt_image_2_mcp.requests import (
    Arguments,
    EditRequest,
    GenerateRequest,
    Shown,
    parse_arguments,
)
from gpt_image_2_mcp.server.summaries import summarize
from gpt_image_2_mcp.service import ImageService, PaidResult

_POSITIONAL = {"prompt": (1, "PROMPT"), "images": (-1, "IMAGE...")}
_NOT_FLAGS = {*_POSITIONAL, *Shown.model_fields}
Make = Callable[[ImageService, Any, Caller], Awaitable[PaidResult]]


def _command(name: str, help_text: str, request: type[Arguments], make: Make) -> click.Command:
    def run(*, as_json: bool, sandbox: bool, **arguments: Any) -> None:
        given = {key: value for key, value in arguments.items() if value not in (None, ())}
        if "images" in given:
            given["images"] = list(given["images"])
        try:
            parsed = parse_arguments(request, given)
        except InvalidRequest as error:
            fail(error)
        # Who typed how much it may cost has agreed.
        asks = sys.stdin.isatty() and getattr(parsed, "max_cost_usd", None) is None
        caller = Caller(ask=ask if asks else None)
        _make(parsed, lambda service: make(service, parsed, caller), as_json=as_json, sandbox=sandbox)

    return click.Command(name, callback=run, params=_parameters(request), help=help_text)


def _parameters(request: type[Arguments]) -> list[click.Parameter]:
    positional: list[click.Parameter] = [
        click.Argument([field], required=True, nargs=count, metavar=metavar)
        for field, (count, metavar) in _POSITIONAL.items()
        if field in request.model_fields
    ]
    return [
        *positional,
        *(option(request, field) for field in request.model_fields if field not in _NOT_FLAGS),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the structured result."),
        click.Option(["--sandbox"], is_flag=True, help="Draw on this machine: no key, no cost."),
    ]


def _make(
    request: Arguments,
    work: Callable[[ImageService], Awaitable[PaidResult]],
    *,
    as_json: bool,
    sandbox: bool,
) -> None:
    async def with_progress(service: ImageService) -> PaidResult:
        async with _progress():
            return await work(service)

    asked = getattr(request, "output_dir", None)
    settings = trusting(settings_or_exit(sandbox=sandbox), request, output_dir=asked)
    result = run_with_service(settings, with_progress)
    click.echo(result.model_dump_json(indent=2) if as_json else summarize(result))


@asynccontextmanager
async def _progress() -> AsyncIterator[None]:
    """One line on stderr while a long call is under way; on a terminal it counts the seconds."""
    live = sys.stderr.isatty()
    started = time.monotonic()

    async def tick() -> None:
        await asyncio.sleep(3)
        while True:
            line = f"waiting for the picture: {time.monotonic() - started:.0f} s"
            click.echo(
                f"\r{line}" if live else f"{line}; high quality can take minutes", err=True, nl=not live
            )
            await asyncio.sleep(1 if live else 60)

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()
        if live and time.monotonic() - started > 3:
            click.echo(err=True)


generate = _command(
    "generate", "Make a picture from PROMPT and print where it is.", GenerateRequest, ImageService.generate
)
edit = _command(
    "edit",
    "Change or combine IMAGEs by PROMPT: paths, https URLs or data URLs.",
    EditRequest,
    ImageService.edit,
)
