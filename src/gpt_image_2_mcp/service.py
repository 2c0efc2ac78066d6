"""The product: generate, edit, and iterative edit sessions, for whatever face calls them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from anyio.to_thread import run_sync

from gpt_image_2_mcp.alternatives import Alternative
from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.checks import warnings
from gpt_image_2_mcp.consent import Quote, Terms
from gpt_image_2_mcp.drafts import Defaults, Drafts, turn_options
from gpt_image_2_mcp.errors import ConsentNeeded, SessionBusy, StorageError
from gpt_image_2_mcp.library import Library
from gpt_image_2_mcp.models import (
    OPEN_STATES,
    ImageJob,
    ImageReference,
    Operation,
    Placement,
    Session,
    SessionStep,
)
from gpt_image_2_mcp.operations import Operations
from gpt_image_2_mcp.outcomes import error_of, imported, rehearsed, spending, summary, told
from gpt_image_2_mcp.ports import Clock, Ledger, SessionStore, SourceLoader
from gpt_image_2_mcp.requests import (
    Arguments,
    ContinueSessionRequest,
    EditRequest,
    EndSessionRequest,
    GenerateRequest,
    GetResultRequest,
    ImportRequest,
    ListSessionsRequest,
    Paid,
    RenderOptions,
    Shown,
    SpendingRequest,
    StartSessionRequest,
)
from gpt_image_2_mcp.results import (
    DryRunResult,
    EndSessionResult,
    ImageResult,
    ImportResult,
    ListSessionsResult,
    SpendingResult,
    WorkingResult,
)

LOADING_AT_ONCE: Final = 4
"""Calls whose input pictures stand in memory, on their way to the spool."""

_MOST_GROUPS: Final = 31
MOST_SESSIONS: Final = 1000
"""That a model is told of. There are more only where the cap on sessions, 20, was raised."""
LOCAL: Final = Caller()
PictureResult = ImageResult | ImportResult | WorkingResult
PaidResult = PictureResult | DryRunResult
Entered = Operation | DryRunResult
"""A call in the journal, or what it would have been."""
Enter = Callable[[str, Terms], Awaitable[Entered | Quote]]
"""Enters a call under a token, unless the terms have somebody asked first."""


class ImageService:
    """One method a tool, from its request to its result; every error is an ImageServerError.

    Paid calls take a `Caller`, whose patience decides between the picture and a WorkingResult.
    """

    def __init__(
        self,
        operations: Operations,
        sources: SourceLoader,
        sessions: SessionStore,
        defaults: Defaults,
        clock: Clock,
        library: Library,
        ledger: Ledger,
    ) -> None:
        self._operations = operations
        self._sources = sources
        self._sessions = sessions
        self._defaults = defaults
        self._drafts = Drafts(sources, defaults, clock)
        self._clock = clock
        self.library = library
        self._ledger = ledger
        self._loading = asyncio.Semaphore(LOADING_AT_ONCE)
        self._ended_meanwhile: set[str] = set()

    async def generate(self, request: GenerateRequest, caller: Caller = LOCAL) -> PaidResult:
        options, folder = self._drafts.options(request), self._drafts.folder(request)

        async def enter(token: str, terms: Terms) -> Entered | Quote:
            placement = await self._drafts.placement(token, "image", folder, request.filename_prefix)
            job = self._drafts.job("generate", request.prompt, terms.applied(options))
            return await self._join_or_begin(request, caller, terms, job, placement)

        return await self._call(request, caller, options, enter)

    async def edit(self, request: EditRequest, caller: Caller = LOCAL) -> PaidResult:
        options, folder = self._drafts.edit_options(request), self._drafts.folder(request)

        async def enter(token: str, terms: Terms) -> Entered | Quote:
            placement = await self._drafts.placement(token, "edit", folder, request.filename_prefix)
            async with self._loading:
                job = await self._drafts.edit_job(request, terms.applied(options))
                return await self._join_or_begin(request, caller, terms, job, placement)

        return await self._call(request, caller, options, enter)

    async def start_session(self, request: StartSessionRequest, caller: Caller = LOCAL) -> PaidResult:
        options, folder = self._drafts.edit_options(request), self._drafts.folder(request)

        async def enter(token: str, terms: Terms) -> Entered | Quote:
            placement = await self._drafts.placement(token, "session", folder, request.filename_prefix, 1)
            session_id = f"edit-{int(self._clock().timestamp())}-{secrets.token_hex(4)}"
            async with self._loading:
                job = await self._drafts.edit_job(request, terms.applied(options))
                step = SessionStep(session_id, 1, turn_options(job.options), request.filename_prefix)
                return await self._join_or_begin(request, caller, terms, job, placement, step)

        return await self._call(request, caller, options, enter)

    async def continue_session(self, request: ContinueSessionRequest, caller: Caller = LOCAL) -> PaidResult:
        self._drafts.refuse_without_key(request)

        async def enter(token: str, terms: Terms) -> Entered | Quote:
            print_ = fingerprint(request, caller, ())
            twin = None if request.dry_run else await self._operations.abandoned_twin(print_)
            return twin or await begin(token, print_, terms)

        async def begin(token: str, print_: str, terms: Terms) -> Entered | Quote:
            async with AsyncExitStack() as held:
                session = await self._turn_of(request.session_id, caller, held)
                options = terms.applied(self._drafts.turn_options(request, session))
                prefix = request.filename_prefix or session.filename_prefix
                number = session.last.number + 1
                placement = await self._drafts.next_placement(token, session, prefix, number)
                step = SessionStep(session.id, number, turn_options(options), session.filename_prefix)
                async with self._loading:
                    job = await self._drafts.turn_job(request.prompt, options, session)
                    if request.dry_run:
                        return await self._rehearse(job, placement, step, terms)
                    if quote := terms.quote(job, self._clock().date()):
                        return quote
                    return await self._begin_turn(job, placement, print_, step, held)

        return await self._call(request, caller, None, enter)

    async def import_image(self, request: ImportRequest, _caller: Caller = LOCAL) -> ImportResult:
        """Take a picture from elsewhere in among ours."""
        placement = await self._drafts.placement(new_operation_id(), "import", None, None)
        async with self._loading:
            image = await self._sources.load(request.source)
            return imported(await self._operations.keep(image, placement))

    async def get_result(self, request: GetResultRequest, caller: Caller = LOCAL) -> PictureResult:
        """Collect a call that was handed off, or say how it stands."""
        operation = await self._operations.get(request.operation_id)
        if operation.state in OPEN_STATES:  # finishes what a full disk or a death stopped, if nobody is at it
            operation = await self._operations.resume(operation.id)
        caller = caller.with_patience(request.wait_seconds)
        return await self._outcome(await self._operations.wait(operation, caller))

    async def partial(self, operation_id: str, index: int) -> tuple[bytes, str]:
        """A picture in the making, by its index from 0: the bytes of its file, and its MIME type.

        Raises:
            OperationNotFound: there is no such operation.
            PartialNotFound: it has not come, or is not kept any more.
        """
        kept = await self._operations.partial(operation_id, index)
        return kept.data, kept.mime_type

    async def end_session(self, request: EndSessionRequest, _caller: Caller = LOCAL) -> EndSessionResult:
        ended = await self._sessions.end(request.session_id)
        return EndSessionResult(ended=ended, session_id=request.session_id)

    async def list_sessions(
        self, _request: ListSessionsRequest, _caller: Caller = LOCAL, most: int | None = MOST_SESSIONS
    ) -> ListSessionsResult:
        """The active sessions, the latest used first; where there are more than `most`, their number too."""
        listed = await self._sessions.active(most)
        total = await self._sessions.count() if len(listed) == most else 0
        sessions = [summary(session) for session in listed]
        return ListSessionsResult(sessions=sessions, total=total if total > len(listed) else None)

    async def spending(self, request: SpendingRequest, _caller: Caller = LOCAL) -> SpendingResult:
        """What was spent and what is left."""
        spent = await self._ledger.spending(request.by or "model", most=_MOST_GROUPS)
        return spending(spent, sandbox=self._defaults.sandbox)

    async def check(self) -> None:
        """Make sure that a paid call could be taken in.

        Raises:
            StorageError: the state folder cannot be written, or its journal does not open.
        """
        await self._operations.check()

    def hand_off(self) -> None:
        """Answer all who wait, now and from now on, with what they wait for as it stands."""
        self._operations.hand_off()

    async def operation(self, operation_id: str) -> Operation:
        """A call as the journal has it.

        Raises:
            OperationNotFound: there is none.
        """
        return await self._operations.get(operation_id)

    async def under_way(self) -> tuple[str, ...]:
        """The ids of the calls that have not ended yet."""
        return await self._operations.under_way()

    async def close(self) -> None:
        """Let go of paid calls: what this process carries out itself is finished first."""
        await self._operations.close()

    async def _call(
        self, request: Paid, caller: Caller, options: RenderOptions | None, enter: Enter
    ) -> PaidResult:
        """The one path of a paid call: a place, into the journal, wait, say what came of it.

        Whether there is a place is decided before anything is awaited, and what `enter` has read to enter
        the call is let go of when it has: those who wait hold no pictures.
        """
        token = caller.operation_id or new_operation_id()
        with self._operations.admitted(token, options):
            operation = await self._agreed(request, caller, partial(enter, token))
        if isinstance(operation, DryRunResult):
            return operation
        try:
            settled = await self._operations.wait(operation, caller)
        except StorageError as error:
            hint = f"The call may be paid for: mend that, then call get_result with {operation.id}."
            unread = StorageError(error.message, hint=hint)
            unread.may_be_billed = True
            raise unread from None
        return await self._outcome(settled)

    async def _agreed(
        self, request: Paid, caller: Caller, enter: Callable[[Terms], Awaitable[Entered | Quote]]
    ) -> Entered:
        """The call when it is entered; a person is asked first where its price is theirs to agree to.

        While they think, no picture is held and no session's turn.
        """
        asks = caller.ask is not None
        terms = Terms.of(self._defaults.confirm_above, request.max_cost_usd, asks=asks)
        while isinstance(entered := await enter(terms), Quote):
            if caller.ask is None:
                raise entered.refusal()
            try:
                chosen = await caller.ask(entered)
            except ConsentNeeded:
                if not terms.covers(entered):
                    raise
                chosen = Alternative({}, entered.most)
            terms = terms.after(chosen)
        return entered

    async def _rehearse(
        self, job: ImageJob, placement: Placement, step: SessionStep | None, terms: Terms
    ) -> DryRunResult:
        quote = terms.quote(job, self._clock().date())
        await self._operations.check_budgets(job, placement, step)
        outline = await self._operations.outline(job)
        said = (*self._warnings(job.options), *([quote.notice()] if quote else []))
        return rehearsed(job, outline, said, sandbox=self._defaults.sandbox)

    def _warnings(self, options: RenderOptions) -> tuple[str, ...]:
        dated = not self._defaults.provider.own_dates
        return warnings(options, self._clock().date(), dated=dated)

    async def _join_or_begin(
        self,
        request: Paid,
        caller: Caller,
        terms: Terms,
        job: ImageJob,
        placement: Placement,
        step: SessionStep | None = None,
    ) -> Entered | Quote:
        if request.dry_run:
            return await self._rehearse(job, placement, step, terms)
        print_ = await run_sync(lambda: fingerprint(request, caller, _meaning(job, placement)))
        if twin := await self._operations.abandoned_twin(print_):
            return twin
        if quote := terms.quote(job, self._clock().date()):
            return quote
        if step:
            return await self._begin_turn(job, placement, print_, step, AsyncExitStack())
        return await self._operations.begin(job, placement, print_)

    async def _turn_of(self, session_id: str, caller: Caller, held: AsyncExitStack) -> Session:
        try:
            async with asyncio.timeout(caller.left_s):
                session = await held.enter_async_context(self._sessions.turn(session_id))
                while await self._operations.settle_session(session_id):
                    await held.aclose()  # what was waited for has changed the session
                    session = await held.enter_async_context(self._sessions.turn(session_id))
                return session
        except TimeoutError:
            raise SessionBusy("Another turn of this session is still under way.") from None

    async def _begin_turn(
        self, job: ImageJob, placement: Placement, fingerprint: str, step: SessionStep, held: AsyncExitStack
    ) -> Operation:
        operation = await self._operations.begin(job, placement, fingerprint, step)
        self._operations.when_settled(operation, self._keep_turn, held.pop_all())
        return operation

    async def _keep_turn(self, operation: Operation) -> None:
        if operation.completed and not await self._sessions.keep(operation, operation.completed.images[0]):
            self._ended_meanwhile.add(operation.id)

    async def _outcome(self, operation: Operation) -> PictureResult:
        if operation.action == "import":
            return imported(operation)
        if operation.completed:
            ended = operation.id in self._ended_meanwhile
            said = self._warnings(operation.options)
            return told(
                operation,
                operation.completed,
                said,
                sandbox=self._defaults.sandbox,
                session_ended=ended,
            )
        if operation.failure:
            raise error_of(operation, operation.failure)
        elapsed = (self._clock() - operation.created_at).total_seconds()
        expected = await self._operations.expected(operation)
        return WorkingResult(
            operation_id=operation.id,
            elapsed_seconds=round(elapsed, 1),
            expected_seconds=None if expected is None else round(expected.usual, 1),
            phase=operation.phase,
        )


def new_operation_id() -> str:
    """An id that no operation has."""
    return secrets.token_hex(16)


def _meaning(job: ImageJob, placement: Placement) -> tuple[str, ...]:
    """What a call means beyond its words: the model, the folder, and what the inputs hold."""
    marks = (file.mark for file in job.files)
    references = (image.value for image in job.images if isinstance(image, ImageReference))
    return (job.model, str(placement.folder), *marks, *references)


def fingerprint(request: Arguments, caller: Caller, meaning: tuple[str, ...]) -> str:
    """Equal for identical calls of one client."""
    aside = {*Shown.model_fields, *Paid.model_fields}
    asked = request.model_dump(exclude_none=True, exclude=aside)
    call = [caller.client, type(request).__name__, asked, meaning]
    return hashlib.sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()
