"""The Images API: `images/generations` and `images/edits`.

What is sent equals what the official openai package sends for the same arguments; a test compares the bytes.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from gpt_image_2_mcp.errors import InvalidAnswer
from gpt_image_2_mcp.gateways._bodies import read_body
from gpt_image_2_mcp.gateways._rejections import error_in_answer
from gpt_image_2_mcp.gateways._upstream import FilePart, Upstream
from gpt_image_2_mcp.models import Answer, AppliedOptions, ImageJob, InputImage, Receipt, Usage
from gpt_image_2_mcp.ports import Spool
from gpt_image_2_mcp.redaction import clean

BROKE_OFF: Final = "The answer broke off; the pictures that had come whole were kept."


class ImagesGateway:
    """Sends a job as one POST."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def send(self, job: ImageJob, spool: Spool) -> Receipt:
        targets, key = spool.bodies("images", 0), spool.operation_id
        if job.action == "generate":
            body = await self._upstream.spool(
                "images/generations", targets, idempotency_key=key, json=request_body(job)
            )
        else:
            fields = {name: str(value) for name, value in request_body(job).items()}
            body = await self._upstream.spool(
                "images/edits", targets, idempotency_key=key, data=fields, files=file_parts(job)
            )
        return Receipt("images", (body,))

    def read(self, receipt: Receipt) -> Answer:
        body = read_body(receipt.bodies[0], torn=receipt.torn)
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
            raise InvalidAnswer("OpenAI's answer holds no picture.")
        missing = len(entries) - len(pictures)
        note = f"{missing} of {len(entries)} entries of the answer held no picture." if missing else None
        return Answer(pictures, read_applied(document), read_usage(document.get("usage")), note)

    async def tidy(self, spool: Spool) -> None:
        """Nothing is left at the API by this route."""


def request_body(job: ImageJob) -> dict[str, Any]:
    """Prompt and set options by the API's names, in the order in which the openai package writes them: by the
    alphabet after the prompt, save the model of a generation, which comes first.
    """
    options = job.options.model_dump(exclude_none=True)
    body = {"prompt": job.prompt, **{name: options[name] for name in sorted(options)}}
    return {"model": job.model, **body} if job.action == "generate" else body


def file_parts(job: ImageJob) -> list[FilePart]:
    """Always the list form `image[]`, with name and MIME type: the single `image` field and nameless parts
    are what OpenAI answered with "Value must be 'dall-e-2'" and "unsupported mimetype".
    """
    parts = [_part("image[]", image) for image in job.images]
    return [*parts, _part("mask", job.mask)] if job.mask else parts


def _part(field: str, image: InputImage) -> FilePart:
    return field, (image.filename, image.data, image.mime_type)


def read_applied(document: Any) -> AppliedOptions:
    """What an answer says was applied; anything that is not text counts as unsaid."""
    said = {name: document.get(name) for name in AppliedOptions.model_fields}
    words = {name: clean(value, 40) if isinstance(value, str) else "" for name, value in said.items()}
    return AppliedOptions(**{name: word or None for name, word in words.items()})


def read_usage(value: object) -> Usage | None:
    """The usage of an answer; None where there is none or it has another shape."""
    try:
        return Usage.model_validate(value)
    except ValidationError:
        return None
