"""Says a result in words: every fact of the structured content, for clients that show only the text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from gpt_image_2_mcp.budgets import usd
from gpt_image_2_mcp.models import SvgUsage, Usage
from gpt_image_2_mcp.picture_names import address_of
from gpt_image_2_mcp.pricing import MICRO, format_range
from gpt_image_2_mcp.redaction import clean, one_line
from gpt_image_2_mcp.results import (
    DryRunResult,
    EndSessionResult,
    GroupSpending,
    ImageFile,
    ImageResult,
    ImportResult,
    ListSessionsResult,
    PeriodSpending,
    SessionImageResult,
    SpendingResult,
    WorkingResult,
)


def summarize(result: BaseModel, remarks: Sequence[str] = ()) -> str:
    """The text block of a tool result; `remarks` say how each picture is shown, where that is to be said."""
    match result:
        case ImageResult():
            return _pictures(result, remarks)
        case ImportResult():
            return _import(result, remarks)
        case DryRunResult():
            return _rehearsal(result)
        case WorkingResult():
            return _working(result)
        case EndSessionResult(ended=True):
            return f"Ended session {clean(result.session_id, 200)}; its pictures stay on disk."
        case EndSessionResult():
            return f"Session {clean(result.session_id, 200)} was not active; nothing to do."
        case ListSessionsResult():
            return _sessions(result)
        case SpendingResult():
            return _spending(result)
        case _:
            return result.model_dump_json()


def _pictures(result: ImageResult, remarks: Sequence[str]) -> str:
    count = len(result.images)
    applied = result.applied.model_dump(exclude_none=True)
    settings = ", ".join(f"{name}={clean(value, 40)}" for name, value in applied.items())
    label = "sandbox picture" if result.sandbox else "picture"
    lines = [
        f"Made {count} {label}{'' if count == 1 else 's'} with {clean(result.model, 100)}.",
        f"- Applied: {settings}",
        f"- Saved to: {one_line(str(Path(result.images[0].file_path).parent))}",
        *_files(result.images, remarks),
    ]
    if result.usage:
        lines.append(f"- Tokens: {_tokens(result.usage)}")
    if result.cost_usd_estimated is not None:
        what = "Would have cost (sandbox, nothing was billed)" if result.sandbox else "Estimated cost"
        lines.append(f"- {what}: ${result.cost_usd_estimated:.4f}")
    if result.svg_usage:
        lines.append(_authored(result.svg_usage))
    if isinstance(result, SessionImageResult):
        lines.append(f"- Session: {result.session_id}, turn {result.turn}")
    if result.route:
        lines.append("- Route: the Responses API instead of the edits endpoint")
    if result.note:
        lines.append(f"- Note: {clean(result.note, 1000)}")
    if result.sandbox:
        lines.append("- Sandbox: drawn on this machine, no model was called")
    return "\n".join(lines)


def _rehearsal(result: DryRunResult) -> str:
    lines = [f"Nothing was sent. This call to {clean(result.model, 100)} is in order."]
    known = result.estimate
    if known is None:
        lines.append("- Cost: not known beforehand for this model")
    else:
        micro = (round(amount * MICRO) for amount in (known.least_usd, known.expected_usd, known.most_usd))
        lines.append(f"- Expected cost: {format_range(*micro, wide=bool(known.caveats))}")
        lines += (f"- Mind: {caveat}" for caveat in known.caveats)
    request = result.request
    lines.append(f"- Request: {request.method} {request.path} {json.dumps(request.body, ensure_ascii=False)}")
    lines += (
        f"  - {file['field']}: {file['filename']}, {file['size_bytes']} bytes" for file in request.files
    )
    if result.note:
        lines.append(f"- Note: {clean(result.note, 1000)}")
    return "\n".join(lines)


def _files(images: Sequence[ImageFile], remarks: Sequence[str]) -> Iterator[str]:
    for image, remark in zip(images, (*remarks, *[""] * len(images)), strict=False):
        facts = f"{_bytes(image.size_bytes)}, {_extent(image)}, id {image.id}"
        yield f"  - {one_line(image.file_path)} ({facts}{'; ' if remark else ''}{remark})"


def _extent(image: ImageFile) -> str:
    """How large a picture is, and how long."""
    if image.width is None:
        return "SVG drawing"
    moving = f", {image.frames} frames in {(image.duration_ms or 0) / 1000:g} s" if image.frames else ""
    return f"{image.width}x{image.height}{moving}"


def _import(result: ImportResult, remarks: Sequence[str]) -> str:
    ids = ", ".join(address_of(image.id) for image in result.images)
    return "\n".join(
        [
            f"Imported {clean(result.source, 300)} as {ids}.",
            "- Saved to:",
            *_files(result.images, remarks),
            *([f"- Note: {clean(result.note, 1000)}"] if result.note else []),
        ]
    )


def _working(result: WorkingResult) -> str:
    expected = result.expected_seconds
    usual = f"; such a picture usually takes about {expected:.0f} s" if round(expected or 0) else ""
    phase = f" It is {result.phase}." if result.phase else ""
    return (
        f"Still working: {result.elapsed_seconds:.0f} s so far{usual}.{phase} Collect it with get_result, "
        f"operation_id {result.operation_id}. Do not call the tool again: that would make and bill another."
    )


def _bytes(count: int) -> str:
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024**2 else f"{count / 1024**2:.2f} MiB"


def _tokens(usage: Usage) -> str:
    details = usage.input_tokens_details
    split = f" (text={details.text_tokens}, image={details.image_tokens})" if details else ""
    return f"input={usage.input_tokens}{split}, output={usage.output_tokens}, total={usage.total_tokens}"


def _authored(usage: SvgUsage) -> str:
    author = f"- SVG author {clean(usage.model, 100)}: {usage.total_tokens} tokens"
    return f"{author}, billed in addition at that model's rate (not in the estimate)"


def _sessions(result: ListSessionsResult) -> str:
    if not result.sessions:
        return "No active edit sessions."
    lines = [
        f'{number}. {s.session_id}: {s.turns} turn(s), "{clean(s.last_prompt, 60)}"'
        f" -> {one_line(s.last_image_path)}"
        for number, s in enumerate(result.sessions, start=1)
    ]
    which = f"{result.total:,}, of which these {len(lines):,} were used last" if result.total else len(lines)
    return "\n".join([f"Active sessions ({which}):", *lines])


_PERIODS: Final = {"session": "This server run", "day": "Today", "month": "This month", "total": "In total"}


def _spending(result: SpendingResult) -> str:
    lines = [_period(period) for period in result.periods]
    if result.call_limit_usd is not None:
        lines.append(f"- One call may cost {_usd(result.call_limit_usd)}")
    lines += [f"By {result.by} since {result.since[:10]}:"] if result.groups else []
    lines += [
        f"- {one_line(group.name)}: {group.calls} call(s), {_charged(group)}" for group in result.groups
    ]
    if result.note:
        lines.append(f"Note: {result.note}")
    if result.sandbox:
        lines.append("Sandbox: nothing of this was billed")
    return "\n".join(["Spent (days and months of UTC):", *lines])


def _period(period: PeriodSpending) -> str:
    left = ""
    if period.limit_usd is not None and period.left_usd is not None:
        again = f", whole again at {period.renews_at[:16]}Z" if period.renews_at else ""
        left = f"; {_usd(period.left_usd)} of {_usd(period.limit_usd)} left{again}"
    return f"- {_PERIODS[period.period]}: {period.calls} call(s), {_charged(period)}{left}"


def _charged(sums: PeriodSpending | GroupSpending) -> str:
    """The sums that are not nothing."""
    parts = [f"{_usd(sums.spent_usd)} spent"]
    parts += [f"{_usd(sums.reserved_usd)} reserved for calls under way"] if sums.reserved_usd else []
    parts += [f"{_usd(sums.unknown_usd)} for calls of unknown outcome"] if sums.unknown_usd else []
    return ", ".join(parts)


def _usd(dollars: float) -> str:
    return usd(round(dollars * MICRO))
