"""The endpoint responses, for its image_generation tool alone."""

from collections.abc import AsyncIterator, Mapping

import pybase64
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gpt_image_2_mcp.sandbox import errors, rules
from gpt_image_2_mcp.sandbox.bodies import read_json
from gpt_image_2_mcp.sandbox.conversation import (
    ToolCall,
    calls_the_tool,
    read_call,
    read_context,
    read_host,
    read_tool,
)
from gpt_image_2_mcp.sandbox.events import Event, event_response
from gpt_image_2_mcp.sandbox.fields import Fields
from gpt_image_2_mcp.sandbox.inputs import open_inputs
from gpt_image_2_mcp.sandbox.job import NOT_BASE64, Job, rendered, rendered_steps
from gpt_image_2_mcp.sandbox.moderation import judge
from gpt_image_2_mcp.sandbox.response_object import Turn
from gpt_image_2_mcp.sandbox.shelf import StoredFile
from gpt_image_2_mcp.sandbox.state import SandboxState, count_pictures, fault_of, new_id, request_id, state_of

NO_HOST = "This is a sandbox without a language model; the image tool was not called."


async def create_response(request: Request) -> Response:
    """POST responses."""
    fields, state = await read_json(request), state_of(request)
    turn = await _turn(request, fields)
    if turn.job is not None and turn.refusal is None:
        count_pictures(request, turn.job.options.model, 1)
    if fields.boolean("stream"):
        return event_response(_numbered(_events(turn, state)), cut=turn.fault == "stream_cut")
    return JSONResponse(turn.envelope("completed", await _output(turn, state)))


async def _turn(request: Request, fields: Fields) -> Turn:
    """Every check of the request."""
    state = state_of(request)
    if fields.value("background"):
        raise errors.sandbox_refusal("background responses", "background")
    host = read_host(fields, state.today())
    tool = read_tool(fields)
    context = read_context(fields, state)
    call = read_call(fields, tool, context, state) if calls_the_tool(fields) else None
    verdict = judge(context.prompt)
    return Turn(
        response_id=new_id("resp_"),
        item_id=new_id("ig_"),
        created_at=state.now(),
        host=host,
        fields=fields,
        prompt=context.prompt,
        action="generate" if call is None else call.action,
        job=None if call is None else await _job(call, state),
        fault=fault_of(request),
        refusal=None if verdict is None else verdict.error(request_id(request)),
    )


async def _job(call: ToolCall, state: SandboxState) -> Job:
    if not call.pictures:
        return Job(call.options, None, state.seed)
    if len(call.pictures) > rules.IMAGES_MAX:
        raise errors.too_many_images(rules.IMAGES_MAX, len(call.pictures))
    inputs = await run_sync(open_inputs, call.pictures, call.mask, None, limiter=state.painters)
    return Job(call.options, inputs, state.seed)


async def _output(turn: Turn, state: SandboxState) -> list[Mapping[str, object]]:
    """The output items of an answer that is not streamed."""
    if turn.fault == "empty":
        return []
    if turn.job is None:
        return [_message()]
    if turn.refusal is not None:
        return [turn.item("failed", None)]
    return [_finished(turn, turn.job, await rendered(turn.job, 0, state.painters), state)]


def _finished(turn: Turn, job: Job, result: str, state: SandboxState) -> Mapping[str, object]:
    """The call's item with its result, which is remembered so that a later turn can build on it."""
    data, mimetype = pybase64.b64decode(result), f"image/{job.options.output_format}"
    for name in (turn.item_id, turn.response_id):
        state.results.put(StoredFile(name, data, mimetype=mimetype))
    return turn.item("completed", NOT_BASE64 if turn.fault == "bad_base64" else result)


def _message() -> dict[str, object]:
    return {
        "id": new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": NO_HOST, "annotations": [], "logprobs": []}],
    }


async def _numbered(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    number = 0
    async for event in events:
        yield Event(event.type, {"sequence_number": number, **event.data})
        number += 1


async def _events(turn: Turn, state: SandboxState) -> AsyncIterator[Event]:
    """The life of a streamed response."""
    for name in ("created", "in_progress"):
        yield Event(f"response.{name}", {"response": turn.envelope("in_progress", [])})
    partials: list[str] = []
    if turn.made and turn.job is not None and turn.job.options.partial_images:
        *partials, result = await rendered_steps(turn.job, 0, state.painters)
        output = [_finished(turn, turn.job, result, state)]
    else:
        output = await _output(turn, state)
    for index, item in enumerate(output):
        async for event in _item_events(turn, index, item, partials):
            yield event
        if turn.fault == "stream_error":
            yield Event(
                "error", {"code": "server_error", "message": "Image generation failed", "param": None}
            )
            return
    yield Event("response.completed", {"response": turn.envelope("completed", output)})


async def _item_events(
    turn: Turn, index: int, item: Mapping[str, object], partials: list[str]
) -> AsyncIterator[Event]:
    """An output item as it is added, worked on and done."""
    started = turn.item("in_progress", None) if turn.job else {**item, "status": "in_progress", "content": []}
    yield Event("response.output_item.added", {"output_index": index, "item": started})
    if turn.job is not None:
        place = {"output_index": index, "item_id": turn.item_id}
        for name in ("in_progress", "generating"):
            yield Event(f"response.image_generation_call.{name}", place)
        for number, partial in enumerate(partials):
            yield Event(
                "response.image_generation_call.partial_image",
                {
                    **place,
                    "partial_image_index": number,
                    "partial_image_b64": partial,
                    **turn.job.settings(),
                },
            )
        if turn.fault == "stream_error":
            return
        yield Event("response.image_generation_call.completed", place)
    yield Event("response.output_item.done", {"output_index": index, "item": item})
