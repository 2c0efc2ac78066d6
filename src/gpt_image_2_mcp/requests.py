"""The tools' arguments: one declaration for validation, schema, API names and command-line flags."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Final, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from gpt_image_2_mcp.budgets import By
from gpt_image_2_mcp.capabilities import (
    MAX_FRAME_MS,
    MAX_INPUT_IMAGES,
    MAX_PARTIALS,
    MAX_PICTURES,
    PROMPT_MAX_CHARS,
    Background,
    Complexity,
    Fidelity,
    Moderation,
    OutputFormat,
    PixelFormat,
    Quality,
    SvgEffort,
)
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.showing import Inline
from gpt_image_2_mcp.sizes import MAX_FRAMES, MIN_FRAMES, Size

_TOLD: Final = 4
_MOST_NAMES: Final = 64
_LONGEST_SIZE: Final = 40
_LONGEST_PLACE: Final = 5_000
"""Characters; nothing that a client writes around a path or URL makes it longer."""
_MOST_COMMAS: Final = 1000
"""In a list of pictures that comes as JSON text; one with more is taken for a strange file name."""

# What language models really send is put right where it can mean only one thing (November 2026: strings for
# numbers, upper case, `jpg`, one string for a list, a list as JSON text, null and "" for "not set").


def _plain_number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a whole number, not true or false")
    return value.strip() if isinstance(value, str) else value


def _plain_amount(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be an amount, not true or false")
    amount = value.strip().removeprefix("$") if isinstance(value, str) else value
    if str(amount).lower().lstrip("+-") in ("inf", "infinity", "nan"):
        raise ValueError("must be an amount, such as 0.25")
    return amount


def _flag(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    return value


def _word(value: object) -> object:
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    return "jpeg" if word == "jpg" else word


def _size(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be text: `auto` or WIDTHxHEIGHT, such as 1536x1024")
    given = value.strip().lower()[:_LONGEST_SIZE]  # the pattern takes quadratic time for white space
    text = re.sub(r"\s*[x\u00d7*]\s*", "x", given)
    if text != "auto" and Size.parse(text) is None:
        raise ValueError("must be `auto` or WIDTHxHEIGHT in pixels, such as 1536x1024")
    return text


# As chat clients tell their models where a pasted picture is (Claude Code, October 2026).
_SHOWN: Final = re.compile(r"\[image:\s*source:", re.IGNORECASE)
_BETWEEN: Final = " \t\r\n,"
_QUOTES: Final = {'"': '"', "'": "'", "`": "`", "<": ">"}


def _shown(text: str) -> list[str]:
    """The places in `[Image: source: PLACE]`, once or more; none if the text says anything else."""
    before, *places = (part.strip(_BETWEEN) for part in _SHOWN.split(text))
    found = [place[:-1].strip() for place in places if place.endswith("]")]
    return found if not before and all(found) and len(found) == len(places) else []


def _source(value: object) -> object:
    if not isinstance(value, str) or value[:5].lower() == "data:" or len(value) > _LONGEST_PLACE:
        return value
    text, around = value.strip(), ""
    while text != around:
        around = text
        shown = _shown(text)
        quoted = len(text) > 2 and _QUOTES.get(text[0]) == text[-1]
        text = shown[0] if len(shown) == 1 else text[1:-1].strip() if quoted else text
    return text


def _list(value: object) -> object:
    if not isinstance(value, str):
        return value
    if shown := _shown(value):
        return shown
    if value.lstrip().startswith("[") and value.count(",") < _MOST_COMMAS:
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return [value]
        return parsed if isinstance(parsed, list) else [value]
    return [value]


def _model_id(text: str) -> str:
    if not re.fullmatch(r"[\w.:/@-]+", text, re.ASCII):
        raise ValueError("must be a model's id, such as gpt-image-2")
    return text


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must say something")
    return text


# Stand last in an annotation: behind a validator pydantic says bounds in the schema by names of its own.
def _single(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


Source = Annotated[str, Field(min_length=1), BeforeValidator(_source)]
"""Where a picture is, without what clients and models write around it."""

Whole = BeforeValidator(_plain_number)
Word = BeforeValidator(_word)
_RENAMED: Final = {"user": "safety_identifier"}
"""Arguments of the original that the API has another name for now."""


class Arguments(BaseModel):
    """Base of every request: frozen, unknown names refused, null and "" taken as "not set"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        given = {name: value for name, value in data.items() if value is not None and value != ""}
        for old, new in _RENAMED.items():
            if old in given and new in cls.model_fields and new not in given:
                given[new] = given.pop(old)
        return given


class PictureOptions(Arguments):
    """What every picture can be asked to be."""

    size: Annotated[str, BeforeValidator(_size)] | None = Field(
        default=None,
        description="`auto` or WIDTHxHEIGHT, such as 1536x1024.",
    )
    quality: Annotated[Quality, Word] | None = Field(
        default=None,
        description="low: drafts; high: small text, costs far more. xhigh, max: gpt-image-2.5 on.",
    )
    background: Annotated[Background, Word] | None = Field(
        default=None,
        description="transparent: png, webp; gpt-image-2 may refuse it, 2.5 on not.",
    )
    output_compression: Annotated[int, Field(ge=0, le=100), Whole] | None = Field(
        default=None, description="For jpeg and webp: 100 best."
    )
    complexity: Annotated[Complexity, Word] | None = Field(
        default=None, description="Planning effort; gpt-image-2.6 on."
    )
    moderation: Annotated[Moderation, Word] | None = Field(default=None, description="low filters less.")
    safety_identifier: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="End user's hashed id."
    )


class FidelityOption(Arguments):
    input_fidelity: Annotated[Fidelity, Word] | None = Field(default=None, description="gpt-image-1.5 only.")


class TurnOptions(FidelityOption, PictureOptions):
    """What one turn of a session can set; a turn that leaves one out keeps the session's.

    Formats are those that the next turn can take in.
    """

    output_format: Annotated[PixelFormat, Word] | None = Field(default=None, description="png if never set.")


class FormatOptions(Arguments):
    """What a single picture is stored as, and what goes with the formats that move or are drawn in lines."""

    output_format: Annotated[OutputFormat, Word] | None = Field(
        default=None, description="gif (moves), svg: gpt-image-2.6. Default png."
    )
    frame_count: Annotated[int, Field(ge=MIN_FRAMES, le=MAX_FRAMES), Whole] | None = Field(
        default=None, description="Of a gif; default 9."
    )
    frame_duration_ms: Annotated[int, Field(ge=1, le=MAX_FRAME_MS), Whole] | None = Field(
        default=None, description="Of a gif; default 200."
    )
    svg_model: Annotated[str, Field(max_length=100), AfterValidator(_model_id)] | None = Field(
        default=None, description="Text model that writes the svg."
    )
    svg_reasoning_effort: Annotated[SvgEffort, Word] | None = Field(default=None, description="Of svg_model.")


class ModelOption(Arguments):
    model: Annotated[str, Field(max_length=100), AfterValidator(_model_id)] | None = Field(
        default=None, description="Default gpt-image-2."
    )


class CountOption(Arguments):
    n: Annotated[int, Field(ge=1, le=MAX_PICTURES), Whole] | None = Field(
        default=None, description="How many pictures; each one is billed. Default 1."
    )


class PartialOption(Arguments):
    partial_images: Annotated[int, Field(ge=0, le=MAX_PARTIALS), Whole] | None = Field(
        default=None, description="Previews of one picture, +100 tokens each."
    )


class RenderOptions(FidelityOption, PartialOption, CountOption, ModelOption, FormatOptions, PictureOptions):
    """Everything that goes to the API beside prompt and pictures, under the API's own names; `svg_model` and
    `svg_reasoning_effort` stand for its `svg`.
    """


class Prompted(Arguments):
    prompt: Annotated[str, AfterValidator(_not_blank)] = Field(
        min_length=1,
        max_length=PROMPT_MAX_CHARS,
        description="What the picture should show, or what to change and what to keep; quote text.",
    )


class Named(Arguments):
    filename_prefix: Annotated[str, Field(max_length=60)] | None = Field(
        default=None, description="Label in the file name."
    )


class Shown(Arguments):
    """How the result is shown to the model; no part of what is made."""

    inline: Annotated[Inline, Word] | None = Field(
        default=None, description="Picture in the answer: small, whole, path only."
    )


class Placed(Arguments):
    output_dir: Annotated[str, Field(max_length=4096)] | None = Field(
        default=None,
        description="Folder to save in.",
    )


class Sourced(Arguments):
    images: Annotated[list[Source], BeforeValidator(_list)] = Field(
        min_length=1,
        max_length=MAX_INPUT_IMAGES,
        description="Pictures to edit or combine: path, https:// URL, image://id of an earlier result, "
        "latest, clipboard, latest:screenshot, latest:download, OpenAI file id. PNG, JPEG, WebP; never type "
        "base64.",
    )
    mask: Annotated[Source, BeforeValidator(_single)] | None = Field(
        default=None,
        description="PNG as large as the first image; fully transparent pixels mark what to change.",
    )
    markup: Annotated[Source, BeforeValidator(_single)] | None = Field(
        default=None,
        description="Instead of a mask: transparent PNG of that size with notes on it; gpt-image-2.5 on.",
    )


class Paid(Arguments):
    """What a caller wants to know and settle of the price, before anything is sent."""

    dry_run: Annotated[bool, BeforeValidator(_flag)] | None = Field(
        default=None, description="Check and estimate only: free."
    )
    max_cost_usd: (
        Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False), BeforeValidator(_plain_amount)] | None
    ) = Field(default=None, description="Most that the user agreed to pay.")


class _Picked(Arguments):
    session_id: str = Field(
        min_length=1, max_length=200, description="The id that start_edit_session returned."
    )


# pydantic collects fields from the last base to the first, so the order in the schema is read from the right.


class GenerateRequest(
    Shown,
    Paid,
    Named,
    Placed,
    PartialOption,
    CountOption,
    ModelOption,
    FormatOptions,
    PictureOptions,
    Prompted,
):
    """Arguments of generate_image."""


class EditingRequest(Shown, Paid, Named, Placed, PartialOption, ModelOption, Sourced, Prompted):
    """What a first edit takes, whether more follow or not."""


class EditRequest(CountOption, FormatOptions, FidelityOption, PictureOptions, EditingRequest):
    """Arguments of edit_image."""


class StartSessionRequest(TurnOptions, EditingRequest):
    """Arguments of start_edit_session."""


class ContinueSessionRequest(Shown, Paid, Named, PartialOption, TurnOptions, Prompted, _Picked):
    """Arguments of continue_edit_session."""


class ImportRequest(Arguments):
    """Arguments of import_image."""

    source: Annotated[Source, BeforeValidator(_single)] = Field(
        description="path, https:// URL, clipboard, latest:screenshot, latest:download, or the chat's "
        "[Image: source: PATH]."
    )


class EndSessionRequest(_Picked):
    """Arguments of end_edit_session."""


class GetResultRequest(Shown):
    """Arguments of get_result."""

    operation_id: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="The id that a tool returned; left out: the latest call."
    )
    wait_seconds: Annotated[int, Field(ge=0, le=600), Whole] | None = Field(
        default=None, description="How long to wait at most, within the server's own limit; 0 to look only."
    )


class SpendingRequest(Arguments):
    """Arguments of get_spending."""

    by: Annotated[By, Word] | None = Field(default=None, description="How to split this month.")


class ListSessionsRequest(Arguments):
    """Arguments of list_edit_sessions: none."""


R = TypeVar("R", bound=Arguments)


def parse_arguments(request: type[R], arguments: object) -> R:
    """Validate a call's arguments.

    Raises:
        InvalidRequest: names each wrong argument and the rule it breaks; values are not repeated, save words
            that are not among an option's choices.
    """
    if isinstance(arguments, Mapping) and len(arguments) > _MOST_NAMES:  # pydantic would tell of each
        unknown = (name for name in arguments if name not in request.model_fields)
        problems = [_unknown_argument(request, name) for name in islice(unknown, _TOLD)]
        raise _refusal(problems, len(arguments) - _TOLD)
    try:
        return request.model_validate(arguments)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems = list(dict.fromkeys(_problem(request, detail) for detail in details))
        raise _refusal(problems[:_TOLD], len(problems) - _TOLD) from None


def _refusal(shown: list[str], rest: int) -> InvalidRequest:
    text = "; ".join(shown) + (f"; and {rest} more" if rest > 0 else "")
    return InvalidRequest(f"{text[0].upper()}{text[1:]}.")


def _problem(request: type[Arguments], detail: ErrorDetails) -> str:
    if not detail["loc"]:
        return "The arguments must be an object of names and values"
    name = str(detail["loc"][0])
    if detail["type"] == "extra_forbidden":
        return _unknown_argument(request, name)
    entry = f"`{name}`" if len(detail["loc"]) == 1 else f"`{name}` entry {int(detail['loc'][1]) + 1}"
    return f"{entry} {_broken_rule(detail)}"


def _unknown_argument(request: type[Arguments], name: str) -> str:
    if (new := _RENAMED.get(name)) in request.model_fields:
        return f"`{name}` is the old name of `{new}`, and both are given"
    known, name = list(request.model_fields), name[:40]
    shown = re.sub(r"[^\w.-]", "?", name, flags=re.ASCII)
    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    if near:
        return f"there is no argument `{shown}` (did you mean `{near[0]}`?)"
    return f"there is no argument `{shown}`" + (f", only {', '.join(known)}" if known else ": it takes none")


_RULES: Final = {
    "missing": "is required",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_long": "must be at most {max_length:,} characters long",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "string_unicode": "must be valid Unicode text",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "float_parsing": "must be an amount, such as 0.25",
    "float_type": "must be an amount, such as 0.25",
    "list_type": "must be a list",
    "too_short": "needs at least {min_length} entry",
    "too_long": "takes at most {max_length} entries, not {actual_length}",
}


def _broken_rule(detail: ErrorDetails) -> str:
    limits = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return str(limits["error"])
    if detail["type"] == "literal_error":
        return f"must be one of {_choices(limits['expected'])}{_instead_of(detail['input'])}"
    return _RULES.get(detail["type"], "must be a whole number").format(**limits)


def _choices(expected: str) -> str:
    return ", ".join(re.findall(r"'([^']*)'", expected))


def _instead_of(value: object) -> str:
    return f", not {value[:40]!r}" if isinstance(value, str) else ""
