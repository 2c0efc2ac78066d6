"""What is sent for a job: as OpenAI takes it, and as other servers do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pybase64

from gpt_image_2_mcp.contents import whole
from gpt_image_2_mcp.errors import InvalidRequest, UndecodablePicture
from gpt_image_2_mcp.gateways._parts import file_part
from gpt_image_2_mcp.gateways._upstream import FilePart
from gpt_image_2_mcp.models import ImageJob, ImageReference, InputImage, RequestOutline, SentFile
from gpt_image_2_mcp.pictures import painted_mask
from gpt_image_2_mcp.providers import OPENAI, Provider

_ALWAYS: Final = frozenset({"model", "prompt"})
_STREAMING: Final = frozenset({"stream", "partial_images"})


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request to the Images API: a JSON body, or a form with files, each by the name of its field."""

    path: str
    json: Mapping[str, Any] | None = None
    form: Mapping[str, str] | None = None
    files: Sequence[tuple[str, InputImage]] = ()

    @property
    def parts(self) -> list[FilePart]:
        return [file_part(field, image) for field, image in self.files]

    def outline(self) -> RequestOutline:
        files = tuple(
            SentFile(field, image.filename, image.mime_type, len(image.data)) for field, image in self.files
        )
        return RequestOutline("POST", self.path, dict(self.json or self.form or {}), files)


def api_request(
    job: ImageJob, stream: bool = False, provider: Provider = OPENAI, *, outlined: bool = False
) -> ApiRequest:
    """What is sent for a job. `outlined`: to be looked at, so without the pictures that stand inside JSON.

    An edit goes as a form, since that is the commoner way, and as JSON where only that has a place for
    something. Encodes pictures then, and paints masks: call in a worker thread.

    Raises:
        InvalidRequest: the server does not take such pictures.
    """
    body = _spoken(provider, job, request_body(job, stream))
    if job.action == "generate":
        return ApiRequest(provider.generations, json=body)
    if job.in_json and provider.json_edits:
        body["images"] = [_json_picture(image, outlined=outlined) for image in job.images]
        if job.mask:
            body["mask"] = _json_picture(job.mask, outlined=outlined)
        return ApiRequest("images/edits", json=body)
    if any(isinstance(image, ImageReference) for image in job.images):
        raise _refusal(f"{provider.title} takes no pictures that stand at OpenAI.", "Give a path or URL")
    if provider.edits == "form":
        return ApiRequest("images/edits", form=_form(body), files=_files(provider, job))
    return _edit_elsewhere(job, provider, body, outlined=outlined)


def _edit_elsewhere(job: ImageJob, provider: Provider, body: dict[str, Any], *, outlined: bool) -> ApiRequest:
    """An edit at a server that has no `images/edits`."""
    if provider.edits == "input_references":
        urls = [_json_picture(image, outlined=outlined)["image_url"] for image in job.files]
        body["input_references"] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    elif job.mask is None:
        body["ref_images"] = [_base64(image, outlined=outlined) for image in job.files]
    elif len(job.images) > 1:
        message = f"{provider.title} takes one picture with a mask, not {len(job.images)}."
        raise _refusal(message, "Leave out the mask or the other pictures")
    else:
        return ApiRequest("images/inpainting", form=_form(body), files=_files(provider, job))
    return ApiRequest(provider.generations, json=body)


def _form(body: Mapping[str, Any]) -> dict[str, str]:
    """A form has no place for `moderation`, and without it means `auto`."""
    return {name: value for name, value in _fields(body) if name != "moderation"}


def _refusal(message: str, instead: str) -> InvalidRequest:
    return InvalidRequest(message, hint=f"{instead}; nothing was sent.")


def _spoken(provider: Provider, job: ImageJob, body: Mapping[str, Any]) -> dict[str, Any]:
    """What of a body the server understands."""
    taken = provider.taken(masked=job.mask is not None)
    said = {
        name: value
        for name, value in body.items()
        # Where a server's options are known, `auto` is none of their values: left out it means the same.
        if taken is None or name in _ALWAYS or (name in taken and value != "auto")
    }
    if not provider.streams:
        said = {name: value for name, value in said.items() if name not in _STREAMING}
    if provider.asks_for_base64 and not (job.mask and provider.edits == "ref_images"):
        said["response_format"] = "b64_json"
    return {**said, "model": provider.name_of(job.model)}


def _files(provider: Provider, job: ImageJob) -> list[tuple[str, InputImage]]:
    """A field that is named once takes one file; it is repeated for several."""
    named = [(provider.image_field if name == "image[]" else name, image) for name, image in named_files(job)]
    painted = provider.mask == "white"
    return [(name, _painted(image) if painted and name == "mask" else image) for name, image in named]


def _painted(mask: InputImage) -> InputImage:
    try:
        return replace(mask, data=painted_mask(whole(mask.data)))
    except UndecodablePicture as error:
        raise InvalidRequest(f"The mask cannot be painted for the server: {error.message}") from None


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


def named_files(job: ImageJob) -> list[tuple[str, InputImage]]:
    """Always the list form `image[]`: the single `image` field is what OpenAI answered with "Value must be
    'dall-e-2'".
    """
    pictures = [("image[]", image) for image in job.images if isinstance(image, InputImage)]
    overlays = [("mask", job.mask), ("markup", job.markup)]
    return [*pictures, *((name, overlay) for name, overlay in overlays if overlay)]


def _json_picture(image: InputImage | ImageReference, *, outlined: bool) -> dict[str, str]:
    if isinstance(image, ImageReference):
        return {image.kind: image.value}
    return {"image_url": f"data:{image.mime_type};base64,{_base64(image, outlined=outlined)}"}


def _base64(image: InputImage, *, outlined: bool) -> str:
    return f"<{len(image.data)} bytes>" if outlined else pybase64.b64encode_as_string(whole(image.data))
