"""The handlers of tools/list and tools/call, and what a picture's arrival sets going."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter
from mcp import MCPError
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourcesListChanged
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
    PaginatedRequestParams,
)
from pydantic import BaseModel

from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.redaction import Redact, clean, redact, whereabouts
from gpt_image_2_mcp.requests import Arguments, Shown, parse_arguments
from gpt_image_2_mcp.results import Pictured, WorkingResult
from gpt_image_2_mcp.server.asking import Asker, InputNeeded, can_ask
from gpt_image_2_mcp.server.delivery import AT_ONCE, deliver_error
from gpt_image_2_mcp.server.opening import Opening
from gpt_image_2_mcp.server.preferences import Preferences
from gpt_image_2_mcp.server.progress import Progress
from gpt_image_2_mcp.server.refusals import Context, is_modern
from gpt_image_2_mcp.server.tasks import WAIT_S as TASK_WAIT_S
from gpt_image_2_mcp.server.tasks import Task, Tasks, takes_tasks
from gpt_image_2_mcp.server.tools import PAID, TOOLS, ToolSpec
from gpt_image_2_mcp.showing import Inline

logger = logging.getLogger(__name__)

REMEMBERED: Final = 1000
"""Calls that were handed off and whose client said how it wants to be shown pictures."""
T = TypeVar("T")
Fitted = Callable[[Arguments, BaseModel], Awaitable[T]]
"""Makes of a request and its result what this client is sent."""
Room = Callable[[], Awaitable[None]]
"""Waits until the client has read enough for one more result with pictures to be made."""


async def any_room() -> None:
    return None


class Calls:
    """Tools as a client calls them: who it is decides what it is sent, and how long it waits."""

    def __init__(self, service: Opening, preferences: Preferences, room: Room = any_room) -> None:
        self._service, self._preferences, self._room = service, preferences, room
        self._redact = preferences.redact
        self._asked: dict[str, Inline] = {}
        self._specs = {spec.name: spec for spec in TOOLS}
        self._listing = cache(_listing)
        self.decoding = CapacityLimiter(AT_ONCE)
        self.changes = InMemorySubscriptionBus()
        self.tasks = Tasks(service, self._collect)

    async def list_tools(self, context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        hides_images = self._preferences.profile_of(context).hides_images
        self._service.tools_listed()
        return self._listing(hides_images=hides_images, local_paths=self._preferences.local_paths)

    async def call_tool(
        self, context: Context, params: CallToolRequestParams
    ) -> CallToolResult | Task | InputRequiredResult:
        spec = self._specs.get(params.name)
        if spec is None:
            names = ", ".join(self._specs)
            raise MCPError(INVALID_PARAMS, f"Unknown tool {clean(params.name, 80)}; there are {names}.")
        as_task = spec.annotations is PAID and takes_tasks(context)

        async def fitted(request: Arguments, result: BaseModel) -> CallToolResult | Task:
            self._note_inline(request, result)
            if as_task and isinstance(result, WorkingResult):
                return await self.tasks.created(result)
            return await self._delivered(context, request, result)

        progress = Progress(context.session.report_progress, self._preferences.pace)
        caller = self._preferences.caller(context, progress.report)
        if can_ask(context.session.client_capabilities):
            caller = replace(caller, ask=Asker(context, params).ask)
        if as_task:
            caller = replace(caller, wait_s=min(TASK_WAIT_S, caller.wait_s or TASK_WAIT_S))
        try:
            async with progress.at_work():
                arguments = params.arguments or {}
                return await run_tool(self._service, spec, arguments, caller, fitted, self._redact)
        except InputNeeded as needed:
            return needed.result

    async def _collect(self, context: Context, operation_id: str) -> CallToolResult | WorkingResult:
        """What the call of an operation would answer now; a task is polled by it."""

        async def fitted(request: Arguments, result: BaseModel) -> CallToolResult | WorkingResult:
            if isinstance(result, WorkingResult):
                return result
            return await self._delivered(context, request, result)

        arguments = {"operation_id": operation_id, "wait_seconds": 0}
        caller = self._preferences.caller(context, lambda _standing: None)
        spec = self._specs["get_result"]
        return await run_tool(self._service, spec, arguments, caller, fitted, self._redact)

    async def _delivered(self, context: Context, request: Arguments, result: BaseModel) -> CallToolResult:
        if isinstance(result, Pictured):
            await self._announce_pictures(context)
        await self._room()
        inline = request.inline if isinstance(request, Shown) else None
        if inline is None and isinstance(result, Pictured):
            inline = self._asked.get(result.operation_id)
        return await self._preferences.delivery(context, self.decoding).deliver(result, inline)

    def _note_inline(self, request: Arguments, result: BaseModel) -> None:
        """Whoever collects a call that was handed off is shown its pictures as the call itself asked."""
        if isinstance(request, Shown) and request.inline and isinstance(result, WorkingResult):
            self._asked[result.operation_id] = request.inline
            if len(self._asked) > REMEMBERED:
                del self._asked[next(iter(self._asked))]

    async def _announce_pictures(self, context: Context) -> None:
        """Tell those who asked that the list of resources has a new beginning."""
        await self.changes.publish(ResourcesListChanged())
        if not is_modern(context):
            await context.session.send_resource_list_changed()


def _listing(*, hides_images: bool, local_paths: bool) -> ListToolsResult:
    tools = [spec.listing(hides_images=hides_images, local_paths=local_paths) for spec in TOOLS]
    return ListToolsResult(tools=tools)


async def run_tool(
    service: Opening,
    spec: ToolSpec,
    arguments: dict[str, Any],
    caller: Caller,
    fitted: Fitted[T],
    redact: Redact = redact,
) -> CallToolResult | T:
    """One call, from arguments to what the client is sent, as `fitted` makes it; errors are results."""
    try:
        request = parse_arguments(spec.request, arguments)
        return await fitted(request, await spec.run(await service(), request, caller))
    except ImageServerError as error:
        logger.info("%s: %s (%s)", spec.name, error.message, error.code)
        return deliver_error(error, redact)
    except InputNeeded:
        raise
    except Exception as error:  # noqa: BLE001 - the outermost door: no traceback may reach a client
        logger.error("%s failed: %s", spec.name, whereabouts(error))
        return deliver_error(
            ImageServerError(
                f"{spec.name} failed inside the server ({type(error).__name__}).",
                hint="A picture under way may have been billed: look into the output folder first.",
            )
        )
