"""What the stand-in upstream does with a paid POST, by name."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from tests.faults.answers import MB, document, error, noise, pictures, uncompressed, whole
from tests.faults.streams import STREAMS, sse
from tests.faults.wire import Exchange

KEPT: Final = "/kept/"
"""What the addresses of pictures begin with."""
Mode = Callable[[Exchange], Awaitable[None]]


# Answers that are well


async def plain(exchange: Exchange) -> None:
    """A request that costs nothing: an upload or its deletion, or a picture that was named by its address."""
    if exchange.request.path.startswith(KEPT):
        key, index, size = exchange.request.path.removeprefix(KEPT).split("/")
        width, height = map(int, size.split("x"))
        await exchange.answer(200, noise(f"{key}/{index}", width, height))
        return
    number = exchange.post.digest[:12]
    await exchange.answer(200, json.dumps({"id": f"file-{number}", "deleted": True}).encode())


async def ok(exchange: Exchange) -> None:
    if exchange.request.streams:
        await sse(exchange)
        return
    await exchange.answer(200, await asyncio.to_thread(whole, exchange.request))


async def addressed(exchange: Exchange) -> None:
    """The pictures are not in the answer but at addresses of the server."""
    request = exchange.request
    size = "x".join(map(str, request.pixels))
    entries = [{"url": f"{KEPT}{request.key}/{index}/{size}"} for index in range(request.count)]
    await exchange.answer(200, json.dumps(document(request, []) | {"data": entries}).encode())


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
    text = base64.b64encode(await asyncio.to_thread(uncompressed, side)).decode()
    await exchange.answer(200, json.dumps(document(request, [text])).encode())


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
        plain, ok, addressed, delay, then_close, huge, reset0, close0, stall0, stallmid, resetmid, shortcl,
        truncjson, lyingcl, until_close, drip, error_in_200, refusal_in_200, html, nothing, empty, badb64,
        unpadded, not_a_picture, jpeg, count, compressed, limited, quota, status, slow_status, moderated,
        launch, redirect, *STREAMS,
    )
}  # fmt: skip
