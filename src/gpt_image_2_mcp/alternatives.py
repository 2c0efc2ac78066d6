"""Cheaper settings of a call that fit into what is left, for refusals that say how to go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from math import prod
from typing import Any, Final

from gpt_image_2_mcp.budgets import usd
from gpt_image_2_mcp.capabilities import MODELS, find_model
from gpt_image_2_mcp.checks import check_options
from gpt_image_2_mcp.errors import BudgetExceeded, InvalidRequest
from gpt_image_2_mcp.models import ImageJob
from gpt_image_2_mcp.pricing import upper_bound
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.sizes import MAX_FRAMES, MIN_FRAMES, SIZE_PRESETS, USUAL_FRAMES, Size, sheet

MOST: Final = 3
_FULL_SHEETS: Final = tuple(n for n in range(MIN_FRAMES, MAX_FRAMES + 1) if prod(sheet(n)) == n)
_LARGEST: Final = Size(2880, 2880)
"""What `auto` is taken for."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """The options to set in a call, and the most that it costs then, in micro-dollars."""

    changes: Mapping[str, Any]
    price: int

    def __str__(self) -> str:
        settings = " and ".join(f"{name}={value}" for name, value in self.changes.items())
        return f"{settings} (at most {usd(self.price)})"


def alternatives(job: ImageJob, room: int, today: date) -> tuple[Alternative, ...]:
    """The best ways to have the job for no more than `room`: few options changed, then as near to its price
    as can be. No two set the same options, and none sets more where less would do.
    """
    # A larger size can be cheaper, as 1536x1024 is than a square: that is for where nothing smaller fits.
    fitting = _fitting(job, room, today, _smaller(job)) or _fitting(job, room, today, SIZE_PRESETS)
    chosen: list[Alternative] = []
    for found in sorted(fitting, key=lambda each: (len(each.changes), -each.price)):
        if not any(other.changes.keys() <= found.changes.keys() for other in chosen):
            chosen.append(found)
    return tuple(chosen[:MOST])


@contextmanager
def advised(job: ImageJob, today: date) -> Iterator[None]:
    """Has a budget's refusal of the job say how to go on."""
    try:
        yield
    except BudgetExceeded as error:
        error.advise(advice(job, error.room, today))
        raise


def advice(job: ImageJob, room: int | None, today: date) -> str:
    """What to do about a call that a budget refused, as a clause; `room` is None where it has no price."""
    if room is None:
        priced = ", ".join(_priced(job, today))
        return f"Name a model whose price is known ({priced})" if priced else "Do without it"
    found = alternatives(job, room, today)
    if not found:
        return "No setting of this call fits: do without it"
    return f"Call again with {', '.join(map(str, found[:-1]))}{' or ' if found[1:] else ''}{found[-1]}"


def _fitting(job: ImageJob, room: int, today: date, sizes: Sequence[str]) -> list[Alternative]:
    return [found for found in _variations(job, today, sizes) if found.price <= room]


def _variations(job: ImageJob, today: date, sizes: Sequence[str]) -> Iterator[Alternative]:
    """The job with cheaper values of some of its options, each of which the checks let pass."""
    most, cheaper = upper_bound(job), _cheaper(job, sizes)
    for values in product(*cheaper.values()):
        changes = {name: value for name, value in zip(cheaper, values, strict=True) if value is not None}
        changed = replace(job, options=job.options.model_copy(update=changes))
        price = upper_bound(changed)
        if changes and price is not None and most is not None and price < most and _passes(changed, today):
            yield Alternative(changes, price)


def _smaller(job: ImageJob) -> list[str]:
    asked = Size.parse(job.options.size or "auto") or _LARGEST
    return [text for text in SIZE_PRESETS if (size := Size.parse(text)) and size.pixels < asked.pixels]


def _cheaper(job: ImageJob, sizes: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """For each option the values to try, most of them cheaper; None leaves it as it is."""
    model, options = find_model(job.model), job.options
    qualities = [q for q in model.qualities if q not in ("auto", options.quality)] if model else []
    return {
        "quality": (None, *qualities),
        "size": (None, *sizes),
        "n": (None, *range(1, job.count)),
        "partial_images": (None, 0) if job.partials else (None,),
        "frame_count": (None, *_fewer_frames(options)),
    }


def _fewer_frames(options: RenderOptions) -> list[int]:
    """The fullest of the smaller sheets on which a GIF's frames are made: emptier ones cost the same."""
    if options.output_format != "gif":
        return []
    asked = sheet(options.frame_count or USUAL_FRAMES)
    return [n for n in _FULL_SHEETS if prod(sheet(n)) < prod(asked)]


def _passes(job: ImageJob, today: date) -> bool:
    try:
        check_options(job.options, today)
    except InvalidRequest:
        return False
    return True


def _priced(job: ImageJob, today: date) -> list[str]:
    """The living models for which the call has a price, and which take its options."""
    found = (replace(job, options=job.options.model_copy(update={"model": model.id})) for model in MODELS)
    return [each.model for each in found if upper_bound(each) is not None and _passes(each, today)]
