"""The Images API: `images/generations` and `images/edits`.

What is sent equals what the official openai package sends for the same arguments; a test compares the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from anyio.to_thread import run_sync
from pydantic import BaseModel, ValidationError

from gpt_image_2_mcp.errors import InvalidAnswer, OutcomeUnknown
from gpt_image_2_mcp.gateways._addressed import Addressed, addresses, nowhere
from gpt_image_2_mcp.gateways._bodies import Body, read_body
from gpt_image_2_mcp.gateways._events import COMPLETED, is_stream, read_events
from gpt_image_2_mcp.gateways._partials import Partials
from gpt_image_2_mcp.gateways._rejections import error_in_answer, error_in_stream
from gpt_image_2_mcp.gateways._requests import api_request
from gpt_image_2_mcp.gateways._upstream import Upstream
from gpt_image_2_mcp.models import (
    Answer,
    AppliedOptions,
    EncodedPicture,
    ImageJob,
    Receipt,
    RequestOutline,
    SvgUsage,
    Usage,
)
from gpt_image_2_mcp.ports import Fetch, Spool, Tell
from gpt_image_2_mcp.providers import OPENAI, Provider
from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.sizes import Size

M = TypeVar("M", bound=BaseModel)

_APPLIED: Final = {
    "quality": frozenset({"low", "medium", "high", "xhigh", "max", "standard", "hd"}),
    "background": frozenset({"opaque", "transparent"}),
    "output_format": frozenset({"png", "jpeg", "webp", "gif", "svg"}),
}
BROKE_OFF: Final = "The answer broke off; the pictures that had come whole were kept."
NO_PICTURE: Final = "The answer holds no picture."
_SLICE: Final = 128 * 1024
_LONGEST_MODEL: Final = 100
CUT: Final = "OpenAI's stream ended before the picture was complete."


class ImagesGateway:
    """Sends a job as one POST. `stream`: answers are streamed even where no partial pictures are wanted.

    `fetch` reads pictures that a server answers with as addresses of other servers.
    """

    def __init__(
        self,
        upstream: Upstream,
        provider: Provider = OPENAI,
        fetch: Fetch = nowhere,
        *,
        stream: bool = False,
    ) -> None:
        self._upstream, self._provider = upstream, provider
        self._addressed = Addressed(upstream, fetch)
        self._stream = stream

    async def send(self, job: ImageJob, spool: Spool, tell: Tell) -> Receipt:
        build, edit = partial(api_request, job, self._stream, self._provider), job.action == "edit"
        request = await run_sync(build) if edit else build()
        came = await self._upstream.spool(
            request.path,
            spool.bodies("images", 0),
            idempotency_key=spool.operation_id,
            json=request.json,
            data=request.form,
            files=request.parts,
            large=edit and request.json is not None,
            on_partial=Partials(spool, tell, job.partials).keep,
        )
        return Receipt("images", (came.path,), images_per_minute=came.images_per_minute)

    def outline(self, job: ImageJob) -> RequestOutline:
        return api_request(job, self._stream, self._provider, outlined=True).outline()

    async def complete(self, receipt: Receipt, spool: Spool) -> Receipt:
        return await self._addressed.complete(receipt, spool)

    def read(self, receipt: Receipt) -> Answer:
        path = receipt.bodies[0]
        if is_stream(path):
            return _read_stream(path)
        body, fetched = read_body(path, torn=receipt.torn), dict(receipt.fetched)
        answer = _read_whole(body, fetched, self._provider.title)
        notes = [note for note in (answer.note, self._provider.note) if note]
        return replace(answer, note=" ".join(notes) or None)

    async def tidy(self, spool: Spool) -> None:
        """Nothing is left at the API by this route."""


def _read_whole(body: Body, fetched: Mapping[int, Path], server: str) -> Answer:
    document = body.document
    if body.broke_off:
        return Answer(tuple(body.pictures.values()), read_applied({}), None, BROKE_OFF)
    data = document.get("data")
    entries = data if isinstance(data, list) else []
    brought = {index: EncodedPicture(path, 0, path.stat().st_size) for index, path in fetched.items()}
    found = [
        (body.pictured(entry) if isinstance(entry, dict) else None) or brought.get(index)
        for index, entry in enumerate(entries)
    ]
    pictures = tuple(picture for picture in found if picture)
    away = len(addresses(body).keys() - fetched.keys())
    if not pictures and document.get("error"):
        raise error_in_answer(document, server)
    if not pictures and not away:
        raise InvalidAnswer(NO_PICTURE)
    missing = len(entries) - len(pictures)
    note = f"{missing} of {len(entries)} entries of the answer held no picture." if missing else None
    return Answer(
        pictures,
        read_applied(document),
        read_usage(document.get("usage")),
        note,
        away=away,
        svg_usage=read_svg_usage(document.get("svg_usage")),
    )


def _read_stream(path: Path) -> Answer:
    """What a stream holds, whole or broken off: a picture is one that is completed, a partial one never."""
    made: dict[bytes, tuple[EncodedPicture, Body]] = {}
    partials, error, ended = 0, None, False
    for event in read_events(path):
        partials += event.is_partial
        error = error or event.error
        ended |= event.type in COMPLETED
        if event.type in COMPLETED and (picture := _picture_in(body := event.body(path))):
            made.setdefault(_digest(picture), (picture, body))
    if made:
        return _completed(list(made.values()), partials)
    if error:
        raise error_in_stream(error, partials)
    raise InvalidAnswer(NO_PICTURE) if ended else OutcomeUnknown(CUT)


def _picture_in(body: Body) -> EncodedPicture | None:
    if body.broke_off:
        return next(iter(body.pictures.values()))
    return body.picture(body.document.get("b64_json"))


def _completed(made: list[tuple[EncodedPicture, Body]], partials: int) -> Answer:
    bodies = [body for _, body in made]
    usages = [read_usage(body.document.get("usage")) for body in bodies]
    usage = sum_usages([each for each in usages if each]) if all(usages) else None
    note = BROKE_OFF if any(body.broke_off for body in bodies) else None
    pictures = tuple(picture for picture, _ in made)
    return Answer(pictures, read_applied(bodies[0].document), usage, note, partials)


def _digest(picture: EncodedPicture) -> bytes:
    """Tells a picture that comes twice from two pictures."""
    digest, left = hashlib.sha256(), picture.end - picture.start
    with picture.body.open("rb") as file:
        file.seek(picture.start)
        while left and (text := file.read(min(left, _SLICE))):
            digest.update(text)
            left -= len(text)
    return digest.digest()


def read_applied(document: Any) -> AppliedOptions:
    """What an answer says was applied, in the words that there are; another counts as unsaid.

    An answer is a stranger's text, and these are shown to the model as facts.
    """
    said = {name: document.get(name) for name in AppliedOptions.model_fields}
    return AppliedOptions(**{name: _known(name, value) for name, value in said.items()})


def _known(name: str, value: object) -> str | None:
    if not isinstance(value, str):
        return None
    known = value in _APPLIED[name] if name in _APPLIED else Size.parse(value) is not None
    return value if known or value == "auto" else None


def read_usage(value: object) -> Usage | None:
    """The usage of an answer; None where there is none, it has another shape, or nothing was counted: some
    servers send zeros (LocalAI, 2026-08-22), which is no picture for nothing.
    """
    try:
        usage = Usage.model_validate(value)
    except ValidationError:
        return None
    return usage if usage.input_tokens or usage.output_tokens else None


def read_svg_usage(value: object) -> SvgUsage | None:
    """What the author of a drawing took, with its name made safe to show; None where nothing is said."""
    try:
        found = SvgUsage.model_validate(value)
    except ValidationError:
        return None
    return found.model_copy(update={"model": clean(found.model, _LONGEST_MODEL)})


def sum_usages(usages: list[Usage]) -> Usage:
    """The usage of several answers to one call; at least one."""
    return Usage(
        input_tokens=sum(u.input_tokens for u in usages),
        output_tokens=sum(u.output_tokens for u in usages),
        total_tokens=sum(u.total_tokens for u in usages),
        input_tokens_details=_added([u.input_tokens_details for u in usages]),
        output_tokens_details=_added([u.output_tokens_details for u in usages]),
        cached_tokens_details=_added([u.cached_tokens_details for u in usages]),
    )


def _added(details: list[M | None]) -> M | None:
    """Field by field; None where no leg has any."""
    known = [each for each in details if each is not None]
    if not known:
        return None
    kind = type(known[0])
    return kind(**{name: sum(getattr(each, name) for each in known) for name in kind.model_fields})
