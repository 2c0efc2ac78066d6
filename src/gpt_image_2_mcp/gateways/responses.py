"""The Responses API with the `image_generation` tool: the way round when the edits endpoint rejects a model.

Inputs go up through the Files API and are deleted afterwards, whatever happens; OpenAI deletes them after an
hour by itself should this process die before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gpt_image_2_mcp.errors import ImageServerError, InvalidAnswer, InvalidRequest, UpstreamError
from gpt_image_2_mcp.gateways._bodies import Body, read_body
from gpt_image_2_mcp.gateways._rejections import error_in_answer
from gpt_image_2_mcp.gateways._upstream import Upstream
from gpt_image_2_mcp.gateways.images import read_applied, read_usage
from gpt_image_2_mcp.models import (
    Answer,
    EncodedPicture,
    ImageJob,
    InputImage,
    InputTokens,
    OutputTokens,
    Receipt,
    Usage,
)
from gpt_image_2_mcp.ports import Spool

logger = logging.getLogger(__name__)

UNDERCOUNTED = (
    "The response named no image tokens, so the cost is undercounted: it holds the published price of the "
    "output alone."
)
_UPLOAD_LIFETIME_S = 3600
_INSTRUCTIONS = (
    "Call the image_generation tool exactly once, with the user's text as its prompt, word for word, and the "
    "user's pictures as its input. Write nothing else."
)


class ResponsesGateway:
    """Sends a job as one POST per picture: the tool knows no `n`."""

    def __init__(self, upstream: Upstream, host_model: str) -> None:
        self._upstream = upstream
        self._host_model = host_model

    async def send(self, job: ImageJob, spool: Spool) -> Receipt:
        if job.options.user is not None and len(job.options.user) > 64:
            raise InvalidRequest("`user` takes at most 64 characters on the Responses route.")
        async with self._uploaded(job) as (images, mask):
            body = self.request_body(job, images, mask)
            targets = [spool.body(leg) for leg in range(job.count)]
            sent = (self._upstream.spool("responses", target, json=body) for target in targets)
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
        failures = [outcome for outcome in outcomes if outcome is not None]
        arrived = tuple(t for t, outcome in zip(targets, outcomes, strict=True) if outcome is None)
        unexpected = [error for error in failures if not isinstance(error, ImageServerError)]
        if unexpected or not arrived:
            raise (unexpected or failures)[0]
        note = f"{len(failures)} of {job.count} pictures failed: {failures[0]}" if failures else None
        return Receipt("responses", arrived, note)

    def request_body(self, job: ImageJob, images: list[str], mask: str | None) -> dict[str, Any]:
        """The response to create; `images` and `mask` are file ids."""
        options = job.options.model_dump(exclude_none=True, exclude={"n", "user"})
        tool: dict[str, Any] = {"type": "image_generation", "action": job.action, **options}
        if mask:
            tool["input_image_mask"] = {"file_id": mask}
        content: list[dict[str, Any]] = [{"type": "input_text", "text": job.prompt}]
        content += ({"type": "input_image", "detail": "high", "file_id": file_id} for file_id in images)
        return {
            "input": [{"role": "user", "content": content}],
            "instructions": _INSTRUCTIONS,
            "model": self._host_model,
            "store": False,
            "tool_choice": {"type": "image_generation"},
            "tools": [tool],
            **({"user": job.options.user} if job.options.user else {}),
        }

    @asynccontextmanager
    async def _uploaded(self, job: ImageJob) -> AsyncIterator[tuple[list[str], str | None]]:
        ids: list[str] = []
        try:
            for image in (*job.images, *([job.mask] if job.mask else [])):
                ids.append(await self._upload(image))  # noqa: PERF401 - what is up must be known if one fails
            yield ids[: len(job.images)], (ids[-1] if job.mask else None)
        finally:
            await asyncio.shield(self._delete(ids))

    async def _upload(self, image: InputImage) -> str:
        fields = {
            "purpose": "vision",
            "expires_after[anchor]": "created_at",
            "expires_after[seconds]": str(_UPLOAD_LIFETIME_S),
        }
        parts = [("file", (image.filename, image.data, image.mime_type))]
        file_id = (await self._upstream.call("POST", "files", data=fields, files=parts)).get("id")
        if not isinstance(file_id, str) or not file_id:
            raise InvalidAnswer("OpenAI's Files API returned no file id.")
        return file_id

    async def _delete(self, ids: list[str]) -> None:
        for file_id in ids:
            try:
                await self._upstream.call("DELETE", f"files/{file_id}")
            except UpstreamError as error:
                logger.warning("an uploaded input was left to expire by itself in an hour: %s", error.message)

    def read(self, receipt: Receipt) -> Answer:
        """The answers of all legs as one; a leg without a picture is noted while another has one."""
        pictures: list[EncodedPicture] = []
        usages: list[Usage | None] = []
        errors: list[UpstreamError] = []
        applied = read_applied({})
        for path in receipt.bodies:
            try:
                body = read_body(path)
                call, picture = _find_call(body)
            except UpstreamError as error:
                errors.append(error)
                continue
            pictures.append(picture)
            applied = read_applied(call)
            usages.append(_tool_usage(body.document))
        if not pictures:
            raise errors[0]
        usage = _sum([u for u in usages if u]) if all(usages) else None
        failed = f"{len(errors)} more failed: {errors[0].message}" if errors else None
        notes = [note for note in (receipt.note, failed, None if usage else UNDERCOUNTED) if note]
        return Answer(tuple(pictures), applied, usage, " ".join(notes) or None)


def _find_call(body: Body) -> tuple[Mapping[str, Any], EncodedPicture]:
    output = body.document.get("output")
    calls = [
        item
        for item in (output if isinstance(output, list) else [])
        if isinstance(item, dict) and item.get("type") == "image_generation_call"
    ]
    for call in calls:
        if picture := body.picture(call.get("result")):
            return call, picture
    for holder in (*calls, body.document):
        if holder.get("error"):
            raise error_in_answer(holder)
    raise InvalidAnswer("The host model answered without calling the image tool.")


def _tool_usage(document: Mapping[str, Any]) -> Usage | None:
    tools = document.get("tool_usage")
    return read_usage(tools.get("image_gen")) if isinstance(tools, dict) else None


def _sum(usages: list[Usage]) -> Usage:
    inputs = [u.input_tokens_details or InputTokens() for u in usages]
    outputs = [u.output_tokens_details for u in usages if u.output_tokens_details]
    return Usage(
        input_tokens=sum(u.input_tokens for u in usages),
        output_tokens=sum(u.output_tokens for u in usages),
        total_tokens=sum(u.total_tokens for u in usages),
        input_tokens_details=InputTokens(
            text_tokens=sum(d.text_tokens for d in inputs), image_tokens=sum(d.image_tokens for d in inputs)
        ),
        output_tokens_details=OutputTokens(
            text_tokens=sum(d.text_tokens for d in outputs), image_tokens=sum(d.image_tokens for d in outputs)
        )
        if outputs
        else None,
    )
