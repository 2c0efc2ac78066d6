"""Who asks for something: how it is told apart, how long it waits, and who can be asked on its behalf."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gpt_image_2_mcp.models import Standing

if TYPE_CHECKING:
    from gpt_image_2_mcp.consent import Ask

Report = Callable[[Standing], None]
"""Told each time that a call is looked at and is not settled; returns at once."""


def _silence(_standing: Standing) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `client` tells clients apart; `wait_s` is how long it waits from `since` on, on the monotonic
    clock, None for as long as it takes; `ask` reaches a person, where one can be reached; `operation_id` is
    what a paid call is to be entered as, for a caller who must find it again whatever becomes of them.
    """

    client: str = ""
    wait_s: float | None = None
    report: Report = _silence
    ask: Ask | None = None
    operation_id: str | None = None
    since: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float | None:
        """How much of its patience is left; None: all that is needed."""
        return None if self.wait_s is None else max(self.since + self.wait_s - time.monotonic(), 0)

    def with_patience(self, wait_s: float | None) -> Caller:
        """The same caller, who from now on waits no longer than `wait_s` either."""
        limits = [seconds for seconds in (wait_s, self.left_s) if seconds is not None]
        return replace(self, wait_s=min(limits, default=None), since=time.monotonic())
