"""The rows of the table: what is measured, in which unit, and what it is to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, Literal

Figures = Mapping[str, float]
"""One measurement of one server, by row."""

OURS: Final = "ours"
BARE: Final = "bare"
OTHER: Final = "other"


@dataclass(frozen=True)
class Row:
    """`goal` and its like are of the ratio to the other server, or of our own figure."""

    name: str
    unit: str
    of: Literal["ratio", "figure"] = "ratio"
    refuse: float | None = None
    goal: float | None = None
    stretch: float | None = None


GOALS: Final = (
    Row("cold start", "ms", "ratio", 1.9, 1.6, 0.35),
    Row("exit", "ms", "figure", 500, 100, 50),
    Row("memory at rest", "MiB", "ratio", 1.1, 0.9, 0.5),
    Row("tools/list", "bytes", "ratio", 1.0, 0.76, 0.4),
    Row("1 MB call, wall", "ms"),
    Row("1 MB call, CPU", "ms", "ratio", 0.7, 0.3, 0.2),
    Row("20 MB call, wall", "ms", "ratio", 0.6, 0.2, 0.14),
    Row("20 MB call, CPU", "ms", "ratio", 0.55, 0.15, 0.1),
    Row("20 MB call, peak memory", "MiB", "ratio", 0.8, 0.45, 0.35),
    Row("edit, 4 inputs of 4 MB, CPU", "ms", "ratio", 0.4, 0.25, 0.15),
    Row("1 calls, ping p99", "ms"),
    Row("8 calls, ping p99", "ms"),
    Row("32 calls, ping p99", "ms", "ratio", 0.55, 0.05, 0.02),
    Row("100 calls, ping p99", "ms", "ratio", 0.55, 0.05, 0.02),
    Row("32 calls, wall", "ms", "ratio", 0.6, 0.25, 0.15),
    Row("100 calls, wall", "ms", "ratio", 0.6, 0.25, 0.15),
    Row("100 calls, peak memory", "MiB", "ratio", 0.35, 0.12, 0.08),
    Row("100 calls, in flight upstream", "calls", "figure"),
    Row("12 slow bodies, wall", "ms", "ratio", 0.35, 0.15, 0.12),
    Row("50 sessions of 3 turns, growth", "MiB", "figure", 10, 4, 1),
)


@dataclass(frozen=True)
class Comparison:
    """What a row came to: the median of each server, and of the ratios within each round."""

    row: Row
    medians: Mapping[str, float]
    ratio: float | None
    spread: tuple[float, float] | None

    @classmethod
    def of(cls, row: Row, rounds: Sequence[Mapping[str, Figures]]) -> Comparison | None:
        """The row over some rounds of all servers; None where nobody measured it."""
        taken = [{who: f[row.name] for who, f in each.items() if row.name in f} for each in rounds]
        names = dict.fromkeys(who for each in taken for who in each)
        if not names:
            return None
        medians = {who: median(each[who] for each in taken if who in each) for who in names}
        both = [each for each in taken if OURS in each and each.get(OTHER)]
        ratios = sorted(each[OURS] / each[OTHER] for each in both)
        spread = (ratios[0], ratios[-1]) if ratios else None
        return cls(row, medians, median(ratios) if ratios else None, spread)

    @property
    def verdict(self) -> str:
        value = self.ratio if self.row.of == "ratio" else self.medians.get(OURS)
        if value is None or self.row.goal is None:
            return ""
        limits = {"stretch": self.row.stretch, "goal": self.row.goal, "passes": self.row.refuse}
        kept = [name for name, limit in limits.items() if limit is not None and value <= limit]
        return kept[0] if kept else "REFUSED"

    def as_json(self) -> dict[str, Any]:
        row = self.row
        limits = {"refuse_above": row.refuse, "goal": row.goal, "stretch": row.stretch, "of": row.of}
        figures = {"medians": dict(self.medians), "ratio": self.ratio, "spread": self.spread}
        return {"name": row.name, "unit": row.unit, **figures, **limits, "verdict": self.verdict}
