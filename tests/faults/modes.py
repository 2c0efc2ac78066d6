"""What the stand-in upstream does with a paid POST, by name."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Final

from PIL import Image

from tests.faults.wire import Exchange, Request

Mode = Callable[[Exchange], Awaitable[None]]

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


# Answers that are well


async def plain(exchange: Exchange) -> None:
    """A request that costs nothing: an upload or its deletion."""
    number = exchange.post.digest[:12]
    await exchange.answer(200, json.dumps({"id": f"file-{number}", "deleted": True}).encode())


async def ok(exchange: Exchange) -> None:
    await exchange.answer(200, await asyncio.to_thread(whole, exchange.request))


async def delay(exchange: Exchange) -> None:
    await asyncio.sleep(float(exchange.argument))
    await ok(exchange)


async def then_close(exchange: Exchange) -> None:
    """The connection is closed behind the answer though it was to be kept."""
    await ok(exchange)
    exchange.close()


async def huge(exchange: Exchange) -> None:
    """A real picture in a body of so many megabytes."""
    request = exchange.request
    side = int((float(exchange.argument) * MB * 3 / 4 / 3) ** 0.5)
    text = base64.b64encode(await asyncio.to_thread(_uncompressed, side)).decode()
    await exchange.answer(200, json.dumps(document(request, [text])).encode())


def _uncompressed(side: int) -> bytes:
    buffer = io.BytesIO()
    pixels = random.Random(side).randbytes(side * side * 3)
    Image.frombytes("RGB", (side, side), pixels).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


# Connections that break


async def reset0(exchange: Exchange) -> None:
    exchange.reset()


async def close0(exchange: Exchange) -> None:
    exchange.close()


async def stall0(exchange: Exchange) -> None:
    await exchange.stall()


async def _part(exchange: Exchange) -> None:
    """The declared length, and less than it: `argument` is the part of the body that comes."""
    body = whole(exchange.request)
    await exchange.write(exchange.head(200, len(body)) + body[: int(len(body) * float(exchange.argument))])


async def stallmid(exchange: Exchange) -> None:
    await _part(exchange)
    await exchange.stall()


async def resetmid(exchange: Exchange) -> None:
    await _part(exchange)
    await asyncio.sleep(0.1)  # what was sent arrives before a reset throws it away
    exchange.reset()


async def shortcl(exchange: Exchange) -> None:
    await _part(exchange)
    exchange.close()


async def truncjson(exchange: Exchange) -> None:
    """A body that ends too early and says so truly."""
    body = whole(exchange.request)
    await exchange.answer(200, body[: int(len(body) * float(exchange.argument))])


async def lyingcl(exchange: Exchange) -> None:
    """A declared length that is shorter than the body."""
    body = whole(exchange.request)
    await exchange.write(exchange.head(200, int(len(body) * float(exchange.argument))) + body)
    exchange.close()


async def until_close(exchange: Exchange) -> None:
    """A body without a length, that breaks off where the connection does."""
    body = whole(exchange.request)
    await exchange.write(exchange.head(200, None) + body[: int(len(body) * float(exchange.argument))])
    exchange.close()


async def drip(exchange: Exchange) -> None:
    body = whole(exchange.request)
    await exchange.write(exchange.head(200, len(body)))
    for start in range(0, len(body), 64):
        await exchange.write(body[start : start + 64])
        await asyncio.sleep(float(exchange.argument))


# Answers that hold something else


async def error_in_200(exchange: Exchange) -> None:
    await exchange.answer(200, error("The pencils broke.", exchange.argument or None, "server_error"))


async def refusal_in_200(exchange: Exchange) -> None:
    await exchange.answer(200, error("It was not to be.", "moderation_blocked"))


async def html(exchange: Exchange) -> None:
    await exchange.answer(200, b"<html><body>Please log in to the hotel's network</body></html>")


async def nothing(exchange: Exchange) -> None:
    await exchange.answer(200, b"")


async def empty(exchange: Exchange) -> None:
    await exchange.answer(200, json.dumps(document(exchange.request, [])).encode())


async def replaced(exchange: Exchange, replacement: str) -> None:
    """The last of the pictures is something else."""
    texts = [*pictures(exchange.request)[:-1], replacement]
    await exchange.answer(200, json.dumps(document(exchange.request, texts)).encode())


async def badb64(exchange: Exchange) -> None:
    await replaced(exchange, "%%% this is no base64 %%%")


async def unpadded(exchange: Exchange) -> None:
    await replaced(exchange, base64.b64encode(noise("unpadded", 5, 5)[:-1]).decode().rstrip("=") + "A")


async def not_a_picture(exchange: Exchange) -> None:
    await replaced(exchange, base64.b64encode(b"GIMME" * 40).decode())


async def jpeg(exchange: Exchange) -> None:
    texts = pictures(exchange.request, format_="JPEG")
    await exchange.answer(200, json.dumps(document(exchange.request, texts, output_format="png")).encode())


async def count(exchange: Exchange) -> None:
    texts = pictures(exchange.request, int(exchange.argument))
    await exchange.answer(200, json.dumps(document(exchange.request, texts)).encode())


async def compressed(exchange: Exchange) -> None:
    """An encoding that nobody asked for."""
    await exchange.answer(200, gzip.compress(whole(exchange.request)), Content_Encoding="gzip")


# Statuses


def _retry_after(variant: str) -> dict[str, str]:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    said = {"date": in_a_minute, "never": "1000000000", "junk": "soon", "minus": "-3", "inf": "inf"}
    if variant == "ms":
        return {"retry_after_ms": "1500"}
    return {"retry_after": said.get(variant, variant)} if variant else {}


async def limited(exchange: Exchange) -> None:
    body = error("Slow down.", "rate_limit_exceeded", "requests")
    await exchange.answer(429, body, **_retry_after(exchange.argument))


async def quota(exchange: Exchange) -> None:
    await exchange.answer(429, error("No money left.", "insufficient_quota", "insufficient_quota"))


async def status(exchange: Exchange) -> None:
    """A bare error status; `503+true` and `503+false` say whether to try again."""
    number, _, again = exchange.argument.partition("+")
    headers = {"x_should_retry": again} if again else {}
    await exchange.answer(int(number), error("It did not work."), **headers)


async def slow_status(exchange: Exchange) -> None:
    await asyncio.sleep(0.3)
    await status(exchange)


async def moderated(exchange: Exchange) -> None:
    await exchange.answer(400, error("No such pictures.", "moderation_blocked"))


async def launch(exchange: Exchange) -> None:
    """The refusal of every GPT Image edit that opens the fallback."""
    message = "Invalid value: 'gpt-image-2'. Value must be 'dall-e-2'."
    await exchange.answer(400, error(message, "invalid_value", param="model"))


async def redirect(exchange: Exchange) -> None:
    target = f"{exchange.elsewhere}/images/generations"
    await exchange.answer(int(exchange.argument), b"", Location=target)


MODES: Final[dict[str, Mode]] = {
    mode.__name__: mode
    for mode in (
        plain, ok, delay, then_close, huge, reset0, close0, stall0, stallmid, resetmid, shortcl, truncjson,
        lyingcl, until_close, drip, error_in_200, refusal_in_200, html, nothing, empty, badb64, unpadded,
        not_a_picture, jpeg, count, compressed, limited, quota, status, slow_status, moderated, launch,
        redirect,
    )
}  # fmt: skip
