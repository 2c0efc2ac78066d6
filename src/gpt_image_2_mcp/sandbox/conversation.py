"""Reading of a Responses request: who hosts it, what it asks for and which pictures it shows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from gpt_image_2_mcp.sandbox import errors
from gpt_image_2_mcp.sandbox.fields import Fields, kind_of
from gpt_image_2_mcp.sandbox.images import resolve_reference, stored_upload
from gpt_image_2_mcp.sandbox.inputs import Upload, from_data_url
from gpt_image_2_mcp.sandbox.options import Options, read_options
from gpt_image_2_mcp.sandbox.rules import MODEL_RULES, RESPONSES_DEFAULT_MODEL
from gpt_image_2_mcp.sandbox.state import SandboxState

_HOST: Final = re.compile(r"gpt-(?:4o|4\.1|[5-9])(?:[.-].*)?")
_OLD_HOSTS: Final = ("gpt-4o", "gpt-4.1")
_OLD_HOSTS_SHUTDOWN: Final = date(2027, 1, 14)

# The tool has no `n` and no `markup`.
TOOL_NAMES: Final = frozenset(
    {
        "type",
        "action",
        "model",
        "size",
        "quality",
        "background",
        "output_format",
        "output_compression",
        "moderation",
        "partial_images",
        "input_fidelity",
        "input_image_mask",
        "complexity",
        "frame_count",
        "frame_duration_ms",
        "svg",
    }
)


@dataclass(frozen=True)
class Context:
    """The last text of the user and every picture shown so far, oldest first."""

    prompt: str
    pictures: tuple[Upload, ...]


@dataclass(frozen=True)
class ToolCall:
    """The call of the image tool that a request leads to."""

    options: Options
    pictures: tuple[Upload, ...]
    mask: Upload | None

    @property
    def action(self) -> str:
        return "edit" if self.pictures else "generate"


def read_host(fields: Fields, today: date) -> str:
    """The top-level model, which must be a language model."""
    host = fields.text("model")
    if host is None:
        raise errors.missing("model")
    if host in MODEL_RULES:
        raise errors.invalid_value(
            "model", f"The requested model '{host}' is not supported with the Responses API."
        )
    if _HOST.fullmatch(host) is None:
        raise errors.model_not_found(host)
    if host.startswith(_OLD_HOSTS) and today >= _OLD_HOSTS_SHUTDOWN:
        raise errors.model_retired(host)
    return host


def read_tool(fields: Fields) -> Fields:
    """The image_generation tool's own fields."""
    tools = fields.value("tools")
    found = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    for tool in found:
        if tool.get("type") == "image_generation":
            values = Fields(tool)
            values.allow(TOOL_NAMES)
            return values
    raise errors.sandbox_refusal("a response without the image_generation tool", "tools")


def calls_the_tool(fields: Fields) -> bool:
    """Whether the host model, which the sandbox does not have, would call the tool.

    It does when the choice is left to it, and does not when another tool or none is chosen.
    """
    choice = fields.value("tool_choice")
    if isinstance(choice, dict):
        return choice.get("type") == "image_generation"
    return choice in (None, "auto", "required")


def read_context(fields: Fields, state: SandboxState) -> Context:
    """The request's input, after what the previous response made."""
    pictures: list[Upload] = []
    previous = fields.text("previous_response_id")
    if previous is not None:
        pictures.append(_previous_result(previous, state))
    given = fields.value("input")
    if isinstance(given, str):
        return Context(given, tuple(pictures))
    if not isinstance(given, list):
        raise (
            errors.missing("input")
            if given is None
            else errors.invalid_type("input", "an array", kind_of(given))
        )
    prompt = ""
    for index, item in enumerate(given):
        text, shown = _read_item(item, f"input[{index}]", state)
        prompt = text or prompt
        pictures.extend(shown)
    return Context(prompt, tuple(pictures))


def _previous_result(response_id: str, state: SandboxState) -> Upload:
    stored = state.results.get(response_id)
    if stored is None:
        raise errors.ApiError(
            400,
            f"Previous response with id '{response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return Upload("previous_response_id", stored.mimetype, stored.data)


def _read_item(item: object, param: str, state: SandboxState) -> tuple[str, list[Upload]]:
    """An input item's user text and pictures."""
    if not isinstance(item, dict):
        raise errors.invalid_type(param, "an object", kind_of(item))
    if item.get("type") == "image_generation_call":
        return "", [stored_upload(str(item.get("id")), f"{param}.id", state.results)]
    content = item.get("content")
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    if not isinstance(content, list):
        raise errors.invalid_type(f"{param}.content", "an array", kind_of(content))
    text, pictures = "", []
    for index, part in enumerate(content):
        fields = Fields(part if isinstance(part, dict) else {}, prefix=f"{param}.content[{index}].")
        kind = fields.text("type")
        if kind == "input_image":
            pictures.append(_input_image(fields, state))
        elif item.get("role", "user") == "user":
            text = fields.text("text") or text
    return text, pictures


def _input_image(fields: Fields, state: SandboxState) -> Upload:
    url, file_id = fields.text("image_url"), fields.text("file_id")
    if url is not None:
        return from_data_url(fields.path("image_url"), url)
    if file_id is None:
        raise errors.missing(fields.path("image_url"))
    return stored_upload(file_id, fields.path("file_id"), state.files)


def read_call(fields: Fields, tool: Fields, context: Context, state: SandboxState) -> ToolCall:
    """The tool's options checked, and the pictures it works on chosen by its action."""
    options = read_options(Fields(_as_images_request(fields, tool, context)), state.today())
    action = tool.choice("action", ("generate", "edit", "auto"), "auto")
    if action == "edit" and not context.pictures:
        raise errors.invalid_value("action", "Action 'edit' needs an image in the conversation.")
    pictures = () if action == "generate" else context.pictures
    reference = tool.value("input_image_mask")
    if reference is None:
        return ToolCall(options, pictures, None)
    if not pictures:
        raise errors.invalid_value("input_image_mask", "A mask needs an image to edit.")
    return ToolCall(options, pictures, resolve_reference(reference, "input_image_mask", state.files))


def _as_images_request(fields: Fields, tool: Fields, context: Context) -> Mapping[str, object]:
    """The tool's settings under the names the Images API has for them."""
    values = {
        name: value
        for name, value in tool.values.items()
        if name not in ("type", "action", "input_image_mask")
    }
    values.setdefault("model", RESPONSES_DEFAULT_MODEL)
    if isinstance(values.get("svg"), dict):
        values["svg"] = {"model": fields.value("model"), **tool.values["svg"]}  # type: ignore[dict-item]
    return {
        **values,
        "prompt": context.prompt,
        "mask": tool.value("input_image_mask"),
        # A GIF's lifecycle may be streamed here; only partial pictures make it a stream of pictures.
        "stream": fields.boolean("stream") and bool(tool.value("partial_images")),
    }
