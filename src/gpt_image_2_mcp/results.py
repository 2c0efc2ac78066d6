"""Results as clients see them: the original server's, key for key; keys may be added and none dropped."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from gpt_image_2_mcp.models import AppliedOptions, Route, SvgUsage, Usage


class Result(BaseModel):
    model_config = ConfigDict(frozen=True)


class RequestedOptions(Result):
    size: str
    quality: str
    n: int
    format: str


class ImageFile(Result):
    """Edges are null for a drawing (SVG); an animation has its frames and how long they last."""

    id: str
    file_path: str
    filename: str
    size_bytes: int
    mime_type: str
    width: int | None
    height: int | None
    frames: int | None = Field(default=None, exclude_if=lambda value: value is None)
    duration_ms: int | None = Field(default=None, exclude_if=lambda value: value is None)


class WorkingResult(Result):
    """A call that is still under way: how to collect it, and what to expect, in seconds."""

    status: Literal["working"] = "working"
    operation_id: str
    elapsed_seconds: float
    expected_seconds: float | None
    phase: str = Field(default="", exclude_if=lambda value: not value)


# Tools list these schemas into every model's context: the inside of objects is in docs/tools.md.
_OPEN: Final = {"type": "object"}
_PICTURES: Final = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"id": {"type": "string"}, "file_path": {"type": "string"}},
    },
}


class ImageResult(Result):
    status: Literal["done"] = "done"
    operation_id: str
    model: str
    prompt: str
    requested: Annotated[RequestedOptions, WithJsonSchema(_OPEN)]
    applied: Annotated[AppliedOptions, WithJsonSchema(_OPEN)]
    images: Annotated[list[ImageFile], WithJsonSchema(_PICTURES)]
    usage: Usage | None
    svg_usage: Annotated[SvgUsage | None, WithJsonSchema(_OPEN)] = Field(
        default=None, exclude_if=lambda value: value is None
    )
    cost_usd_estimated: float | None
    route: Route | None = Field(default=None, exclude_if=lambda value: value is None)
    note: str | None = Field(default=None, exclude_if=lambda value: value is None)
    sandbox: bool = Field(default=False, exclude_if=lambda value: not value)


class SessionImageResult(ImageResult):
    session_id: str
    turn: int


class CostEstimate(Result):
    """US dollars; `caveats` say why it is a range, or what it leaves out."""

    least_usd: float
    expected_usd: float
    most_usd: float
    caveats: list[str]


class OutlinedRequest(Result):
    """A request as it would go to the API, without the bytes of pictures; `path` counts from the base URL."""

    method: str
    path: str
    body: dict[str, object]
    files: list[dict[str, object]]


class DryRunResult(Result):
    """What a call would have sent and cost; nothing was sent."""

    status: Literal["dry_run"] = "dry_run"
    model: str
    estimate: CostEstimate | None
    request: Annotated[OutlinedRequest, WithJsonSchema(_OPEN)]
    note: str | None = Field(default=None, exclude_if=lambda value: value is None)
    sandbox: bool = Field(default=False, exclude_if=lambda value: not value)


class ImportResult(Result):
    """A picture from elsewhere, and where it was found."""

    status: Literal["done"] = "done"
    operation_id: str
    images: Annotated[list[ImageFile], WithJsonSchema(_PICTURES)]
    source: str
    note: str | None = Field(default=None, exclude_if=lambda value: value is None)


Pictured = ImageResult | ImportResult
"""What has pictures to show."""


class EndSessionResult(Result):
    ended: bool
    session_id: str


class SessionSummary(Result):
    session_id: str
    created_at: str
    updated_at: str
    turns: int
    last_prompt: str
    last_image_path: str


class PeriodSpending(Result):
    """What was spent by one run of the server, in a day, in a month or in all, and what is left of its limit.

    `unknown` is charged for calls whose outcome is not known, `reserved` for those under way.
    """

    period: Literal["session", "day", "month", "total"]
    since: str | None
    renews_at: str | None
    calls: int
    spent_usd: float
    reserved_usd: float
    unknown_usd: float
    limit_usd: float | None
    left_usd: float | None


class GroupSpending(Result):
    name: str
    calls: int
    spent_usd: float
    reserved_usd: float
    unknown_usd: float


class SpendingResult(Result):
    """What was spent, and of it the calls since a moment by day, model, session or project."""

    periods: Annotated[list[PeriodSpending], WithJsonSchema({"type": "array"})]
    groups: SkipJsonSchema[list[GroupSpending]]
    by: SkipJsonSchema[str]
    since: SkipJsonSchema[str]
    call_limit_usd: SkipJsonSchema[float | None] = Field(default=None, exclude_if=lambda value: value is None)
    note: SkipJsonSchema[str | None] = Field(default=None, exclude_if=lambda value: value is None)
    sandbox: SkipJsonSchema[bool] = Field(default=False, exclude_if=lambda value: not value)


_SESSIONS: Final = {
    "type": "array",
    "items": {"type": "object", "properties": {"session_id": {"type": "string"}}},
}


class ListSessionsResult(Result):
    """The latest used first. `total` is there where not all are listed."""

    sessions: Annotated[list[SessionSummary], WithJsonSchema(_SESSIONS)]
    total: SkipJsonSchema[int | None] = Field(default=None, exclude_if=lambda value: value is None)
