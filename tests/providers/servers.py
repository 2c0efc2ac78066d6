"""Stand-ins for servers that speak the Images API, each as strict as the real one is said to be."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final

import httpx2
from PIL import Image
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.support.pictures import picture
from tests.support.upstreams import CANARY, Recorder

MADE: Final = picture(96, 64, color="orange")
TEXT: Final = base64.b64encode(MADE).decode()
USAGE: Final = {"input_tokens": 10, "output_tokens": 196, "total_tokens": 206}
FORBIDDEN: Final = "forbidden"
"""A word in a prompt that content filters stop at."""

Answer = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """What a stand-in answers instead."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        self.response = JSONResponse(body, status, {name.replace("_", "-"): v for name, v in headers.items()})


@dataclass
class Form:
    """A multipart body: text fields, and the files of each field."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[bytes]] = field(default_factory=dict)


async def form_of(request: Request) -> Form:
    assert request.headers["content-type"].startswith("multipart/form-data")
    found = Form()
    async with request.form() as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                assert value.filename
                assert value.content_type in ("image/png", "image/jpeg", "image/webp")
                found.files.setdefault(name, []).append(await value.read())
            else:
                found.fields[name] = value
    return found


async def json_of(request: Request) -> dict[str, Any]:
    assert request.headers["content-type"] == "application/json"
    body: dict[str, Any] = json.loads(await request.body())
    return body


def recorded(*routes: tuple[str, str, Answer]) -> Recorder:
    """A server with these routes: method, path and answer."""

    def answering(answer: Answer) -> Answer:
        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except Refusal as refusal:
                return refusal.response

        return answered

    app = Starlette(
        routes=[Route(path, answering(answer), methods=[method]) for method, path, answer in routes]
    )
    return Recorder(httpx2.ASGITransport(app))


def b64(count: int = 1, **more: Any) -> Response:
    return JSONResponse({"created": 1, "data": [{"b64_json": TEXT}] * count, **more})


def with_bearer(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {CANARY}" or "api-key" in request.headers:
        raise Refusal(401, {"error": {"message": "no key", "code": "invalid_api_key"}})


def azure(image_field: str = "image[]") -> Recorder:
    """Its v1 API: the key in `api-key`, the deployment `my-images`; one field for pictures, whichever."""

    def check(request: Request, said: dict[str, Any]) -> None:
        if request.headers.get("api-key") != CANARY or "authorization" in request.headers:
            raise Refusal(401, {"error": {"code": "401", "message": "Access denied"}})
        if said["model"] != "my-images":
            message = "The API deployment for this resource does not exist."
            raise Refusal(404, {"error": {"code": "DeploymentNotFound", "message": message}})
        if FORBIDDEN in said["prompt"]:
            message = "Your task failed as a result of our safety system."
            body = {"error": {"code": "contentFilter", "message": message}}
            raise Refusal(400, body, x_ms_request_id="ms-42")

    async def generations(request: Request) -> Response:
        body = await json_of(request)
        check(request, body)
        if "response_format" in body:
            raise Refusal(400, {"error": {"message": "Unknown parameter", "code": "unknown_parameter"}})
        return b64(body.get("n", 1), usage=USAGE, output_format="png")

    async def edits(request: Request) -> Response:
        form = await form_of(request)
        check(request, form.fields)
        if set(form.files) - {"mask"} != {image_field}:
            message = "Invalid image file or mode for image 1, please check your image file."
            raise Refusal(400, {"error": {"message": message, "code": "invalid_image_file"}})
        return b64(usage=USAGE)

    return recorded(
        ("POST", "/openai/v1/images/generations", generations), ("POST", "/openai/v1/images/edits", edits)
    )


def sd_cpp() -> Recorder:
    """stable-diffusion.cpp: errors are strings, sizes default to 512x512, masks are seen in grey."""

    def refuse(text: str) -> Refusal:
        return Refusal(400, {"error": text})

    async def generations(request: Request) -> Response:
        body = await json_of(request)
        if body["prompt"] == "crash":
            return JSONResponse({"error": "server_error", "message": "out of memory"}, 500)
        if body.get("output_format", "png") not in ("png", "jpeg", "webp"):
            raise refuse("invalid output_format")
        assert set(body) <= {"model", "prompt", "n", "size", "output_format", "output_compression"}
        return b64(body.get("n", 1), output_format=body.get("output_format", "png"))

    async def edits(request: Request) -> Response:
        form = await form_of(request)
        if not form.files.get("image[]") and not form.files.get("image"):
            raise refuse("at least one image[] required")
        if form.fields.get("output_format", "png") not in ("png", "jpeg"):
            raise refuse("invalid output_format")
        if "mask" in form.files:
            grey = Image.open(BytesIO(form.files["mask"][0])).convert("L")
            clear, kept = grey.getpixel((0, 0)), grey.getpixel((grey.width - 1, 0))
            if (clear, kept) != (255, 0):
                raise refuse("the mask marks nothing")
        return b64()

    return recorded(("POST", "/v1/images/generations", generations), ("POST", "/v1/images/edits", edits))


@dataclass
class LocalAi:
    """Answers with addresses on itself unless asked for base64; has no edits but inpainting."""

    kept: dict[str, bytes] = field(default_factory=lambda: {"a.png": MADE})
    base: str = "http://localhost:8080"

    def recorder(self) -> Recorder:
        return recorded(
            ("POST", "/v1/images/generations", self._generations),
            ("POST", "/v1/images/inpainting", self._inpainting),
            ("GET", "/generated-images/{name}", self._kept),
        )

    async def _generations(self, request: Request) -> Response:
        body = await json_of(request)
        if body["model"] == "none":
            raise Refusal(500, {"error": {"code": 500, "message": "could not load model", "type": ""}})
        for text in body.get("ref_images", []):
            Image.open(BytesIO(base64.b64decode(text, validate=True)))
        if body.get("response_format") == "b64_json":
            nothing = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
            return b64(body.get("n", 1), usage=nothing)
        return self._addressed()

    async def _inpainting(self, request: Request) -> Response:
        form = await form_of(request)
        if {name: len(files) for name, files in form.files.items()} != {"image": 1, "mask": 1}:
            raise Refusal(400, {"error": {"code": 400, "message": "missing image file", "type": ""}})
        assert Image.open(BytesIO(form.files["mask"][0])).mode == "L"
        return self._addressed()

    def _addressed(self) -> Response:
        return JSONResponse({"created": 1, "data": [{"url": f"{self.base}/generated-images/a.png"}]})

    async def _kept(self, request: Request) -> Response:
        data = self.kept.get(request.path_params["name"])
        return Response(data, 200, media_type="image/png") if data else Response("gone", 404)


def vllm_omni() -> Recorder:
    """Serves one model and says so; sizes are numbers; there is no usage."""

    def check(said: dict[str, Any]) -> None:
        if said.get("model") != "Qwen/Qwen-Image":
            raise Refusal(400, {"detail": "Model mismatch: request specifies another model"})
        if said.get("size") is not None and "x" not in said["size"]:
            wrong = {"loc": ["body", "size"], "msg": "size must be in format 'WIDTHxHEIGHT'", "type": "value"}
            raise Refusal(422, {"detail": [wrong]})
        if said.get("response_format", "b64_json") not in ("b64_json", "file"):
            raise Refusal(422, {"detail": [{"loc": ["body", "response_format"], "msg": "not supported"}]})

    async def generations(request: Request) -> Response:
        body = await json_of(request)
        check(body)
        return b64(body.get("n", 1), size="96x64", output_format="png")

    async def edits(request: Request) -> Response:
        form = await form_of(request)
        check(form.fields)
        if not form.files.get("image") and not form.files.get("image[]"):
            raise Refusal(422, {"detail": "Field 'image' or 'url' is required"})
        assert "stream" not in form.fields
        return b64()

    return recorded(("POST", "/v1/images/generations", generations), ("POST", "/v1/images/edits", edits))


def sglang() -> Recorder:
    """Wants `response_format`, for no storage is set up; counts as chat servers do."""

    def check(said: dict[str, Any]) -> None:
        if said.get("response_format") != "b64_json":
            raise Refusal(400, {"detail": "response_format='url' requires cloud storage to be configured."})

    usage = {"prompt_tokens": 12, "completion_tokens": 0, "total_tokens": 12, "image_count": 1}

    async def generations(request: Request) -> Response:
        body = await json_of(request)
        check(body)
        return b64(body.get("n", 1), usage=usage)

    async def edits(request: Request) -> Response:
        form = await form_of(request)
        check(form.fields)
        if not form.files.get("image") and not form.files.get("image[]"):
            raise Refusal(422, {"detail": "Field 'image' or 'url' is required"})
        return b64(usage=usage)

    return recorded(("POST", "/v1/images/generations", generations), ("POST", "/v1/images/edits", edits))


def litellm() -> Recorder:
    """A proxy before OpenAI: wants its token, and one of the two image fields."""

    async def generations(request: Request) -> Response:
        with_bearer(request)
        body = await json_of(request)
        return b64(body.get("n", 1), usage=USAGE, size=body.get("size"), quality=body.get("quality"))

    async def edits(request: Request) -> Response:
        with_bearer(request)
        form = await form_of(request)
        if {"image", "image[]"} <= set(form.files) or not {"image", "image[]"} & set(form.files):
            raise Refusal(
                422, {"detail": [{"loc": ["body", "image"], "msg": "exactly one of image, image[]"}]}
            )
        return b64(usage=USAGE)

    return recorded(("POST", "/v1/images/generations", generations), ("POST", "/v1/images/edits", edits))


def openrouter() -> Recorder:
    """Its own API of one route, which refuses what it does not know."""
    known = {"model", "prompt", "n", "size", "quality", "background", "output_format", "output_compression"}

    async def images(request: Request) -> Response:
        with_bearer(request)
        body = await json_of(request)
        if unknown := set(body) - known - {"input_references"}:
            raise Refusal(400, {"error": {"code": 400, "message": f"Unrecognized keys: {sorted(unknown)}"}})
        if body["model"] != "openai/gpt-image-2":
            raise Refusal(404, {"error": {"code": 404, "message": f"No such model: {body['model']}"}})
        for reference in body.get("input_references", []):
            assert reference["type"] == "image_url"
            head, _, text = reference["image_url"]["url"].partition(",")
            assert head == "data:image/png;base64"
            Image.open(BytesIO(base64.b64decode(text, validate=True)))
        return b64(body.get("n", 1), usage={"prompt_tokens": 5, "completion_tokens": 9, "cost": 0.04})

    return recorded(("POST", "/api/v1/images", images))
