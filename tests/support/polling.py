"""A client's side of the tasks extension."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import anyio
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.types import CallToolResult, Request, Result
from pydantic import ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from gpt_image_2_mcp.server.tasks import EXTENSION

OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class Created(Result):
    """A task that stands where a result would."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")
    result_type: Literal["task"] = "task"
    task_id: str


async def ask(session: Any, method: str, **params: Any) -> dict[str, Any]:
    request = Request[dict[str, Any], str](method=method, params=params)
    found: dict[str, Any] = await session.send_request(request, OBJECT)
    return found


@dataclass
class Polling(ClientExtension):
    """Takes tasks and polls them to their end, as a host does, though without waiting between polls."""

    identifier = EXTENSION
    created: list[Created] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    begun: anyio.Event = field(default_factory=anyio.Event)

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=Created, resolve=self._resolve)]

    async def _resolve(self, created: Created, context: ClaimContext) -> CallToolResult:
        self.created.append(created)
        while True:
            task = await ask(context.session, "tasks/get", taskId=created.task_id)
            self.seen.append(task)
            self.begun.set()
            if task["status"] == "completed":
                return CallToolResult.model_validate(task["result"])
            await anyio.sleep(0.01)
