"""Carries a batch out: finds what is to be done for each line, and its price; then does it, paying once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from gpt_image_2_mcp.batches import History, Line, Row, RowState, refusal
from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.errors import (
    AccessDenied,
    AuthenticationFailed,
    BudgetExceeded,
    ConfigurationError,
    ConsentNeeded,
    ImageServerError,
    InputError,
    InvalidRequest,
    OperationNotFound,
    OrganizationNotVerified,
    QuotaExhausted,
    StorageError,
    TooDear,
)
from gpt_image_2_mcp.models import State
from gpt_image_2_mcp.ports import Clock, Manifest
from gpt_image_2_mcp.redaction import Redact, redact
from gpt_image_2_mcp.requests import EditRequest, GetResultRequest, Paid
from gpt_image_2_mcp.results import CostEstimate, DryRunResult, ImageResult
from gpt_image_2_mcp.service import ImageService, PaidResult, new_operation_id

_IN_THE_WAY_OF_ALL: Final = (
    *(AccessDenied, AuthenticationFailed, OrganizationNotVerified, QuotaExhausted),
    *(ConfigurationError, StorageError),
)
"""What the next call would meet as well."""
_PRICED_AT_ONCE: Final = 4
_ENDS: Final[dict[State, RowState]] = {
    "received": "kept",
    "released": "failed",
    "unknown": "unknown",
}

Report = Callable[[Row], None]
"""Told of each line that has come to an end; returns at once."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done for a line: nothing, collect what was begun, send it, or leave it: nobody knows
    whether it was billed. `row` is its last one; `price` of what is sent, where that is known; `refused`, why
    its price keeps it from being sent in this run.
    """

    line: Line
    todo: Literal["nothing", "collect", "send", "ask"]
    row: Row | None = None
    price: CostEstimate | None = None
    refused: ImageServerError | None = None

    @property
    def most_usd(self) -> float | None:
        return self.price.most_usd if self.price else None


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch before it is carried out; `charged_usd` is what earlier runs cost, the most where that is not
    known, those calls included that are still to be collected.
    """

    steps: tuple[Step, ...]
    charged_usd: float = 0.0

    def of(self, todo: str) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.todo == todo)

    @property
    def unpriced(self) -> tuple[Step, ...]:
        """Lines to send of which nobody can say what they cost."""
        return tuple(step for step in self.of("send") if not (step.price or step.refused))

    @property
    def expected_usd(self) -> float:
        return sum(step.price.expected_usd for step in self.of("send") if step.price)

    @property
    def most_usd(self) -> float:
        """The most that the lines to send can cost."""
        return sum(step.price.most_usd for step in self.of("send") if step.price)


class BatchRun:
    """One run over the lines of a batch. `report` is told of every line that comes to an end; `redact` goes
    over what errors say before it is told or kept.
    """

    def __init__(
        self,
        service: ImageService,
        manifest: Manifest,
        clock: Clock,
        report: Report = lambda _row: None,
        redact: Redact = redact,
    ) -> None:
        self._service, self._manifest, self._clock = service, manifest, clock
        self._report, self._redact = report, redact
        self._history = History()
        self._stopped: ImageServerError | None = None

    @property
    def stopped(self) -> ImageServerError | None:
        """Why lines were left that were to be sent, if any were."""
        return self._stopped

    async def plan(self, lines: Sequence[Line], *, retry_unknown: bool = False) -> Plan:
        """What is to be done, with everything checked and priced that can be; nothing is sent or written.

        Raises:
            InvalidRequest: lines cannot be carried out, or do not fit the manifest.
            StorageError: the manifest cannot be read.
        """
        self._history = History(await self._manifest.read())
        steps = [await self._step(line, retry_unknown=retry_unknown) for line in lines]
        unsent = frozenset(s.row.operation_id for s in steps if s.row and _left_no_trace(s))
        return Plan(await self._priced(steps), self._history.charged_usd(but=unsent))

    async def run(self, plan: Plan, *, at_once: int, hold_prices: bool) -> tuple[Row, ...]:
        """Collect and send what the plan says, so many lines at once; the last row of every line.

        With `hold_prices` no call may cost more than it was priced at.
        """
        places = asyncio.Semaphore(at_once)

        async def do(step: Step) -> None:
            async with places, self._manifest_kept():
                if step.todo == "collect" and step.row:
                    await self._collect(step.line, step.row)
                elif not self._stopped:
                    await self._send(step, hold_price=hold_prices)

        async with asyncio.TaskGroup() as group:
            for step in (*plan.of("collect"), *plan.of("send")):
                group.create_task(do(step))
        return tuple(self._history.rows(step.line for step in plan.steps))

    @asynccontextmanager
    async def _manifest_kept(self) -> AsyncIterator[None]:
        """What cannot be written down is not sent; what is under way stands in the journal."""
        try:
            yield
        except StorageError as error:
            self._stopped = error

    async def _step(self, line: Line, *, retry_unknown: bool) -> Step:
        row = self._history.of(line)
        if row is None or row.state == "failed":
            return Step(line, "send")
        if row.state == "done":
            return Step(line, "nothing", row)
        if row.state == "unknown":
            return Step(line, "send" if retry_unknown else "ask", row)
        unsent = await self._state_of(row.operation_id) in (None, "released")
        return Step(line, "send" if unsent else "collect", row)

    async def _state_of(self, operation_id: str) -> State | None:
        """None: it was never entered, so nothing was sent."""
        try:
            return (await self._service.operation(operation_id)).state
        except OperationNotFound:
            return None

    async def _priced(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        places, problems = asyncio.Semaphore(_PRICED_AT_ONCE), dict[int, str]()

        async def price(step: Step) -> Step:
            if step.todo != "send":
                return step
            async with places:
                try:
                    rehearsed = await self._call(step.line, {"dry_run": True}, Caller())
                except (InvalidRequest, InputError) as error:
                    problems[step.line.number] = f"Line {step.line.number}: {error.message}"
                    return step
                except (BudgetExceeded, TooDear, ConsentNeeded) as error:
                    return replace(step, refused=error)
            known = rehearsed.estimate if isinstance(rehearsed, DryRunResult) else None
            return replace(step, price=known)

        priced = await asyncio.gather(*map(price, steps))
        if problems:
            raise refusal([text for _, text in sorted(problems.items())])
        return tuple(priced)

    async def _call(self, line: Line, changes: dict[str, Any], caller: Caller) -> PaidResult:
        request = line.request.model_copy(update=changes)
        if isinstance(request, EditRequest):
            return await self._service.edit(request, caller)
        return await self._service.generate(request, caller)

    async def _send(self, step: Step, *, hold_price: bool) -> None:
        """The row comes before the call: whatever ends this process, the next run knows whom to ask for."""
        line, operation_id = step.line, new_operation_id()
        if step.refused:
            await self._conclude(self._failed(line, operation_id, "failed", step.refused, None))
            return
        await self._add(self._row(line, operation_id, "sending", most_usd=step.most_usd))
        # A client of its own, so that a line is never taken for one that asks for the same.
        caller = Caller(client=f"batch line {line.id}", operation_id=operation_id)
        changes = {"max_cost_usd": _held(line.request, step.most_usd)} if hold_price else {}
        await self._end(line, operation_id, step.most_usd, self._call(line, changes, caller))

    async def _collect(self, line: Line, row: Row) -> None:
        request = GetResultRequest(operation_id=row.operation_id)
        await self._end(line, row.operation_id, row.most_usd, self._service.get_result(request, Caller()))

    async def _end(
        self, line: Line, operation_id: str, most_usd: float | None, call: Awaitable[PaidResult]
    ) -> None:
        try:
            result = await call
        except ImageServerError as error:
            state = await self._state_of(operation_id)
            if isinstance(error, _IN_THE_WAY_OF_ALL):
                self._stopped = error
            end: RowState = _ENDS.get(state or "released", "sending")
            row = self._failed(line, operation_id, end, error, most_usd)
        else:
            row = self._ended(line, operation_id, most_usd, result)
        await self._conclude(row)

    def _failed(
        self, line: Line, operation_id: str, state: RowState, error: ImageServerError, most_usd: float | None
    ) -> Row:
        told = {"error": self._redact(str(error)), "code": error.code, "most_usd": most_usd}
        return self._row(line, operation_id, state, **told)

    def _ended(self, line: Line, operation_id: str, most_usd: float | None, result: PaidResult) -> Row:
        if not isinstance(result, ImageResult):  # the service leaves, and the call goes on
            return self._row(line, operation_id, "sending", most_usd=most_usd)
        files = tuple(image.file_path for image in result.images)
        cost = result.cost_usd_estimated
        return self._row(line, result.operation_id, "done", files=files, cost_usd=cost, most_usd=most_usd)

    def _row(self, line: Line, operation_id: str, state: RowState, **facts: Any) -> Row:
        told = {"id": line.id, "line": line.number, "digest": line.digest, "at": self._clock(), **facts}
        return Row(operation_id=operation_id, state=state, **told)

    async def _conclude(self, row: Row) -> None:
        await self._add(row)
        self._report(row)

    async def _add(self, row: Row) -> None:
        await self._manifest.add(row)
        self._history.add(row)


def _left_no_trace(step: Step) -> bool:
    return step.todo == "send" and step.row is not None and step.row.state in ("sending", "kept")


def _held(request: Paid, most_usd: float | None) -> float | None:
    """The lower of the two limits."""
    return min((limit for limit in (request.max_cost_usd, most_usd) if limit is not None), default=None)
