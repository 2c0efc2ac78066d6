"""Jobs, spools and answers that the gateways' tests share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2

from gpt_image_2_mcp.models import EncodedPicture, ImageJob, InputImage, Route
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.sizes import Size
from gpt_image_2_mcp.stores.spool import FileSpool
from tests.support.upstreams import streamed

PROMPT = 'A "quoted" fox \u2014 \u72d0 \U0001f98a\nsecond line\t\\n </script> %41 & a=b'
USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 40, "image_tokens": 10},
    "output_tokens": 196,
    "total_tokens": 246,
}


OPERATION = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


def spool(*folders: Path) -> FileSpool:
    """The spool of the one operation there is, as it stands on disk."""
    return FileSpool(OPERATION, folders)


async def untold(_phase: str) -> None:
    """Nobody wants to know how far a call is."""


def answer_in(folder: Path, route: Route = "images", leg: int = 0) -> Path:
    """Where an answer stands when it is whole."""
    return folder / f"{OPERATION}.{route}.{leg}.resp"


def job(
    action: Literal["generate", "edit"] = "generate",
    *,
    prompt: str = PROMPT,
    images: tuple[InputImage, ...] = (),
    mask: InputImage | None = None,
    **options: Any,
) -> ImageJob:
    """A job for gpt-image-2; an edit has one picture unless told otherwise."""
    if action == "edit" and not images:
        images = (input_image(),)
    return ImageJob(action, prompt, RenderOptions(**{"model": "gpt-image-2", **options}), images, mask)


def input_image(
    name: str = "fox.png", data: bytes = b"\x89PNG\r\n--\x00\xff", mime: str = "image/png"
) -> InputImage:
    return InputImage(data, name, mime, Size(64, 48), has_alpha=False, mark=name)


def images_answer(*texts: str | None, **more: Any) -> dict[str, Any]:
    """An ImagesResponse with these base64 texts."""
    return {"created": 1, "data": [{"b64_json": text} for text in texts], "usage": USAGE, **more}


def responses_answer(text: str | None = "AAAA", *, usage: Any = USAGE, **call: Any) -> dict[str, Any]:
    """A Response whose image tool was called once."""
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": text, **call}
    tool_usage = {"image_gen": usage} if usage else {}
    return {"id": "resp_1", "error": None, "output": [{"type": "reasoning"}, item], "tool_usage": tool_usage}


def event(type_: str, end: bytes = b"\n", **data: Any) -> bytes:
    """One event as OpenAI writes it."""
    text = json.dumps({"type": type_, **data}, ensure_ascii=False).encode()
    return b"event: " + type_.encode() + end + b"data: " + text + end + end


def stream_of(*events: bytes, then: Callable[[], Awaitable[None]] | None = None) -> httpx2.Response:
    """An answer of these events, one a chunk."""
    return httpx2.Response(
        200, stream=Streamed(*events, then=then), headers={"content-type": "text/event-stream"}
    )


def written(path: Path, body: Any) -> Path:
    """`path` with `body` in it, bytes as they are and anything else as JSON."""
    path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
    return path


def text_of(picture: EncodedPicture) -> str:
    """The base64 text that a picture stands for."""
    return picture.body.read_bytes()[picture.start : picture.end].decode()


class Streamed(httpx2.AsyncByteStream):
    """A body in these chunks, then whatever `then` does: stall or break."""

    def __init__(self, *chunks: bytes, then: Callable[[], Awaitable[None]] | None = None) -> None:
        self._chunks = chunks
        self._then = then

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk
        if self._then:
            await self._then()


def breaking(error: Exception) -> Callable[[], Awaitable[None]]:
    async def raise_it() -> None:
        raise error

    return raise_it


@dataclass
class FakeResponsesApi:
    """Files and Responses in memory: uploads get ids, `answers` are given out one a POST."""

    answers: list[httpx2.Response | Exception] = field(default_factory=list)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        what = request.url.path.removeprefix("/v1/").partition("/")[0]
        self.log.append(f"{request.method} {what}")
        if request.method == "DELETE":
            self.deleted.append(request.url.path.rpartition("/")[2])
            return ok({"deleted": True})
        if what == "files":
            name = f"file-{len(self.uploaded) + 1}"
            self.uploaded[name] = request.content
            return ok({"id": name})
        next_one = self.answers.pop(0) if self.answers else ok(responses_answer())
        if isinstance(next_one, Exception):
            raise next_one
        return next_one


def ok(document: Any) -> httpx2.Response:
    return streamed(200, json.dumps(document).encode())
