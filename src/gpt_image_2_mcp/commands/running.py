"""What commands share: settings or a clean end, and the service around one piece of work."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

import click

from gpt_image_2_mcp.errors import (
    BudgetExceeded,
    ConfigurationError,
    ConsentDeclined,
    ConsentNeeded,
    ImageServerError,
    InputError,
    InvalidRequest,
    TooDear,
)
from gpt_image_2_mcp.logs import configure_logging
from gpt_image_2_mcp.redaction import Redact, redact
from gpt_image_2_mcp.settings import Settings, read_settings

if TYPE_CHECKING:
    from gpt_image_2_mcp.service import ImageService

logger = logging.getLogger(__name__)

T = TypeVar("T")

STOPPED: Final = "Stopped waiting. A call that was sent goes on: see gpt-image-2-mcp operations."
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNKNOWN: Final = 3
EXIT_REFUSED: Final = 4
EXIT_STOPPED: Final = 130
EXIT_CODES: Final = {
    0: "It is done.",
    EXIT_FAILED: "It failed, and nothing was made.",
    EXIT_USAGE: "Arguments, inputs or settings are wrong; nothing was sent.",
    EXIT_UNKNOWN: "It may have been billed, and there is no picture yet: see `operations list`.",
    EXIT_REFUSED: "A budget, a limit or a person did not allow its price; nothing was sent.",
    EXIT_STOPPED: "Ctrl-C. A call that was sent goes on, and is found by `operations list`.",
}
_CODES: Final[dict[type[ImageServerError], int]] = {
    InvalidRequest: EXIT_USAGE,
    InputError: EXIT_USAGE,
    ConfigurationError: EXIT_USAGE,
    BudgetExceeded: EXIT_REFUSED,
    TooDear: EXIT_REFUSED,
    ConsentNeeded: EXIT_REFUSED,
    ConsentDeclined: EXIT_REFUSED,
}


def settings_or_exit(*, sandbox: bool = False, serving: bool = False) -> Settings:
    """The settings, with logging set up by them; a wrong one ends the process with its sentence.

    What is done is logged when `serving`; who runs a command is told by its result.
    """
    try:
        settings = read_settings()
    except ConfigurationError as error:
        fail(error)
    usual = logging.INFO if serving else logging.WARNING
    configure_logging(settings.redactor(), debug=settings.debug, usual=usual)
    for notice in settings.notices:
        logger.warning(notice)  # nobody may be reading stderr, and only the log does not wait for them
    return replace(settings, sandbox=settings.sandbox or sandbox)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[ImageService]:
    """The service, imported where nobody is kept waiting by it."""
    from anyio.to_thread import run_sync

    from gpt_image_2_mcp.allocating import keep_buffers

    keep_buffers()
    open_service = await run_sync(_imported, abandon_on_cancel=True)
    async with open_service(settings) as service:
        yield service


def _imported() -> Callable[[Settings], AbstractAsyncContextManager[ImageService]]:
    from gpt_image_2_mcp.assembly import load, open_service

    load()
    return open_service


def run_with_service(
    settings: Settings,
    work: Callable[[ImageService], Awaitable[T]],
    *,
    stopped: str = STOPPED,
) -> T:
    """Run `work` with an open service; an error, or Ctrl-C, ends the process with its sentence."""

    async def run() -> T:
        async with opened(settings) as service:
            return await work(service)

    return run_or_fail(settings, run, stopped=stopped)


def run_or_fail(settings: Settings, run: Callable[[], Awaitable[T]], *, stopped: str = STOPPED) -> T:
    """Run an asynchronous function; an error ends the process with its sentence."""
    import anyio

    try:
        return anyio.run(run)
    except ImageServerError as error:
        fail(error, settings.redactor())
    except KeyboardInterrupt:
        click.echo(f"\n{stopped}", err=True)
        sys.exit(EXIT_STOPPED)


def fail(error: ImageServerError, redact: Redact = redact) -> NoReturn:
    """End the process with what went wrong, and with the exit code of it; a script is told on stdout too."""
    click.echo(f"Error: {redact(str(error))}", err=True)
    if _asked_for_json():
        click.echo(json.dumps({"error": _facts(error, redact)}, indent=2))
    sys.exit(exit_code(error))


def _asked_for_json() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("as_json"))


def _facts(error: ImageServerError, redact: Redact) -> dict[str, str | bool]:
    return {
        "code": error.code,
        "message": redact(error.message),
        "hint": redact(error.hint),
        "retryable": error.retryable,
        "may_be_billed": error.may_be_billed,
    }


def exit_code(error: ImageServerError) -> int:
    """One of EXIT_CODES."""
    if error.may_be_billed:
        return EXIT_UNKNOWN
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), EXIT_FAILED)
