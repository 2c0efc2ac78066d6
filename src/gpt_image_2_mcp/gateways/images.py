"""The Images API: `images/generations` and `images/edits`.

What is sent equals what the official openai package sends for the same arguments; a test compares the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pybase64
from anyio.to_thread import run_sync
from pydantic import BaseModel, ValidationError

from gpt_image_2_mcp.capabilities import Size
from gpt_image_2_mcp.errors import InvalidAnswer, OutcomeUnknown
from gpt_image_2_mcp.gateways._bodies import Body, read_body
from gpt_image_2_mcp.gateways._events import COMPLETED, is_stream, read_events
from gpt_image_2_mcp.gateways._partials import Partials
from gpt_image_2_mcp.gateways._rejections import error_in_answer, error_in_stream
from gpt_image_2_mcp.gateways._upstream import FilePart, Upstream
from gpt_image_2_mcp.models import (
    Answer,
    AppliedOptions,
    EncodedPicture,
    ImageJob,
    ImageReference,
    InputImage,
    Receipt,
    RequestOutline,
    SentFile,
    SvgUsage,
    Usage,
)
from gpt_image_2_mcp.ports import Spool, Tell
from gpt_image_2_mcp.redaction import clean

M = TypeVar("M", bound=BaseModel)

_APPLIED: Final = {
    "quality": frozenset({"low", "medium", "high", "xhigh", "max", "standard", "hd"}),
    "background": frozenset({"opaque", "transparent"}),
    "output_format": frozenset({"png", "jpeg", "webp", "gif", "svg"}),
}
BROKE_OFF: Final = "The answer broke off; the pictures that had come whole were kept."
NO_PICTURE: Final = "OpenAI's answer holds no picture."
_SLICE: Final = 1024 * 1024
_LONGEST_MODEL: Final = 100
CUT: Final = "OpenAI's stream ended before the picture was complete."


class ImagesGateway:
    """Sends a job as one POST. `stream`: answers are streamed even where no partial pictures are wanted."""

    def __init__(self, upstream: Upstream, *, stream: bool = False) -> None:
        self._upstream = upstream
        self._stream = stream

    async def send(self, job: ImageJob, spool: Spool, tell: Tell) -> Receipt:
        request = await run_sync(api_request, job, self._stream)
        path = await self._upstream.spool(
            request.path,
            spool.bodies("images", 0),
            idempotency_key=spool.operation_id,
            json=request.json,
            data=request.form,
            files=request.files,
            on_partial=Partials(spool, tell, job.partials).keep,
        )
        return Receipt("images", (path,))

    def outline(self, job: ImageJob) -> RequestOutline:
        return api_request(job, self._stream, outlined=True).outline()

    def read(self, receipt: Receipt) -> Answer:
        path = receipt.bodies[0]
        return _read_stream(path) if is_stream(path) else _read_whole(read_body(path, torn=receipt.torn))

    async def tidy(self, spool: Spool) -> None:
        """Nothing is left at the API by this route."""


def _read_whole(body: Body) -> Answer:
    document = body.document
    if body.broke_off:
        return Answer(tuple(body.pictures.values()), read_applied({}), None, BROKE_OFF)
    data = document.get("data")
    entries = data if isinstance(data, list) else []
    found = [body.picture(entry.get("b64_json")) for entry in entries if isinstance(entry, dict)]
    pictures = tuple(picture for picture in found if picture)
    if not pictures and document.get("error"):
        raise error_in_answer(document)
    if not pictures:
        raise InvalidAnswer(NO_PICTURE)
    missing = len(entries) - len(pictures)
    note = f"{missing} of {len(entries)} entries of the answer held no picture." if missing else None
    return Answer(
        pictures,
        read_applied(document),
        read_usage(document.get("usage")),
        note,
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


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request to the Images API: a JSON body, or a form with files."""

    path: str
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: Sequence[FilePart] = ()

    def outline(self) -> RequestOutline:
        files = tuple(
            SentFile(field, name, mime_type, len(data)) for field, (name, data, mime_type) in self.files
        )
        return RequestOutline("POST", self.path, dict(self.json or self.form or {}), files)


def api_request(job: ImageJob, stream: bool = False, *, outlined: bool = False) -> ApiRequest:
    """What is sent for a job. `outlined`: to be looked at, so without the pictures that stand inside JSON.

    An edit goes as a form, since that is the commoner way, and as JSON where only that has a place for
    something. Encodes pictures then: call in a worker thread.
    """
    body = request_body(job, stream)
    if job.action == "generate":
        return ApiRequest("images/generations", json=body)
    if job.in_json:
        body["images"] = [_json_picture(image, outlined=outlined) for image in job.images]
        if job.mask:
            body["mask"] = _json_picture(job.mask, outlined=outlined)
        return ApiRequest("images/edits", json=body)
    form = dict(_fields(body))
    form.pop("moderation", None)  # `auto`, which is what a form without it means; it has no place for another
    return ApiRequest("images/edits", form=form, files=file_parts(job))


def request_body(job: ImageJob, stream: bool = False) -> dict[str, Any]:
    """Prompt and set options by the API's names, in the order in which the openai package writes them: by the
    alphabet after the prompt, save `model` and `stream` of a generation, which come first.

    Several pictures are not streamed: what such a stream looks like is documented nowhere. Nor are pictures
    that move or are drawn in lines: the API refuses that.
    """
    options = api_options(job)
    if job.partials or (stream and job.count == 1 and job.options.output_format not in ("gif", "svg")):
        options["stream"] = True
    ahead = [name for name in ("model", "stream") if name in options and job.action == "generate"]
    values = {**options, "prompt": job.prompt}
    return {name: values[name] for name in (*ahead, "prompt", *sorted(options))}


def api_options(job: ImageJob) -> dict[str, Any]:
    """The options that are set, by the API's names."""
    ours = {"partial_images", "svg_model", "svg_reasoning_effort"}
    options = job.options.model_dump(exclude_none=True, exclude=ours)
    if job.partials:
        options["partial_images"] = job.partials
    if job.options.svg_model:
        effort = job.options.svg_reasoning_effort
        options["svg"] = {
            "model": job.options.svg_model,
            **({"reasoning": {"effort": effort}} if effort else {}),
        }
    return options


def _fields(values: Mapping[str, Any], path: str = "{}") -> Iterator[tuple[str, str]]:
    """Values as a form has them: `svg[reasoning][effort]` for what is nested."""
    for name, value in values.items():
        field = path.format(name)
        if isinstance(value, Mapping):
            yield from _fields(value, f"{field}[{{}}]")
        else:
            yield field, str(value).lower() if isinstance(value, bool) else str(value)


def file_parts(job: ImageJob) -> list[FilePart]:
    """Always the list form `image[]`, with name and MIME type: the single `image` field and nameless parts
    are what OpenAI answered with "Value must be 'dall-e-2'" and "unsupported mimetype".
    """
    pictures = [("image[]", image) for image in job.images if isinstance(image, InputImage)]
    overlays = [("mask", job.mask), ("markup", job.markup)]
    parts = [*pictures, *((name, overlay) for name, overlay in overlays if overlay)]
    return [(name, (image.filename, image.data, image.mime_type)) for name, image in parts]


def _json_picture(image: InputImage | ImageReference, *, outlined: bool) -> dict[str, str]:
    if isinstance(image, ImageReference):
        return {image.kind: image.value}
    data = f"<{len(image.data)} bytes>" if outlined else pybase64.b64encode_as_string(image.data)
    return {"image_url": f"data:{image.mime_type};base64,{data}"}


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
    """The usage of an answer; None where there is none or it has another shape."""
    try:
        return Usage.model_validate(value)
    except ValidationError:
        return None


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
