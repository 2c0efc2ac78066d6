"""What the stand-in upstream has to say: pictures, the bodies that hold them, errors."""

from __future__ import annotations

import base64
import io
import json
import random
from functools import lru_cache
from typing import Any, Final

from PIL import Image

from tests.faults.wire import Request

USAGE: Final = {"input_tokens": 10, "output_tokens": 196, "total_tokens": 206}
MB: Final = 1024 * 1024


@lru_cache(maxsize=64)
def noise(seed: str, width: int, height: int, format_: str = "PNG") -> bytes:
    """A picture that no other seed gives, and that no compression makes small."""
    pixels = random.Random(seed).randbytes(width * height * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(buffer, format_)
    return buffer.getvalue()


def pictures(request: Request, count: int | None = None, format_: str = "PNG") -> list[str]:
    """The base64 texts of a call's pictures."""
    made = (
        noise(f"{request.key}/{index}", *request.pixels, format_)
        for index in range(request.count if count is None else count)
    )
    return [base64.b64encode(picture).decode() for picture in made]


def document(request: Request, texts: list[str], **more: Any) -> dict[str, Any]:
    """The answer of the route that was asked, with `texts` for its pictures."""
    if request.path == "/v1/responses":
        calls = [{"type": "image_generation_call", "status": "completed", "result": text} for text in texts]
        return {"id": "resp_1", "output": calls, "tool_usage": {"image_gen": USAGE}, **more}
    return {"created": 1, "data": [{"b64_json": text} for text in texts], "usage": USAGE, **more}


def whole(request: Request) -> bytes:
    count = 1 if request.path == "/v1/responses" else None
    return json.dumps(document(request, pictures(request, count))).encode()


def error(message: str, code: str | None = None, type_: str = "invalid_request_error", **more: Any) -> bytes:
    return json.dumps({"error": {"message": message, "type": type_, "code": code, **more}}).encode()


def uncompressed(side: int) -> bytes:
    """A picture as large as its pixels."""
    buffer = io.BytesIO()
    pixels = random.Random(side).randbytes(side * side * 3)
    Image.frombytes("RGB", (side, side), pixels).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()
