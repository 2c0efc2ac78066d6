"""`generate` and `edit`: the picture tools by hand, with flags from the tools' own request models."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import click

from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.commands.asking import ask
from gpt_image_2_mcp.commands.options import option, takes_file
from gpt_image_2_mcp.commands.running import fail, run_with_service, settings_or_exit
from gpt_image_2_mcp.commands.showing import display, open_in_viewer
from gpt_image_2_mcp.commands.trust import trusting
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.requests import (
    Arguments,
    EditRequest,
    GenerateRequest,
    Shown,
    parse_arguments,
)
from gpt_image_2_mcp.results import ImageResult
from gpt_image_2_mcp.server.summaries import summarize
from gpt_image_2_mcp.service import ImageService, PaidResult

_POSITIONAL: Final = {"session_id": (1, "SESSION_ID"), "prompt": (1, "PROMPT"), "images": (-1, "IMAGE...")}
_NOT_FLAGS: Final = {*_POSITIONAL, *Shown.model_fields}
Make = Callable[[ImageService, Any, Caller], Awaitable[PaidResult]]
_FACE: Final = (
    click.Option(["--json", "as_json"], is_flag=True, help="Print the structured result."),
    click.Option(
        ["--show/--no-show", "show"], default=True, help="Whether a terminal shows the picture. Default: yes."
    ),
    click.Option(["--open", "open_"], is_flag=True, help="Open the picture in the system's viewer."),
    click.Option(["--sandbox"], is_flag=True, help="Draw on this machine: no key, no cost."),
)
"""How the result is given, whatever was asked for."""


def picture_command(name: str, help_text: str, request: type[Arguments], make: Make) -> click.Command:
    """A command that makes pictures by one method of the service, with the flags of its request."""

    def run(*, as_json: bool, show: bool, open_: bool, sandbox: bool, **arguments: Any) -> None:
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
        result = _made(parsed, lambda service: make(service, parsed, caller), sandbox=sandbox)
        click.echo(result.model_dump_json(indent=2) if as_json else summarize(result))
        paths = [image.file_path for image in result.images] if isinstance(result, ImageResult) else []
        if show and not as_json and _on_terminal():
            display(paths)
        if open_:
            open_in_viewer(paths)

    return click.Command(name, callback=run, params=_parameters(request), help=help_text)


def _on_terminal() -> bool:
    return sys.stdout.isatty()


def _parameters(request: type[Arguments]) -> list[click.Parameter]:
    positional: list[click.Parameter] = [
        click.Argument([field], required=True, nargs=count, metavar=metavar, shell_complete=takes_file(field))
        for field, (count, metavar) in _POSITIONAL.items()
        if field in request.model_fields
    ]
    flags = (option(request, field) for field in request.model_fields if field not in _NOT_FLAGS)
    return [*positional, *flags, *_FACE]


def _made(
    request: Arguments, work: Callable[[ImageService], Awaitable[PaidResult]], *, sandbox: bool
) -> PaidResult:
    async def with_progress(service: ImageService) -> PaidResult:
        async with _progress():
            return await work(service)

    asked = getattr(request, "output_dir", None)
    settings = trusting(settings_or_exit(sandbox=sandbox), request, output_dir=asked)
    return run_with_service(settings, with_progress)


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


generate = picture_command(
    "generate", "Make a picture from PROMPT and print where it is.", GenerateRequest, ImageService.generate
)
edit = picture_command(
    "edit",
    "Change or combine IMAGEs by PROMPT: paths, https URLs or data URLs.",
    EditRequest,
    ImageService.edit,
)
