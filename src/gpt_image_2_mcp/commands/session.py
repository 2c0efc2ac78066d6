"""`session`: edits in several turns by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click
from pydantic import BaseModel

from gpt_image_2_mcp.commands.make import picture_command
from gpt_image_2_mcp.commands.running import fail, run_with_service, settings_or_exit
from gpt_image_2_mcp.errors import InvalidRequest, SessionNotFound
from gpt_image_2_mcp.requests import (
    ContinueSessionRequest,
    EndSessionRequest,
    ListSessionsRequest,
    StartSessionRequest,
    parse_arguments,
)
from gpt_image_2_mcp.server.summaries import summarize
from gpt_image_2_mcp.service import ImageService

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
of_sandbox = click.option("--sandbox", is_flag=True, help="The sandbox's sessions.")


@click.group(invoke_without_command=True)
@as_json
@of_sandbox
@click.pass_context
def session(context: click.Context, *, as_json: bool, sandbox: bool) -> None:
    """Edits in several turns, each on the picture of the one before. Without a command: the active ones."""
    if context.invoked_subcommand is None:
        context.invoke(list_sessions, as_json=as_json, sandbox=sandbox)
    elif as_json or sandbox:
        raise click.UsageError("--json and --sandbox stand behind the command.")


session.add_command(
    picture_command(
        "start",
        "First turn: change or combine IMAGEs by PROMPT, and print the session's id.",
        StartSessionRequest,
        ImageService.start_session,
    )
)
session.add_command(
    picture_command(
        "continue",
        "Next turn: change the last picture of SESSION_ID by PROMPT.",
        ContinueSessionRequest,
        ImageService.continue_session,
    )
)


@session.command("list")
@as_json
@of_sandbox
def list_sessions(*, as_json: bool, sandbox: bool) -> None:
    """The active sessions, the latest used first."""
    _say(
        lambda service: service.list_sessions(ListSessionsRequest(), most=None),
        as_json=as_json,
        sandbox=sandbox,
    )


@session.command("end")
@click.argument("session_id")
@as_json
@of_sandbox
def end(*, session_id: str, as_json: bool, sandbox: bool) -> None:
    """Forget SESSION_ID; its pictures stay on disk."""
    try:
        request = parse_arguments(EndSessionRequest, {"session_id": session_id})
    except InvalidRequest as error:
        fail(error)

    async def work(service: ImageService) -> BaseModel:
        result = await service.end_session(request)
        if not result.ended:
            raise SessionNotFound(
                "There is no active session with that id.", hint="`gpt-image-2-mcp session list` has them."
            )
        return result

    _say(work, as_json=as_json, sandbox=sandbox)


def _say(work: Callable[[ImageService], Awaitable[BaseModel]], *, as_json: bool, sandbox: bool) -> None:
    result = run_with_service(settings_or_exit(sandbox=sandbox), work)
    click.echo(result.model_dump_json(indent=2) if as_json else summarize(result))
