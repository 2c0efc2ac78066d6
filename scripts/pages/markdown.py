"""What all pages are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NOTICE: Final = "<!-- Written by scripts/generate.py; change the code it is made from instead. -->"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(heads), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def yes(on: object) -> str:
    return "yes" if on else "no"
