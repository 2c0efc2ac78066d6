"""The Responses API with the `image_generation` tool: the way round when the edits endpoint rejects a model.

Inputs go up through the Files API and are deleted afterwards, whatever happens; OpenAI deletes them after an
hour by itself should this process die before.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import (
    ImageServerError,
    InvalidAnswer,
    InvalidRequest,
    OutcomeUnknown,
    Rejected,
    Unreachable,
    UpstreamError,
)
from gpt_image_2_mcp.gateways._bodies import Body, read_body
from gpt_image_2_mcp.gateways._events import ITEM_DONE, RESPONSE_ENDS, is_stream, read_events
from gpt_image_2_mcp.gateways._partials import Partials
from gpt_image_2_mcp.gateways._parts import file_part
from gpt_image_2_mcp.gateways._receiving import OnPartial
from gpt_image_2_mcp.gateways._rejections import error_in_stream
from gpt_image_2_mcp.gateways._requests import api_options
from gpt_image_2_mcp.gateways._upstream import Upstream
from gpt_image_2_mcp.gateways.images import CUT, read_applied, read_svg_usage, read_usage, sum_usages
from gpt_image_2_mcp.models import (
    Answer,
    EncodedPicture,
    ImageJob,
    ImageReference,
    InputImage,
    Receipt,
    RequestOutline,
    SentFile,
    Usage,
)
from gpt_image_2_mcp.ports import Spool, Tell

logger = logging.getLogger(__name__)

UNDERCOUNTED = (
    "The response named no image tokens, so the cost is undercounted: it holds the published price of the "
    "output alone."
)
_UPLOAD_LIFETIME_S: Final = 3600
_CLEAN_UP_S: Final = 10
"""How long deleting inputs may hold up a picture that is there already."""
_NOT_ASKED_YET = "No picture was asked for yet, so nothing was billed: call again."
_NOT_THE_TOOLS: Final = frozenset({"n", "safety_identifier"})
"""Options that the tool has no place for: they are said of the whole response, or by sending it again."""
_NOT_UPLOADED: Final = "<the id of input {}>"
_FILE_ID = re.compile(r"[\w-]{1,200}", re.ASCII)
_INSTRUCTIONS = (
    "Call the image_generation tool exactly once, with the user's text as its prompt, word for word, and the "
    "user's pictures as its input. Write nothing else."
)


class ResponsesGateway:
    """Sends a job as one POST per picture: the tool knows no `n`."""

    def __init__(self, upstream: Upstream, host_model: str, *, stream: bool = False) -> None:
        self._upstream = upstream
        self._host_model = host_model
        self._stream = stream

    async def send(self, job: ImageJob, spool: Spool, tell: Tell) -> Receipt:
        self._check(job)
        async with self._uploaded(job, spool) as (images, mask):
            body = self.request_body(job, images, mask)
            keep = Partials(spool, tell, job.partials).keep
            legs = (self._send_leg(body, spool, leg, keep) for leg in range(job.count))
            outcomes = await asyncio.gather(*legs, return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        arrived = tuple(outcome for outcome in outcomes if isinstance(outcome, Path))
        failures.sort(key=_gravity)
        if failures and (not arrived or not isinstance(failures[0], ImageServerError)):
            raise failures[0]
        salvaged = await run_sync(_broken_off_late, spool, arrived) if failures else ()
        lost = len(failures) - len(salvaged)
        note = f"{lost} of {job.count} pictures failed: {failures[0]}" if lost else None
        return Receipt("responses", arrived + salvaged, note, torn=bool(salvaged))

    def _check(self, job: ImageJob) -> None:
        identifier = job.options.safety_identifier
        if identifier is not None and len(identifier) > 64:
            raise InvalidRequest(
                "`safety_identifier` takes at most 64 characters on the Responses route.",
                hint="Shorten it; nothing was sent.",
            )
        if job.markup:
            raise InvalidRequest(
                "`markup` has no place on the Responses route.", hint="Leave it out; nothing was sent."
            )

    def outline(self, job: ImageJob) -> RequestOutline:
        references = [
            _referred(image)
            if isinstance(image, ImageReference)
            else {"file_id": _NOT_UPLOADED.format(number)}
            for number, image in enumerate(job.images, start=1)
        ]
        mask = _NOT_UPLOADED.format("mask") if job.mask else None
        files = tuple(SentFile("file", f.filename, f.mime_type, len(f.data)) for f in job.files)
        return RequestOutline("POST", "responses", self.request_body(job, references, mask), files)

    async def _send_leg(self, body: dict[str, Any], spool: Spool, leg: int, on_partial: OnPartial) -> Path:
        targets, key = spool.bodies("responses", leg), f"{spool.operation_id}-{leg}"
        # Its headers tell of the host model's limits, not of the pictures'.
        came = await self._upstream.spool(
            "responses", targets, idempotency_key=key, json=body, on_partial=on_partial
        )
        return came.path

    def request_body(
        self, job: ImageJob, images: Sequence[Mapping[str, str]], mask: str | None
    ) -> dict[str, Any]:
        """The response to create; `images` say where each picture is, `mask` is a file id."""
        kept = {name: value for name, value in api_options(job).items() if name not in _NOT_THE_TOOLS}
        tool: dict[str, Any] = {"type": "image_generation", "action": job.action, **kept}
        if mask:
            tool["input_image_mask"] = {"file_id": mask}
        identifier = job.options.safety_identifier
        content: list[dict[str, Any]] = [{"type": "input_text", "text": job.prompt}]
        content += ({"type": "input_image", "detail": "high", **image} for image in images)
        return {
            "model": self._host_model,
            **({"stream": True} if job.partials or self._stream else {}),
            "input": [{"role": "user", "content": content}],
            "instructions": _INSTRUCTIONS,
            **({"safety_identifier": identifier} if identifier else {}),
            "store": False,
            "tool_choice": {"type": "image_generation"},
            "tools": [tool],
        }

    @asynccontextmanager
    async def _uploaded(
        self, job: ImageJob, spool: Spool
    ) -> AsyncIterator[tuple[list[dict[str, str]], str | None]]:
        """Where each picture of the job is, and the mask."""

        async def upload(image: InputImage) -> str:
            file_id = await self._upload(image)
            await run_sync(spool.note_upload, file_id)
            return file_id

        try:
            images: list[dict[str, str]] = []
            for image in job.images:
                if isinstance(image, ImageReference):
                    images.append(_referred(image))
                else:
                    images.append({"file_id": await upload(image)})
            yield images, (await upload(job.mask) if job.mask else None)
        finally:
            await asyncio.shield(self.tidy(spool))

    async def tidy(self, spool: Spool) -> None:
        """Delete the uploads that the spool remembers."""
        ids = await run_sync(spool.uploads)
        if ids:
            await self._delete(ids)
            await run_sync(spool.drop_uploads)

    async def _upload(self, image: InputImage) -> str:
        fields = {
            "purpose": "vision",
            "expires_after[anchor]": "created_at",
            "expires_after[seconds]": str(_UPLOAD_LIFETIME_S),
        }
        parts = [file_part("file", image)]
        try:
            file_id = (await self._upstream.call("POST", "files", data=fields, files=parts)).get("id")
        except OutcomeUnknown as error:
            message = f"An input picture could not be uploaded. {error.message}"
            raise Unreachable(message, hint=_NOT_ASKED_YET, request_id=error.request_id) from None
        if not isinstance(file_id, str) or not _FILE_ID.fullmatch(file_id):
            raise Unreachable("OpenAI's Files API returned no file id.", hint=_NOT_ASKED_YET)
        return file_id

    async def _delete(self, ids: tuple[str, ...]) -> None:
        try:
            async with asyncio.timeout(_CLEAN_UP_S):
                for file_id in ids:
                    await self._delete_one(file_id)
        except TimeoutError:
            logger.warning("uploaded inputs were left to expire by themselves in an hour: no answer in time")

    async def _delete_one(self, file_id: str) -> None:
        try:
            await self._upstream.call("DELETE", f"files/{file_id}")
        except UpstreamError as error:
            logger.warning("an uploaded input was left to expire by itself in an hour: %s", error.message)

    async def complete(self, receipt: Receipt, _spool: Spool) -> Receipt:
        """Its pictures stand in its answers."""
        return receipt

    def read(self, receipt: Receipt) -> Answer:
        """The answers of all legs as one; a leg without a picture is noted while another has one."""
        pictures: list[EncodedPicture] = []
        usages: list[Usage | None] = []
        errors: list[UpstreamError] = []
        applied, partials, author = read_applied({}), 0, None
        for path in receipt.bodies:
            try:
                body, came = _read_leg(path, torn=receipt.torn)
                call, found = _find_pictures(body, came)
            except UpstreamError as error:
                errors.append(error)
                continue
            pictures += found
            partials += came
            applied, author = read_applied(call), author or read_svg_usage(call.get("svg_usage"))
            usages.append(_tool_usage(body.document))
        if not pictures:
            raise min(errors, key=_gravity)
        usage = sum_usages([u for u in usages if u]) if all(usages) else None
        failed = f"{len(errors)} more failed: {errors[0].message}" if errors else None
        notes = [note for note in (failed, None if usage else UNDERCOUNTED) if note]
        return Answer(tuple(pictures), applied, usage, " ".join(notes) or None, partials, author)


def _referred(image: ImageReference) -> dict[str, str]:
    return {image.kind: image.value}


def _gravity(failure: BaseException) -> int:
    """Sorts what must be told first to the front: a bug, then a leg that may have been billed.

    What is in front also decides whether all legs are sent again.
    """
    if not isinstance(failure, ImageServerError):
        return 0
    refused = isinstance(failure, UpstreamError) and failure.should_retry
    return 2 if refused or isinstance(failure, Rejected | Unreachable) else 1


def _broken_off_late(spool: Spool, arrived: tuple[Path, ...]) -> tuple[Path, ...]:
    """Answers that broke off after their picture."""
    torn = spool.torn()
    return tuple(p for p in (torn.bodies if torn else ()) if p not in arrived and _holds_a_picture(p))


def _holds_a_picture(path: Path) -> bool:
    try:
        body, _ = _read_leg(path, torn=True)
        return bool(body.pictures)
    except UpstreamError:
        return False


def _read_leg(path: Path, *, torn: bool) -> tuple[Body, int]:
    """One answer, and how many partial pictures came with it."""
    return _read_stream(path) if is_stream(path) else (read_body(path, torn=torn), 0)


def _read_stream(path: Path) -> tuple[Body, int]:
    """What a stream says as the answer it would have been without one.

    The last event holds everything. A stream that broke off before it has the calls that were done.
    """
    whole: Body | None = None
    done: list[Body] = []
    partials, error = 0, None
    for event in read_events(path):
        partials += event.is_partial
        error = error or event.error
        if event.type in RESPONSE_ENDS and not event.broke_off:
            whole = event.body(path)
        elif event.type == ITEM_DONE or event.type in RESPONSE_ENDS:
            done.append(event.body(path))
    response = whole.document.get("response") if whole else None
    said = response if isinstance(response, dict) else {}
    if whole and whole.pictures:
        return Body(said, whole.pictures), partials
    body = _pieced_together({**said, **(error or {})}, done)
    if not (whole or error or body.pictures or any(_item(each).get("error") for each in done)):
        raise OutcomeUnknown(CUT)
    return body, partials


def _pieced_together(said: Mapping[str, Any], done: list[Body]) -> Body:
    """An answer of calls that were done, and of what the response said beside them."""
    whole = [body for body in done if not body.broke_off]
    pictures = {name: picture for body in whole for name, picture in body.pictures.items()}
    if not pictures and (broken := next((body for body in done if body.pictures), None)):
        return broken
    items = [item for body in whole if (item := _item(body))]
    return Body({**said, "output": items or said.get("output")}, pictures)


def _item(done: Body) -> Mapping[str, Any]:
    item = done.document.get("item")
    return item if isinstance(item, dict) else {}


def _find_pictures(body: Body, partials: int) -> tuple[Mapping[str, Any], list[EncodedPicture]]:
    """The first call that made a picture, and the pictures of all: each one was billed."""
    if body.broke_off:
        return {}, list(body.pictures.values())
    output = body.document.get("output")
    calls = [
        item
        for item in (output if isinstance(output, list) else [])
        if isinstance(item, dict) and item.get("type") == "image_generation_call"
    ]
    made = [(call, picture) for call in calls if (picture := body.picture(call.get("result")))]
    if made:
        return made[0][0], [picture for _, picture in made]
    for holder in (*calls, body.document):
        if holder.get("error"):
            raise error_in_stream(holder, partials)
    raise InvalidAnswer("The host model answered without calling the image tool.")


def _tool_usage(document: Mapping[str, Any]) -> Usage | None:
    tools = document.get("tool_usage")
    return read_usage(tools.get("image_gen")) if isinstance(tools, dict) else None
