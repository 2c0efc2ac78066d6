"""A batch: the lines of its file as requests, and the rows of its manifest, which say how far each is."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest, Paid, Shown, parse_arguments

BatchRequest = GenerateRequest | EditRequest
_TOLD: Final = 4
_LONGEST_ID: Final = 100
_DIGITS: Final = 12


# The file


@dataclass(frozen=True, slots=True)
class Line:
    """One call. `id` tells it from the others, in every run; `digest` is of what it asks for."""

    number: int
    id: str
    digest: str
    request: BatchRequest


def parse_lines(texts: Iterable[str]) -> tuple[Line, ...]:
    """The calls of a file of JSON lines; empty lines are passed over.

    A line without an `id` is known by what it asks for, so that others may be put before it.

    Raises:
        InvalidRequest: names the wrong lines, and what is wrong with each.
    """
    lines: list[Line] = []
    problems: list[str] = []
    seen: Counter[str] = Counter()
    for number, text in enumerate(texts, start=1):
        if text.strip():
            try:
                lines.append(_line(number, text, seen))
            except InvalidRequest as error:
                problems.append(f"Line {number}: {error.message}")
    if problems:
        raise refusal(problems)
    if not lines:
        raise InvalidRequest(
            "The file has no lines.", hint='Give one JSON object a line: {"prompt": "A red fox"}.'
        )
    return tuple(lines)


def refusal(problems: list[str]) -> InvalidRequest:
    """One error of what is wrong with several lines."""
    rest = f" And {len(problems) - _TOLD} more." if len(problems) > _TOLD else ""
    return InvalidRequest(
        " ".join(problems[:_TOLD]) + rest, hint="Correct the file and run it again; nothing was sent."
    )


def _line(number: int, text: str, seen: Counter[str]) -> Line:
    given = _object(text)
    id_ = given.pop("id", None)
    request = _request(given)
    digest = _digest(request)
    if id_ is None:
        seen[digest] += 1
        id_ = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    elif not isinstance(id_, str | int) or isinstance(id_, bool) or not 0 < len(str(id_)) <= _LONGEST_ID:
        raise InvalidRequest(f"`id` must be a text of 1 to {_LONGEST_ID} characters or a whole number.")
    else:
        seen[f"id {id_}"] += 1
        if seen[f"id {id_}"] > 1:
            raise InvalidRequest("Its `id` is that of a line before it.")
    return Line(number, str(id_), digest, request)


def _object(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("It is not JSON.") from None
    if not isinstance(given, dict):
        raise InvalidRequest("It is no JSON object of arguments.")
    return given


def _request(given: Mapping[str, Any]) -> BatchRequest:
    """An edit where there are pictures to edit."""
    kind: type[BatchRequest] = EditRequest if given.get("images") else GenerateRequest
    request = parse_arguments(kind, given)
    if request.dry_run:
        raise InvalidRequest("`dry_run` is for the whole batch: leave it out of the line.")
    return request


def _digest(request: BatchRequest) -> str:
    aside = {*Shown.model_fields, *Paid.model_fields}
    asked = [type(request).__name__, request.model_dump(exclude_none=True, exclude=aside)]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:_DIGITS]


# The manifest

RowState = Literal["sending", "done", "kept", "failed", "unknown"]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Head(_Row):
    """Where the calls of a manifest are journalled: another journal knows nothing of what was paid."""

    manifest: Literal[1] = 1
    state_dir: str
    sandbox: bool


class Row(_Row):
    """How far a line is; the last row of a line counts. Money is in US dollars.

    sending: about to be sent or under way, by the operation that stands there
    done: its pictures are saved
    kept: its answer is paid for and kept, and its pictures are still to be saved
    failed: nothing was made
    unknown: it was sent, and may have been billed
    """

    id: str
    line: int
    digest: str
    state: RowState
    operation_id: str
    at: datetime
    files: tuple[str, ...] = ()
    cost_usd: float | None = None
    most_usd: float | None = None
    error: str | None = None
    code: str | None = Field(default=None, exclude_if=lambda value: value is None)

    @property
    def charged_usd(self) -> float:
        """What it cost; where that is not known, the most it can have cost."""
        if self.state == "failed":
            return 0.0
        return (self.most_usd or 0.0) if self.cost_usd is None else self.cost_usd


class History:
    """What the rows of a manifest say, of lines and of all that was spent on them."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._of_lines: dict[str, Row] = {}
        self._of_operations: dict[str, Row] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        self._of_lines[row.id] = self._of_operations[row.operation_id] = row

    def of(self, line: Line) -> Row | None:
        """How far a line is, if it was begun.

        Raises:
            InvalidRequest: its id was another call's.
        """
        row = self._of_lines.get(line.id)
        if row and row.digest != line.digest:
            raise InvalidRequest(
                f"Line {line.number}: the manifest has its `id` {line.id} for another call.",
                hint="Give a changed line another `id`, or name another manifest.",
            )
        return row

    def charged_usd(self, but: frozenset[str] = frozenset()) -> float:
        """What all calls cost, the most where that is not known; `but` are operations that left no trace."""
        return sum(row.charged_usd for id_, row in self._of_operations.items() if id_ not in but)

    def rows(self, lines: Iterable[Line]) -> Iterator[Row]:
        """The last row of each line that has one."""
        return (row for line in lines if (row := self._of_lines.get(line.id)))
