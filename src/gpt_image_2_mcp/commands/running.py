"""What commands share: settings or a clean end, and the service around one piece of work."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NoReturn, TypeVar

import anyio
import click

from gpt_image_2_mcp.assembly import open_service
from gpt_image_2_mcp.errors import ConfigurationError, ImageServerError, InputError, InvalidRequest
from gpt_image_2_mcp.logs import configure_logging
from gpt_image_2_mcp.redaction import Redact, redact
from gpt_image_2_mcp.service import ImageService
from gpt_image_2_mcp.settings import Settings, read_settings

logger = logging.getLogger(__name__)

T = TypeVar("T")

EXIT_FAILED = 1
EXIT_USAGE = 2


def settings_or_exit(*, sandbox: bool = False) -> Settings:
    """The settings, with logging set up by them; a wrong one ends the process with its sentence."""
    try:
        settings = read_settings()
    except ConfigurationError as error:
        fail(error)
    configure_logging(settings.redactor(), debug=settings.debug)
    for notice in settings.notices:
        logger.warning(notice)  # nobody may be reading stderr, and only the log does not wait for them
    return replace(settings, sandbox=settings.sandbox or sandbox)


def run_with_service(settings: Settings, work: Callable[[ImageService], Awaitable[T]]) -> T:
    """Run `work` with an open service; an error ends the process with its sentence."""

    async def run() -> T:
        async with open_service(settings) as service:
            return await work(service)

    try:
        return anyio.run(run)
    except ImageServerError as error:
        fail(error, settings.redactor())
    except KeyboardInterrupt:
        click.echo(
            "\nStopped waiting. A call that was sent goes on: see gpt-image-2-mcp operations.", err=True
        )
        sys.exit(130)


def fail(error: ImageServerError, redact: Redact = redact) -> NoReturn:
    """End the process: 2 for what the caller wrote, 1 for what went wrong."""
    click.echo(f"Error: {redact(str(error))}", err=True)
    sys.exit(
        EXIT_USAGE if isinstance(error, InvalidRequest | InputError | ConfigurationError) else EXIT_FAILED
    )
