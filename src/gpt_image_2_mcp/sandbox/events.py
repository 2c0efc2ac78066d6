"""Server-sent events."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from starlette.responses import StreamingResponse


@dataclass(frozen=True)
class Event:
    """One event; its type is the SSE event name and the `type` member of its data."""

    type: str
    data: Mapping[str, object]

    def encode(self) -> bytes:
        data = json.dumps({"type": self.type, **self.data}, separators=(",", ":"))
        return f"event: {self.type}\ndata: {data}\n\n".encode()


def event_response(events: AsyncIterator[Event], *, cut: bool = False) -> StreamingResponse:
    """A stream of `events`; with `cut` it ends halfway through the last one."""
    return StreamingResponse(_lines(events, cut), media_type="text/event-stream")


async def _lines(events: AsyncIterator[Event], cut: bool) -> AsyncIterator[bytes]:
    """Each event as it comes, but the last one held back to be halved where a cut is wanted."""
    held: bytes | None = None
    async for event in events:
        if held is not None:
            yield held
            held = None
        if cut:
            held = event.encode()
        else:
            yield event.encode()
    if held is not None:
        yield held[: len(held) // 2]
