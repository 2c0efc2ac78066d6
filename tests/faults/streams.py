"""What the stand-in upstream does with a POST that asks for a stream, by name."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, Final

from tests.faults.answers import MB, USAGE, document, error, noise, pictures, uncompressed
from tests.faults.wire import Exchange, Request


def event(type_: str, **data: Any) -> bytes:
    return f"event: {type_}\ndata: {json.dumps({'type': type_, **data})}\n\n".encode()


def partials(request: Request) -> list[bytes]:
    """The events of the pictures in the making, each of them a picture of its own."""
    name, key = ("image_generation.partial_image", "b64_json")
    if request.path == "/v1/responses":
        name, key = ("response.image_generation_call.partial_image", "partial_image_b64")
    texts = [
        base64.b64encode(noise(f"{request.key}/part/{n}", *request.pixels)).decode()
        for n in range(request.partials)
    ]
    return [event(name, **{key: text, "partial_image_index": n}) for n, text in enumerate(texts)]


def finals(request: Request, text: str = "") -> list[bytes]:
    """The events of the picture."""
    text = text or pictures(request, 1)[0]
    usage = {**USAGE, "output_tokens": 196 + 100 * request.partials}
    if request.path != "/v1/responses":
        return [event("image_generation.completed", b64_json=text, usage=usage)]
    answer = document(request, [text], tool_usage={"image_gen": usage})
    done = event("response.output_item.done", item=answer["output"][0])
    return [done, event("response.completed", response=answer)]


async def sse(exchange: Exchange) -> None:
    """A stream as it should be, with a pause of so many seconds before each event."""
    listening = not exchange.reader.at_eof()
    await _said(exchange, *partials(exchange.request), *finals(exchange.request))
    await exchange.end_stream()
    exchange.post.whole = listening


async def _said(exchange: Exchange, *events: bytes) -> None:
    await exchange.begin_stream()
    for each in events:
        await asyncio.sleep(float(exchange.argument or 0) if exchange.post.mode.startswith("sse=") else 0)
        await exchange.say(each)


async def sse_odd(exchange: Exchange) -> None:
    """All that the standard allows, a few bytes a time."""
    lines = b"".join(
        (*partials(exchange.request), b": still here\nnobody: knows\n", *finals(exchange.request))
    )
    stream = b"\xef\xbb\xbfretry: 9\n\n: hello\n" + lines.replace(b"event: image_generation.completed\n", b"")
    stream = stream.replace(b"\n", exchange.argument.encode().replace(b"cr", b"\r").replace(b"lf", b"\n"))
    await _said(exchange, *(stream[at : at + 97] for at in range(0, len(stream), 97)))
    await exchange.end_stream()


async def sse_twice(exchange: Exchange) -> None:
    """The last event comes twice."""
    await _said(exchange, *partials(exchange.request), *finals(exchange.request), *finals(exchange.request))
    await exchange.end_stream()


async def sse_huge(exchange: Exchange) -> None:
    """A line of so many megabytes."""
    side = int((float(exchange.argument) * MB * 3 / 4 / 3) ** 0.5)
    text = base64.b64encode(await asyncio.to_thread(uncompressed, side)).decode()
    await _said(exchange, *finals(exchange.request, text)[-1:])
    await exchange.end_stream()


async def sse_cut_clean(exchange: Exchange) -> None:
    """The stream ends as it should, and its picture has not come."""
    await _said(exchange, *partials(exchange.request))
    await exchange.end_stream()


async def sse_cut_fin(exchange: Exchange) -> None:
    """The connection ends, and the stream has not."""
    await _said(exchange, *partials(exchange.request))
    exchange.close()


async def sse_cut_rst(exchange: Exchange) -> None:
    await _said(exchange, *partials(exchange.request))
    await asyncio.sleep(0.1)
    exchange.reset()


async def sse_stall(exchange: Exchange) -> None:
    await _said(exchange, *partials(exchange.request))
    await exchange.stall()


async def sse_late(exchange: Exchange) -> None:
    """A reset behind the last event."""
    await _said(exchange, *partials(exchange.request), *finals(exchange.request))
    exchange.post.whole = True
    await asyncio.sleep(0.1)
    exchange.reset()


async def sse_idle(exchange: Exchange) -> None:
    """Silence behind the last event."""
    await _said(exchange, *partials(exchange.request), *finals(exchange.request))
    exchange.post.whole = True
    await exchange.stall()


async def sse_err(exchange: Exchange) -> None:
    """An error behind the pictures in the making."""
    wrong = json.loads(error("It was not to be.", exchange.argument or None, "image_generation_user_error"))
    await _said(exchange, *partials(exchange.request), event("error", **wrong, sequence_number=0))
    await exchange.end_stream()


async def sse_half(exchange: Exchange) -> None:
    """Part of the picture's event, and the end as it should be."""
    *before, last = (*partials(exchange.request), *finals(exchange.request)[:1])
    await _said(exchange, *before, last[: int(len(last) * float(exchange.argument or 0.5))])
    await exchange.end_stream()


STREAMS: Final = (
    sse, sse_odd, sse_twice, sse_huge, sse_cut_clean, sse_cut_fin, sse_cut_rst, sse_stall, sse_late, sse_idle,
    sse_err, sse_half,
)  # fmt: skip
