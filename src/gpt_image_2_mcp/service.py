"""The product: generate, edit, and iterative edit sessions, for whatever face calls them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from gpt_image_2_mcp.capabilities import COMPRESSED_FORMATS
from gpt_image_2_mcp.checks import check_mask, check_options
from gpt_image_2_mcp.errors import SessionNotFound
from gpt_image_2_mcp.models import (
    Completed,
    EndSessionResult,
    ImageFile,
    ImageJob,
    ImageResult,
    InputImage,
    ListSessionsResult,
    Placement,
    RequestedOptions,
    Session,
    SessionImageResult,
    SessionSummary,
    StoredImage,
    Turn,
)
from gpt_image_2_mcp.operations import Operations
from gpt_image_2_mcp.ports import Clock, SessionStore, SourceLoader
from gpt_image_2_mcp.pricing import MICRO
from gpt_image_2_mcp.requests import (
    ContinueSessionRequest,
    EditRequest,
    EndSessionRequest,
    GenerateRequest,
    ListSessionsRequest,
    RenderOptions,
    StartSessionRequest,
    TurnOptions,
)

ENDED_MEANWHILE: Final = (
    "The session was ended while this turn was made; start a new one from this picture to go on."
)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where a request says nothing. `output_dir` turns a request's folder into the one to use."""

    model: str
    output_dir: Callable[[str | None], Path]
    sandbox: bool = False


class ImageService:
    """One method a tool, from its request to its result; every error is an ImageServerError."""

    def __init__(
        self,
        operations: Operations,
        sources: SourceLoader,
        sessions: SessionStore,
        defaults: Defaults,
        clock: Clock,
    ) -> None:
        self._operations = operations
        self._sources = sources
        self._sessions = sessions
        self._defaults = defaults
        self._clock = clock

    async def generate(self, request: GenerateRequest) -> ImageResult:
        job = ImageJob("generate", request.prompt, self._options(request))
        placement = self._placement("image", request.output_dir, request.filename_prefix)
        return await self._operations.outliving(self._make(job, placement))

    async def edit(self, request: EditRequest) -> ImageResult:
        job = await self._edit_job(request)
        placement = self._placement("edit", request.output_dir, request.filename_prefix)
        return await self._operations.outliving(self._make(job, placement))

    async def start_session(self, request: StartSessionRequest) -> SessionImageResult:
        job = await self._edit_job(request)
        placement = self._placement("session", request.output_dir, request.filename_prefix, turn=1)
        return await self._operations.outliving(self._start(job, placement))

    async def continue_session(self, request: ContinueSessionRequest) -> SessionImageResult:
        return await self._operations.outliving(self._continue(request))

    async def end_session(self, request: EndSessionRequest) -> EndSessionResult:
        ended = await self._sessions.end(request.session_id)
        return EndSessionResult(ended=ended, session_id=request.session_id)

    async def list_sessions(self, _request: ListSessionsRequest) -> ListSessionsResult:
        return ListSessionsResult(sessions=[_summary(s) for s in await self._sessions.active()])

    async def drain(self) -> None:
        """Wait for every paid call that is under way."""
        await self._operations.drain()

    async def _make(self, job: ImageJob, placement: Placement) -> ImageResult:
        return self._result(job, await self._operations.carry_out(job, placement))

    async def _start(self, job: ImageJob, placement: Placement) -> SessionImageResult:
        completed = await self._operations.carry_out(job, placement)
        now = self._clock()
        session = Session(
            id=f"edit-{int(now.timestamp())}-{secrets.token_hex(4)}",
            created_at=now,
            updated_at=now,
            model=job.model,
            options=turn_options(job.options),
            output_dir=placement.folder,
            filename_prefix=placement.prefix,
            last=Turn(1, job.prompt, completed.images[0], now),
        )
        await self._sessions.add(session)
        return self._session_result(job, completed, session.id, 1)

    async def _continue(self, request: ContinueSessionRequest) -> SessionImageResult:
        async with self._sessions.turn(request.session_id) as session:
            options = self._checked(inherit(request, session))
            image = await self._sources.load_stored(session.last.image)
            job = ImageJob("edit", request.prompt, options, _numbered([image]))
            prefix, number = request.filename_prefix or session.filename_prefix, session.last.number + 1
            placement = self._placement("session", str(session.output_dir), prefix, turn=number)
            completed = await self._operations.carry_out(job, placement)
            turn = Turn(number, job.prompt, completed.images[0], self._clock())
            try:
                await self._sessions.append(session.id, turn, turn_options(options))
            except SessionNotFound:
                completed = replace(completed, notes=(*completed.notes, ENDED_MEANWHILE))
        return self._session_result(job, completed, session.id, number)

    async def _edit_job(self, request: StartSessionRequest) -> ImageJob:
        options = self._options(request)
        images = await asyncio.gather(*(self._sources.load(source) for source in request.images))
        mask = await self._sources.load(request.mask) if request.mask else None
        if mask:
            check_mask(mask, images[0])
            mask = replace(mask, filename="mask.png")
        return ImageJob("edit", request.prompt, options, _numbered(images), mask)

    def _options(self, request: GenerateRequest | StartSessionRequest) -> RenderOptions:
        chosen = request.model_dump(include=set(RenderOptions.model_fields), exclude_none=True)
        return self._checked(RenderOptions.model_validate({"model": self._defaults.model, **chosen}))

    def _checked(self, options: RenderOptions) -> RenderOptions:
        check_options(options, self._clock().date())
        return options

    def _placement(
        self,
        kind: Literal["image", "edit", "session"],
        output_dir: str | None,
        prefix: str | None,
        turn: int | None = None,
    ) -> Placement:
        # Local time, as the original has it: people look for "the one I made at three".
        stamp = self._clock().astimezone().strftime("%Y%m%d-%H%M%S")
        folder = self._defaults.output_dir(output_dir)
        return Placement(folder, kind, stamp, secrets.token_hex(16), prefix, turn)

    def _result(self, job: ImageJob, completed: Completed) -> ImageResult:
        options = job.options
        return ImageResult(
            model=job.model,
            prompt=job.prompt,
            requested=RequestedOptions(
                size=options.size or "auto",
                quality=options.quality or "auto",
                n=job.count,
                format=options.output_format or "png",
            ),
            applied=completed.applied,
            images=[_image_file(image) for image in completed.images],
            usage=completed.usage,
            cost_usd_estimated=None if completed.cost is None else completed.cost / MICRO,
            route="responses" if completed.route == "responses" else None,
            note=" ".join(completed.notes) or None,
            sandbox=self._defaults.sandbox,
        )

    def _session_result(
        self, job: ImageJob, completed: Completed, session_id: str, turn: int
    ) -> SessionImageResult:
        made = self._result(job, completed)
        return SessionImageResult(**dict(made), session_id=session_id, turn=turn)


def turn_options(options: RenderOptions) -> TurnOptions:
    """The part of a job's options that a session keeps."""
    return TurnOptions.model_validate(options.model_dump(include=set(TurnOptions.model_fields)))


def inherit(request: ContinueSessionRequest, session: Session) -> RenderOptions:
    """A turn's options: the session's, with those that the turn sets in their place.

    A compression that the session set goes when the turn asks for a format that has none.
    """
    asked = request.model_dump(include=set(TurnOptions.model_fields), exclude_none=True)
    kept = session.options.model_dump(exclude_none=True)
    format_ = asked.get("output_format")
    if format_ and format_ not in COMPRESSED_FORMATS:
        kept.pop("output_compression", None)
    return RenderOptions.model_validate({**kept, **asked, "model": session.model})


def _numbered(images: Sequence[InputImage]) -> tuple[InputImage, ...]:
    """Neutral file names: what a person calls a file is not the API's business."""
    return tuple(
        replace(image, filename=f"image-{number}.{image.mime_type.removeprefix('image/')}")
        for number, image in enumerate(images, start=1)
    )


def _image_file(image: StoredImage) -> ImageFile:
    return ImageFile(
        file_path=str(image.path),
        filename=image.path.name,
        size_bytes=image.size_bytes,
        mime_type=image.mime_type,
        width=image.size.width,
        height=image.size.height,
    )


def _summary(session: Session) -> SessionSummary:
    return SessionSummary(
        session_id=session.id,
        created_at=_iso(session.created_at),
        updated_at=_iso(session.updated_at),
        turns=session.last.number,
        last_prompt=session.last.prompt,
        last_image_path=str(session.last.image.path),
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
