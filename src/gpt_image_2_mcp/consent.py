"""Whether a call may cost what it can: by a limit that came with it, or by a person's word."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from gpt_image_2_mcp.alternatives import Alternative, advice, alternatives
from gpt_image_2_mcp.budgets import usd
from gpt_image_2_mcp.errors import ConsentNeeded, TooDear
from gpt_image_2_mcp.models import ImageJob
from gpt_image_2_mcp.pricing import MICRO, estimate
from gpt_image_2_mcp.requests import RenderOptions


@dataclass(frozen=True, slots=True)
class Quote:
    """What a person is asked about: the call as it stands, and cheaper ways to have it; in micro-dollars."""

    model: str
    count: int
    expected: int
    most: int
    free: int
    cheaper: tuple[Alternative, ...]

    @property
    def as_it_is(self) -> Alternative:
        """The call as it stands, as one of the things to choose from."""
        return Alternative({}, self.most)

    def notice(self, why: str = "") -> str:
        """That a person's word is needed; `why` ends the sentence."""
        price, free = usd(self.most), usd(self.free)
        return f"The call can cost {price}, and calls above {free} need the user's consent{why}."

    def refusal(self, why: str = "") -> ConsentNeeded:
        """For callers through whom nobody can be asked."""
        amount = math.ceil(self.most / 100) / (MICRO // 100)
        instead = f" Cheaper: {'; '.join(map(str, self.cheaper))}." if self.cheaper else ""
        return ConsentNeeded(
            self.notice(why),
            hint=f"Ask the user; if they agree, call again with `max_cost_usd` {amount:g}.{instead} "
            "Nothing was sent.",
        )


Ask = Callable[[Quote], Awaitable[Alternative]]
"""Puts a quote to a person, and tells what they chose: what changes, and the price they have agreed to.

Raises:
    ConsentDeclined: they want no picture at these prices.
    ConsentNeeded: they could not be asked.
"""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a call may cost, in micro-dollars, None for no limit, and the options that a person has changed.

    free: without anybody being asked
    limit: what the caller has the user's word for
    agreed: what a person was asked about and agreed to
    asks: whether a person can be asked; where one can, a model's word for them is a limit and no consent
    """

    free: int | None = None
    limit: int | None = None
    agreed: int = 0
    asks: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, free: int | None, max_cost_usd: float | None, *, asks: bool = False) -> Terms:
        return cls(free, None if max_cost_usd is None else round(max_cost_usd * MICRO), asks=asks)

    def applied(self, options: RenderOptions) -> RenderOptions:
        """Options as a person has changed them."""
        return options.model_copy(update=dict(self.changes))

    def after(self, chosen: Alternative) -> Terms:
        """The terms when a person has chosen."""
        return replace(self, agreed=chosen.price, changes={**self.changes, **chosen.changes})

    def covers(self, quote: Quote) -> bool:
        """Whether the user's word is there for a quote that could not be put to them."""
        return self.limit is not None and quote.most <= self.limit

    def quote(self, job: ImageJob, today: date) -> Quote | None:
        """What a person must be asked before the job is sent; None where nobody must.

        Raises:
            TooDear: it can cost more than the caller has the user's word for.
            ConsentNeeded: nobody can agree to it, since its price is not known.
        """
        if self.free is None and self.limit is None:
            return None
        known = estimate(job)
        if self.limit is not None:
            self._check_limit(job, known.most if known else None, self.limit, today)
        if self.free is None or (self.limit is not None and not self.asks):
            return None
        if known is None:
            raise ConsentNeeded(
                f"What a call with {job.model} costs is not known, and calls above {usd(self.free)} need the "
                "user's consent.",
                hint=f"{advice(job, None, today)}; nothing was sent.",
            )
        if known.most <= max(self.free, self.agreed):
            return None
        cheaper = alternatives(job, known.most - 1, today)
        return Quote(job.model, job.count, known.expected, known.most, self.free, cheaper)

    def _check_limit(self, job: ImageJob, most: int | None, limit: int, today: date) -> None:
        if most is None:
            raise TooDear(
                f"What a call with {job.model} costs is not known, so `max_cost_usd` cannot be kept.",
                hint=f"{advice(job, None, today)}, or leave it out; nothing was sent.",
            )
        if most > limit:
            raise TooDear(
                f"The call can cost {usd(most)}, which is more than the {usd(limit)} of `max_cost_usd`.",
                hint=f"{advice(job, limit, today)}; nothing was sent.",
            )
