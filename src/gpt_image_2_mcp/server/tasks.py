"""The tasks extension: a call that takes longer is handed to a client that asks for it as a task, and polled.

The task is the operation: it stands in the journal before the client has its id, and outlives this server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from mcp import MCPError
from mcp.types import INVALID_PARAMS, METHOD_NOT_FOUND, CallToolResult, EmptyResult, RequestParams
from mcp_types.jsonrpc import MISSING_REQUIRED_CLIENT_CAPABILITY

from gpt_image_2_mcp.errors import OperationNotFound
from gpt_image_2_mcp.models import Operation
from gpt_image_2_mcp.results import WorkingResult
from gpt_image_2_mcp.server.opening import Opening
from gpt_image_2_mcp.server.refusals import Context, is_modern

EXTENSION: Final = "io.modelcontextprotocol/tasks"
"""SEP-2663; read in the version 2026-07-28 of modelcontextprotocol/ext-tasks."""
WAIT_S: Final = 2.0
"""How long a call is given to end before it becomes a task: sandbox pictures and refusals need no polling."""
_POLL_WITHIN_S: Final = (1.0, 5.0)

Collect = Callable[[Context, str], Awaitable[CallToolResult | WorkingResult]]
"""What an operation's call would answer now."""


Task = dict[str, Any]
"""A task's state as it is sent. No model: the SDK drops what is None, and `ttlMs` has to be there as null."""


class TaskParams(RequestParams):
    """Parameters of tasks/get and tasks/cancel."""

    task_id: str


class UpdateParams(TaskParams):
    """Parameters of tasks/update."""

    input_responses: dict[str, Any]


def takes_tasks(context: Context) -> bool:
    """Whether the client of this very request has declared the extension."""
    capabilities = context.session.client_capabilities
    return is_modern(context) and EXTENSION in ((capabilities and capabilities.extensions) or {})


class Tasks:
    """The handlers of tasks/get, tasks/cancel and tasks/update."""

    def __init__(self, service: Opening, collect: Collect) -> None:
        self._service, self._collect = service, collect
        self._cancelled: set[str] = set()

    async def created(self, working: WorkingResult) -> Task:
        """The task that a call under way becomes; it stands where the tool's result would."""
        operation = await (await self._service()).operation(working.operation_id)
        return {"resultType": "task", **self._working(operation, working)}

    async def get(self, context: Context, params: TaskParams) -> Task:
        """How a task stands, with the result of its call once that ended; a failed call's result says so."""
        operation = await self._find(context, params)
        outcome = await self._collect(context, operation.id)
        if isinstance(outcome, WorkingResult):
            return self._working(operation, outcome)
        self._cancelled.discard(operation.id)
        ended = await (await self._service()).operation(operation.id)
        said = outcome.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {**_state(ended, "completed"), "result": said}

    async def cancel(self, context: Context, params: TaskParams) -> EmptyResult:
        """Take note that nobody waits any more. The call is paid for, goes on, and its picture is kept."""
        self._cancelled.add((await self._find(context, params)).id)
        return EmptyResult()

    async def update(self, context: Context, params: UpdateParams) -> EmptyResult:
        """Take answers to questions, of which our tasks ask none."""
        await self._find(context, params)
        return EmptyResult()

    async def _find(self, context: Context, params: TaskParams) -> Operation:
        if not is_modern(context):
            raise MCPError(METHOD_NOT_FOUND, "Method not found", context.method)
        if not takes_tasks(context):
            needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {EXTENSION: {}}}}
            raise MCPError(
                MISSING_REQUIRED_CLIENT_CAPABILITY,
                f"{context.method} needs the extension {EXTENSION}.",
                needed,
            )
        try:
            return await (await self._service()).operation(params.task_id)
        except OperationNotFound:
            raise MCPError(INVALID_PARAMS, "There is no task with that id.") from None

    def _working(self, operation: Operation, working: WorkingResult) -> Task:
        least, most = _POLL_WITHIN_S
        interval = min(max((working.expected_seconds or 0) / 10, least), most)
        return {
            **_state(operation, "working"),
            "statusMessage": self._message(working),
            "pollIntervalMs": int(interval * 1000),
        }

    def _message(self, working: WorkingResult) -> str:
        if working.operation_id in self._cancelled:
            return "The call was sent and may be billed, so it goes on; its picture is kept for get_result."
        expected = working.expected_seconds
        usual = f" of usually about {expected:.0f} s" if round(expected or 0) else ""
        phase = f"; {working.phase}" if working.phase else ""
        return f"{working.elapsed_seconds:.0f} s{usual}{phase}"


def _state(operation: Operation, status: str) -> Task:
    return {
        "taskId": operation.id,
        "status": status,
        "createdAt": _iso(operation.created_at),
        "lastUpdatedAt": _iso(operation.changed_at),
        "ttlMs": None,  # the journal keeps every operation
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
