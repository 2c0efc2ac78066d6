"""The tools as values: name, texts, arguments, result, hints, and the service method behind each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp.types import Tool, ToolAnnotations
from pydantic import BaseModel

from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.requests import (
    Arguments,
    ContinueSessionRequest,
    EditRequest,
    EndSessionRequest,
    GenerateRequest,
    GetResultRequest,
    ImportRequest,
    ListSessionsRequest,
    SpendingRequest,
    StartSessionRequest,
)
from gpt_image_2_mcp.results import (
    DryRunResult,
    EndSessionResult,
    ImageResult,
    ImportResult,
    ListSessionsResult,
    Pictured,
    SessionImageResult,
    SpendingResult,
    WorkingResult,
)
from gpt_image_2_mcp.schemas import input_schema, output_schema

if TYPE_CHECKING:
    from gpt_image_2_mcp.service import ImageService

Run = Callable[["ImageService", Any, Caller], Awaitable[BaseModel]]

# Each hint stands in every model's context, so those that say what the protocol takes for granted are left
# out (destructive, open to the world, not idempotent); whether a tool only reads is said always.
PAID: Final = ToolAnnotations(read_only_hint=False, destructive_hint=False)
"""Writes files and overwrites none."""
_READING: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool. `run` takes a request of the class `request` and gives a value of one of the `results`."""

    name: str
    title: str
    description: str
    request: type[Arguments]
    results: tuple[type[BaseModel], ...]
    run: Run
    annotations: ToolAnnotations

    @property
    def shows_pictures(self) -> bool:
        return any(issubclass(result, Pictured) for result in self.results)

    def listing(self, *, hides_images: bool = False, local_paths: bool = True) -> Tool:
        """As a client is told of it. An output schema obliges us to structured content, so where that hides
        pictures the tools that show some have none. Without `local_paths` only what is taken then is offered.
        """
        described = not (hides_images and self.shows_pictures)
        schema = input_schema(self.request)
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=schema if local_paths else _without_paths(schema),
            output_schema=_outlined(output_schema(*self.results)) if described else None,
            annotations=self.annotations,
        )


_FOR_THE_NEXT_CALL: Final = frozenset({"status", "operation_id", "session_id", "images", "sessions", "ended"})
"""Results hold more, and docs/tools.md says what: these schemas too stand in every model's context."""


def _outlined(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {name: rule for name, rule in schema["properties"].items() if name in _FOR_THE_NEXT_CALL}
    required = [name for name in schema.get("required", ()) if name in properties]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


_REMOTE_INPUTS: Final = {
    "images": "Pictures to edit or combine: https:// or data: URL, image://id of an earlier result, latest. "
    "PNG, JPEG, WebP, each < 50 MB.",
    "source": "https:// or data: URL.",
}


def _without_paths(schema: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a client on another machine, which has no folders and no clipboard here."""
    properties = {name: rule for name, rule in schema["properties"].items() if name != "output_dir"}
    for name in properties.keys() & _REMOTE_INPUTS.keys():
        properties[name] = {**properties[name], "description": _REMOTE_INPUTS[name]}
    return {**schema, "properties": properties}


TOOLS: Final = (
    ToolSpec(
        "generate_image",
        "Generate image",
        "Make a new picture from a text prompt with OpenAI's GPT Image model. It is saved to disk and shown. "
        "To change a picture that exists, use edit_image; to change it step by step, start_edit_session. "
        "Costs money: low quality $0.006, high $0.21 for 1024x1024.",
        GenerateRequest,
        (ImageResult, WorkingResult, DryRunResult),
        lambda service, request, caller: service.generate(request, caller),
        PAID,
    ),
    ToolSpec(
        "edit_image",
        "Edit image",
        "Change one picture or combine up to 16 reference pictures by a text prompt, once; a mask limits the "
        "change to a region of the first. The result is a new file; inputs stay as they are. Costs money.",
        EditRequest,
        (ImageResult, WorkingResult, DryRunResult),
        lambda service, request, caller: service.edit(request, caller),
        PAID,
    ),
    ToolSpec(
        "start_edit_session",
        "Start edit session",
        "First turn of a step-by-step edit: like edit_image, and returns a session_id for "
        "continue_edit_session, whose turns each work on the last result. Costs money.",
        StartSessionRequest,
        (SessionImageResult, WorkingResult, DryRunResult),
        lambda service, request, caller: service.start_session(request, caller),
        PAID,
    ),
    ToolSpec(
        "continue_edit_session",
        "Continue edit session",
        "Next turn of an edit session: changes its last picture. Say what to change and what to keep. "
        "Options left out stay as the session has them. Costs money.",
        ContinueSessionRequest,
        (SessionImageResult, WorkingResult, DryRunResult),
        lambda service, request, caller: service.continue_session(request, caller),
        PAID,
    ),
    ToolSpec(
        "get_result",
        "Get result",
        'Collect a picture that a tool answered "still working" for, or see how it stands, by its '
        "operation_id. Free; never makes a picture again.",
        GetResultRequest,
        (SessionImageResult, WorkingResult),
        lambda service, request, caller: service.get_result(request, caller),
        _READING,
    ),
    ToolSpec(
        "import_image",
        "Import image",
        "See a user's picture (pasted, copied, screenshot, download) and give it a lasting image://id for "
        "edits: a copy without metadata. Free.",
        ImportRequest,
        (ImportResult,),
        lambda service, request, caller: service.import_image(request, caller),
        ToolAnnotations(read_only_hint=False, destructive_hint=False),
    ),
    ToolSpec(
        "end_edit_session",
        "End edit session",
        "Forget an edit session; its pictures stay on disk. Free.",
        EndSessionRequest,
        (EndSessionResult,),
        lambda service, request, caller: service.end_session(request, caller),
        ToolAnnotations(read_only_hint=False, idempotent_hint=True, open_world_hint=False),
    ),
    ToolSpec(
        "list_edit_sessions",
        "List edit sessions",
        "The active edit sessions with their last picture and prompt, the latest first. Free.",
        ListSessionsRequest,
        (ListSessionsResult,),
        lambda service, request, caller: service.list_sessions(request, caller),
        _READING,
    ),
    ToolSpec(
        "get_spending",
        "Get spending",
        "Money spent on pictures, and what is left of the budgets. Free.",
        SpendingRequest,
        (SpendingResult,),
        lambda service, request, caller: service.spending(request, caller),
        ToolAnnotations(read_only_hint=True, open_world_hint=False),
    ),
)
