"""Stand-ins for OpenAI: a recorder in front of canned answers or of the sandbox."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx2

from gpt_image_2_mcp.gateways._upstream import Account, Timeouts, Upstream
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.limits import Limits
from gpt_image_2_mcp.providers import OPENAI, Provider
from gpt_image_2_mcp.sandbox import create_app
from tests.support.pictures import picture

CANARY = "sk-proj-CANARY0123456789abcdefghijklmnop"


@dataclass
class Recorder(httpx2.AsyncBaseTransport):
    """Keeps every request, body included, and passes it on."""

    answer: httpx2.AsyncBaseTransport
    requests: list[httpx2.Request] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.requests.append(request)
        return await self.answer.handle_async_request(request)

    @property
    def posts(self) -> list[str]:
        return [r.url.path for r in self.requests if r.method == "POST"]


def canned(
    status: int = 200, body: Any = None, headers: dict[str, str] | None = None, raw: bytes | None = None
) -> Recorder:
    """The same answer to every request."""
    content = raw if raw is not None else json.dumps(body).encode()
    return scripted(lambda _request: streamed(status, content, headers))


def streamed(status: int, content: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
    """A response whose body is still to come, as from a socket."""
    return httpx2.Response(status, stream=httpx2.ByteStream(content), headers=headers)


def scripted(handler: Callable[[httpx2.Request], httpx2.Response]) -> Recorder:
    """Answers made by `handler`, which may raise httpx2 errors."""
    return Recorder(httpx2.MockTransport(handler))


def sandboxed(**options: Any) -> Recorder:
    """The sandbox behind a recorder."""
    return Recorder(httpx2.ASGITransport(create_app(**options)))


def tiny() -> Recorder:
    """Answers a call at once with the pictures asked for: 64x48, in a colour of the call's own."""
    colours = count()

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked = json.loads(request.content) if request.url.path.endswith("generations") else {}
        colour = f"hsl({next(colours) * 37 % 360},50%,50%)"
        data = picture(format_=asked.get("output_format", "png").upper(), color=colour)
        made = {"b64_json": base64.b64encode(data).decode()}
        return streamed(200, json.dumps({"data": [made] * asked.get("n", 1)}).encode())

    return scripted(answer)


def upstream(
    recorder: httpx2.AsyncBaseTransport,
    timeouts: Timeouts = Timeouts(),
    limits: Limits = Limits(),
    provider: Provider = OPENAI,
    base_url: str = "https://api.openai.com/v1",
) -> Upstream:
    """An upstream that talks to `recorder` with the canary key."""
    account = Account(base_url, Secret(CANARY), key_header=provider.key_header, server=provider.title)
    return Upstream(account, lambda: recorder, timeouts, limits.answer)
