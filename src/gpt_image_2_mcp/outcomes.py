"""What a caller is told of operations and sessions: results in the original's shape, and errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, time
from typing import Any, Final

from gpt_image_2_mcp.budgets import Period, Spending, Tally, usd
from gpt_image_2_mcp.errors import ImageServerError, PictureAway
from gpt_image_2_mcp.models import (
    Completed,
    Failure,
    ImageJob,
    Operation,
    RequestOutline,
    Session,
    StoredImage,
)
from gpt_image_2_mcp.picture_names import image_id
from gpt_image_2_mcp.pricing import MICRO, estimate
from gpt_image_2_mcp.results import (
    CostEstimate,
    DryRunResult,
    GroupSpending,
    ImageFile,
    ImageResult,
    ImportResult,
    OutlinedRequest,
    PeriodSpending,
    RequestedOptions,
    SessionImageResult,
    SessionSummary,
    SpendingResult,
)

ENDED_MEANWHILE: Final = (
    "The session was ended while this turn was made; start a new one from this picture to go on."
)


def told(
    operation: Operation,
    completed: Completed,
    warnings: Sequence[str] = (),
    *,
    sandbox: bool,
    session_ended: bool,
) -> ImageResult:
    """The pictures of a call; `session_ended` says that its session was ended while it was made."""
    options, step, notes = operation.options, operation.step, [*completed.notes, *warnings]
    if completed.cost is None and operation.estimate is not None:
        most = usd(operation.estimate)
        notes.append(f"The API reported no tokens: the call cost at most {most}, and is charged that.")
    if session_ended:
        notes.append(ENDED_MEANWHILE)
    made = ImageResult(
        operation_id=operation.id,
        model=operation.model,
        prompt=operation.prompt,
        requested=RequestedOptions(
            size=options.size or "auto",
            quality=options.quality or "auto",
            n=options.n or 1,
            format=options.output_format or "png",
        ),
        applied=completed.applied,
        images=_image_files(operation.id, completed),
        usage=completed.usage,
        svg_usage=completed.svg_usage,
        cost_usd_estimated=None if completed.cost is None else completed.cost / MICRO,
        route="responses" if completed.route == "responses" else None,
        note=" ".join(notes) or None,
        sandbox=sandbox,
    )
    if step is None:
        return made
    return SessionImageResult(**dict(made), session_id=step.session_id, turn=step.number)


def rehearsed(
    job: ImageJob, outline: RequestOutline, warnings: Sequence[str], *, sandbox: bool
) -> DryRunResult:
    """What a call would have sent and cost."""
    known = estimate(job)
    return DryRunResult(
        model=job.model,
        estimate=None
        if known is None
        else CostEstimate(
            least_usd=known.least / MICRO,
            expected_usd=known.expected / MICRO,
            most_usd=known.most / MICRO,
            caveats=list(known.caveats),
        ),
        request=OutlinedRequest(
            method=outline.method,
            path=outline.path,
            body=dict(outline.body),
            files=[asdict(file) for file in outline.files],
        ),
        note=" ".join(warnings) or None,
        sandbox=sandbox,
    )


def error_of(operation: Operation, failure: Failure) -> ImageServerError:
    """The error that a call ended with, and what is to be done in the state that it left."""
    hint = failure.hint
    if operation.state == "received" and failure.code == PictureAway.code:
        hint = f"The picture is paid for and waits there: call get_result with {operation.id} to fetch it."
    elif operation.state == "received":
        hint = f"The picture is paid for and kept: mend that, then call get_result with {operation.id}."
    elif operation.state == "unknown":
        hint = f"{hint} It is kept as operation {operation.id}."
    error = ImageServerError.revived(failure.code, failure.message, hint)
    error.may_be_billed = operation.state in ("received", "unknown")
    return error


def imported(operation: Operation) -> ImportResult:
    """The picture that was taken in."""
    assert operation.completed is not None  # noqa: S101 - it is entered with its picture
    return ImportResult(
        operation_id=operation.id,
        images=_image_files(operation.id, operation.completed),
        source=operation.prompt,
    )


def _image_files(operation_id: str, completed: Completed) -> list[ImageFile]:
    return [
        _image_file(image_id(operation_id, number), image)
        for number, image in enumerate(completed.images, start=1)
    ]


def _image_file(id_: str, image: StoredImage) -> ImageFile:
    return ImageFile(
        id=id_,
        file_path=str(image.path),
        filename=image.path.name,
        size_bytes=image.size_bytes,
        mime_type=image.mime_type,
        width=image.size.width if image.size else None,
        height=image.size.height if image.size else None,
        frames=image.animation.frames if image.animation else None,
        duration_ms=image.animation.duration_ms if image.animation else None,
    )


def summary(session: Session) -> SessionSummary:
    """A session in a list of them."""
    return SessionSummary(
        session_id=session.id,
        created_at=_iso(session.created_at),
        updated_at=_iso(session.updated_at),
        turns=session.last.number,
        last_prompt=session.last.prompt,
        last_image_path=str(session.last.image.path),
    )


def spending(spent: Spending, *, sandbox: bool) -> SpendingResult:
    """What the ledger says."""
    begins = datetime.combine(spent.since, time(), UTC)
    return SpendingResult(
        periods=[_period(period) for period in spent.periods],
        call_limit_usd=_dollars(spent.call_limit),
        by=spent.by,
        since=_iso(begins),
        groups=[_group(name or "not recorded", tally) for name, tally in spent.groups],
        note=" ".join(_remarks(spent)) or None,
        sandbox=sandbox,
    )


def _period(period: Period) -> PeriodSpending:
    assert period.purse != "turns"  # noqa: S101 - the ledger tells of no single edit session
    return PeriodSpending(
        period=period.purse,
        since=_iso(period.begins) if period.begins else None,
        renews_at=_iso(period.renews) if period.renews else None,
        limit_usd=_dollars(period.limit),
        left_usd=_dollars(period.left),
        **_sums(period.tally),
    )


def _group(name: str, tally: Tally) -> GroupSpending:
    return GroupSpending(name=name, **_sums(tally))


def _sums(tally: Tally) -> dict[str, Any]:
    return {
        "calls": tally.calls,
        "spent_usd": tally.spent / MICRO,
        "reserved_usd": tally.reserved / MICRO,
        "unknown_usd": tally.unknown / MICRO,
    }


def _remarks(spent: Spending) -> Iterator[str]:
    """What the sums do not show: of all calls ever, and of groups that are not told."""
    ever = spent.periods[-1].tally
    if ever.estimated:
        yield f"{usd(ever.estimated)} of what was spent is the most it can be: the API reported no usage."
    if ever.unpriced:
        yield f"{ever.unpriced} call(s) of models without a known price are in no sum."
    if spent.rest.groups:
        yield f"{spent.rest.groups} more not listed: {usd(spent.rest.charged)}."


def _dollars(micro: int | None) -> float | None:
    return None if micro is None else micro / MICRO


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
