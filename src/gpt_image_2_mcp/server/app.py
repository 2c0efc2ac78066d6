"""The MCP server over a service, and its life on stdio."""

from __future__ import annotations

import logging
import os
from functools import partial
from importlib.metadata import version
from typing import Any, Final, NoReturn, TypeVar

import anyio
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.subscriptions import ListenHandler
from mcp.types import CallToolRequestParams

from gpt_image_2_mcp.server.calls import Calls, Room, any_room
from gpt_image_2_mcp.server.completion import Completions
from gpt_image_2_mcp.server.greeting import NOBODY, Greeted
from gpt_image_2_mcp.server.opening import Open, Opening, opening
from gpt_image_2_mcp.server.preferences import BY_PROFILE, Preferences
from gpt_image_2_mcp.server.prompts import get_prompt, list_prompts
from gpt_image_2_mcp.server.refusals import Context, Handler, guarded
from gpt_image_2_mcp.server.resources import Resources
from gpt_image_2_mcp.server.signals import at_first_signal
from gpt_image_2_mcp.server.stdio import stdio_wire
from gpt_image_2_mcp.server.tasks import EXTENSION as TASKS
from gpt_image_2_mcp.server.tasks import TaskParams, UpdateParams

logger = logging.getLogger(__name__)

NAME: Final = "gpt-image-2-mcp"
_INPUTS: Final = """\
- Image inputs: file path, URL, image://id of an earlier result, latest, clipboard, latest:screenshot, \
latest:download; do not type base64. If a picture the user shows you has no path, ask them to copy it, then \
use clipboard. import_image shows it to you and gives it an id."""
_INPUTS_FROM_ELSEWHERE: Final = """\
- This server runs on another machine and reads no paths. Image inputs: https:// URL, image://id of an \
earlier result, latest; a data: URL only if a program makes it. import_image shows it to you and gives it an \
id."""
_INSTRUCTIONS: Final = """\
Makes and edits pictures with OpenAI's GPT Image models. Every picture is saved to disk and shown; results \
give its absolute path: tell it to the user.
- New picture: generate_image. One change to existing pictures: edit_image. Several changes in a row: \
start_edit_session, then continue_edit_session with the session_id.
{inputs}
- A tool may answer "still working" with an operation_id: call get_result with it; do not call the tool again.
- Calls cost money and can take minutes at high quality. Use quality low for drafts. After an error that \
says the outcome is unknown, ask the user before calling again.
- size: auto, 1024x1024, 1536x1024, 1024x1536, or any WIDTHxHEIGHT with edges that are multiples of 16, \
longest <= 3840, ratio <= 3:1, 655,360-8,294,400 pixels."""

_CACHE_MS: Final = 3_600_000
_UNCHANGING: Final[tuple[CacheableMethod, ...]] = ("resources/templates/list", "prompts/list")
P = TypeVar("P")
T = TypeVar("T")


def create_server(
    service: Opening, preferences: Preferences = BY_PROFILE, room: Room = any_room
) -> Server[Any]:
    """The server for one service; serves the handshake era and 2026-07-28."""
    calls = Calls(service, preferences, room)
    safe = partial(guarded, redact=preferences.redact)
    resources = Resources(service, preferences.profile_of, calls.decoding)
    server = _Server(
        NAME,
        version=version(NAME),
        title="GPT Image",
        instructions=_INSTRUCTIONS.format(
            inputs=_INPUTS if preferences.local_paths else _INPUTS_FROM_ELSEWHERE
        ),
        cache_hints={
            **{method: CacheHint(ttl_ms=_CACHE_MS, scope="public") for method in _UNCHANGING},
            # Private: what is listed depends on the client.
            "tools/list": CacheHint(ttl_ms=_CACHE_MS, scope="private"),
        },
        on_list_tools=calls.list_tools,
        on_list_resources=safe(resources.recent),
        on_list_resource_templates=safe(resources.templates),
        on_read_resource=safe(_with(room, resources.read)),
        on_subscriptions_listen=ListenHandler(calls.changes),
        on_list_prompts=safe(list_prompts),
        on_get_prompt=safe(get_prompt),
        on_completion=safe(Completions(service).complete),
    )
    tasks = calls.tasks
    server.extensions[TASKS] = {}
    server.add_request_handler("tools/call", CallToolRequestParams, calls.call_tool)
    server.add_request_handler("tasks/get", TaskParams, safe(tasks.get))
    server.add_request_handler("tasks/cancel", TaskParams, safe(tasks.cancel))
    server.add_request_handler("tasks/update", UpdateParams, safe(tasks.update))
    return server


def _with(room: Room, handler: Handler[P, T]) -> Handler[P, T]:
    async def handle(context: Context, params: P) -> T:
        await room()
        return await handler(context, params)

    return handle


class _Server(Server[Any]):
    """Says in the handshake too that resources change; for 2026-07-28 the SDK sees it by the handlers."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        options = notification_options or NotificationOptions(resources_changed=True)
        return super().create_initialization_options(options, experimental_capabilities, extensions)


async def serve_stdio(
    open_: Open, preferences: Preferences, line_limit: int, greeted: Greeted = NOBODY
) -> None:
    """Serve one client until it closes a pipe or a signal comes; the service is opened after the handshake.

    Returns only when stdin was closed and everything is written. In the other cases a thread that reads
    or writes cannot be interrupted, so the process is ended from here. A second signal ends it at once.
    """
    async with (
        opening(open_) as service,
        at_first_signal(lambda: _finish(service)),
        stdio_wire(line_limit, greeted) as wire,
    ):
        if greeted.listed:
            service.tools_listed()
        server = create_server(service, preferences, wire.outlet.room)
        try:
            await server.run(wire.incoming, wire.outlet, server.create_initialization_options())
            if not await wire.is_written():
                logger.info("the client does not read what is left for it")
                await _finish(service)
        except anyio.get_cancelled_exc_class():
            # stdout broke, which cancels everything beside the reading of stdin.
            logger.info("the client no longer reads")
            await _finish(service)


async def _finish(service: Opening) -> NoReturn:
    with anyio.CancelScope(shield=True):
        await service.let_go()
    logging.shutdown()
    os._exit(0)
