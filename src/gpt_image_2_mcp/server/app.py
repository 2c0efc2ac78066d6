"""The MCP server over a service, and its life on stdio."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any, Final, NoReturn, TypeVar

import anyio
from mcp import MCPError
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
)
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
)
from pydantic import BaseModel

from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.operations import Caller
from gpt_image_2_mcp.redaction import clean, whereabouts
from gpt_image_2_mcp.requests import parse_arguments
from gpt_image_2_mcp.results import Pictured, WorkingResult
from gpt_image_2_mcp.server.completion import Completions
from gpt_image_2_mcp.server.delivery import INLINE_LIMIT, deliver, deliver_error
from gpt_image_2_mcp.server.prompts import get_prompt, list_prompts
from gpt_image_2_mcp.server.refusals import Context, guarded, is_modern
from gpt_image_2_mcp.server.resources import Resources
from gpt_image_2_mcp.server.signals import at_first_signal
from gpt_image_2_mcp.server.tasks import EXTENSION as TASKS
from gpt_image_2_mcp.server.tasks import WAIT_S as TASK_WAIT_S
from gpt_image_2_mcp.server.tasks import Task, TaskParams, Tasks, UpdateParams, takes_tasks
from gpt_image_2_mcp.server.tools import PAID, TOOLS, ToolSpec
from gpt_image_2_mcp.service import ImageService

logger = logging.getLogger(__name__)

NAME: Final = "gpt-image-2-mcp"
INSTRUCTIONS: Final = """\
Makes and edits pictures with OpenAI's GPT Image models. Every picture is saved to disk and shown; results \
give its absolute path: tell it to the user.
- New picture: generate_image. One change to existing pictures: edit_image. Several changes in a row: \
start_edit_session, then continue_edit_session with the session_id.
- Image inputs: file path, URL, image://id of an earlier result, latest, clipboard, latest:screenshot, \
latest:download; do not type base64. If a picture the user shows you has no path, ask them to copy it, then \
use clipboard. import_image shows it to you and gives it an id.
- A tool may answer "still working" with an operation_id: call get_result with it; do not call the tool again.
- Calls cost money and can take minutes at high quality. Use quality low for drafts. After an error that \
says the outcome is unknown, ask the user before calling again.
- size: auto, 1024x1024, 1536x1024, 1024x1536, or any WIDTHxHEIGHT with edges that are multiples of 16, \
longest <= 3840, ratio <= 3:1, 655,360-8,294,400 pixels."""

_CACHE_MS: Final = 3_600_000
_UNCHANGING: Final[tuple[CacheableMethod, ...]] = (
    "tools/list",
    "resources/templates/list",
    "prompts/list",
)
T = TypeVar("T")
Fitted = Callable[[BaseModel], Awaitable[T]]
"""Makes of a tool's result what this client is sent."""


def create_server(service: ImageService, wait_s: float | None = None) -> Server[Any]:
    """The server for one service; serves the handshake era and 2026-07-28.

    `wait_s` is how long a call waits for its picture before it is handed off; None: to the end.
    """
    calls = _Calls(service, wait_s)
    tasks = calls.tasks
    resources = Resources(service, lambda _context: INLINE_LIMIT)
    server = _Server(
        NAME,
        version=version(NAME),
        title="GPT Image",
        instructions=INSTRUCTIONS,
        cache_hints={method: CacheHint(ttl_ms=_CACHE_MS, scope="public") for method in _UNCHANGING},
        on_list_tools=calls.list_tools,
        on_list_resources=guarded(resources.recent),
        on_list_resource_templates=guarded(resources.templates),
        on_read_resource=guarded(resources.read),
        on_subscriptions_listen=ListenHandler(calls.changes),
        on_list_prompts=guarded(list_prompts),
        on_get_prompt=guarded(get_prompt),
        on_completion=guarded(Completions(service).complete),
    )
    server.extensions[TASKS] = {}
    server.add_request_handler("tools/call", CallToolRequestParams, calls.call_tool)
    server.add_request_handler("tasks/get", TaskParams, guarded(tasks.get))
    server.add_request_handler("tasks/cancel", TaskParams, guarded(tasks.cancel))
    server.add_request_handler("tasks/update", UpdateParams, guarded(tasks.update))
    return server


class _Calls:
    """The handlers of tools/list and tools/call, and what a picture's arrival sets going."""

    def __init__(self, service: ImageService, wait_s: float | None) -> None:
        self._service, self._wait_s = service, wait_s
        self._specs = {spec.name: spec for spec in TOOLS}
        self._listing = ListToolsResult(tools=[spec.listing() for spec in TOOLS])
        self.changes = InMemorySubscriptionBus()
        self.tasks = Tasks(service, self._collect)

    async def list_tools(self, _context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return self._listing

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> CallToolResult | Task:
        spec = self._specs.get(params.name)
        if spec is None:
            names = ", ".join(self._specs)
            raise MCPError(INVALID_PARAMS, f"Unknown tool {clean(params.name, 80)}; there are {names}.")
        as_task = spec.annotations is PAID and takes_tasks(context)

        async def fitted(result: BaseModel) -> CallToolResult | Task:
            if as_task and isinstance(result, WorkingResult):
                return await self.tasks.created(result)
            return await self._delivered(context, result)

        patience = min(TASK_WAIT_S, self._wait_s or TASK_WAIT_S) if as_task else self._wait_s
        caller = _caller(context, patience)
        return await run_tool(self._service, spec, params.arguments or {}, caller, fitted)

    async def _collect(self, context: Context, operation_id: str) -> CallToolResult | WorkingResult:
        """What the call of an operation would answer now; a task is polled by it."""

        async def fitted(result: BaseModel) -> CallToolResult | WorkingResult:
            return result if isinstance(result, WorkingResult) else await self._delivered(context, result)

        arguments = {"operation_id": operation_id, "wait_seconds": 0}
        caller = _caller(context, self._wait_s)
        return await run_tool(self._service, self._specs["get_result"], arguments, caller, fitted)

    async def _delivered(self, context: Context, result: BaseModel) -> CallToolResult:
        if isinstance(result, Pictured):
            await self._announce_pictures(context)
        return await deliver(result)

    async def _announce_pictures(self, context: Context) -> None:
        """Tell those who asked that the list of resources has a new beginning."""
        await self.changes.publish(ResourcesListChanged())
        if not is_modern(context):
            await context.session.send_resource_list_changed()


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


def _caller(context: ServerRequestContext[Any], wait_s: float | None) -> Caller:
    client = context.session.client_params

    async def report(elapsed: float, phase: str) -> None:
        message = phase or "the picture is being made"
        await context.session.report_progress(elapsed, None, f"{elapsed:.0f} s: {message}")

    return Caller(client.client_info.name if client else "", wait_s, report)


async def run_tool(
    service: ImageService, spec: ToolSpec, arguments: dict[str, Any], caller: Caller, fitted: Fitted[T]
) -> CallToolResult | T:
    """One call, from arguments to what the client is sent, as `fitted` makes it; errors are results."""
    try:
        request = parse_arguments(spec.request, arguments)
        return await fitted(await spec.run(service, request, caller))
    except ImageServerError as error:
        logger.info("%s: %s (%s)", spec.name, error.message, error.code)
        return deliver_error(error)
    except Exception as error:  # noqa: BLE001 - the outermost door: no traceback may reach a client
        logger.error("%s failed: %s", spec.name, whereabouts(error))
        return deliver_error(
            ImageServerError(
                f"{spec.name} failed inside the server ({type(error).__name__}).",
                hint="A picture under way may have been billed: look into the output folder first.",
            )
        )


async def serve_stdio(service: ImageService, wait_s: float | None) -> None:
    """Serve one client until it closes a pipe or a signal comes.

    Returns only when stdin was closed. In the other cases the thread that reads stdin cannot be interrupted,
    so the process is ended from here. A second signal ends it at once.
    """
    server = create_server(service, wait_s)
    async with at_first_signal(lambda: _finish(service)), stdio_server() as (reader, writer):
        try:
            await server.run(reader, writer, server.create_initialization_options())
        except anyio.get_cancelled_exc_class():
            # stdout broke, which cancels everything beside the reading of stdin.
            logger.info("the client no longer reads")
            await _finish(service)


async def _finish(service: ImageService) -> NoReturn:
    with anyio.CancelScope(shield=True):
        await service.close()
    logging.shutdown()
    os._exit(0)
