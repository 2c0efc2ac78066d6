"""What stands before the MCP endpoint: who is let in, who has left, and refusals that say what to do."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import anyio
import anyio.lowlevel
from mcp.types import INVALID_REQUEST, ErrorData, JSONRPCError
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.server.lines import MOST_PARTS, parts

STAY: Final = "gpt_image_2_mcp.stay"
"""Key of the request's scope: an anyio.CancelScope that is cancelled when its client has left."""
_SWALLOW_S: Final = 5.0
_REALM: Final = 'Bearer realm="gpt-image-2-mcp"'
_TOO_MANY_PARTS: Final = ImageServerError(
    f"The request has more than {MOST_PARTS:,} parts and was not read; nothing was sent.",
    hint="Give pictures as https or data: URLs, not as lists of bytes.",
)


def refusal(status: int, error: ImageServerError, headers: Mapping[str, str] | None = None) -> Response:
    """An error as clients show it: they look for JSON-RPC, whatever the status (mcp 2.3.0)."""
    body = JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=INVALID_REQUEST, message=str(error)))
    text = body.model_dump_json(by_alias=True, exclude_unset=True)
    return Response(text, status, headers=headers, media_type="application/json")


class BearerToken:
    """Lets nobody in without the token, which goes no further than this."""

    def __init__(self, app: ASGIApp, token: Secret) -> None:
        self._app = app
        self._digest = _digest(token.reveal())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(_digest(given.strip()), self._digest):
            await self._app(_without_authorization(scope), receive, send)
            return
        error = ', error="invalid_token"' if given else ""
        answer = refusal(
            401,
            ImageServerError(
                f"The bearer token is {'wrong' if given else 'missing'}.",
                hint="Set the header `Authorization: Bearer TOKEN` in the client's configuration; the server "
                "says at its start where the token stands.",
            ),
            {"WWW-Authenticate": _REALM + error},
        )
        await answer(scope, receive, send)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _without_authorization(scope: Scope) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
    return {**scope, "headers": headers}


class FewParts:
    """Lets no body through of so many parts that the server would stand still for seconds to parse it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        heard, sending, reading = 0, False, anyio.CancelScope()

        async def counted() -> Message:
            nonlocal heard, sending
            message = await receive()
            heard += parts(message.get("body", b""))
            if heard > MOST_PARTS:
                sending = message.get("more_body", False)
                reading.cancel()
                await anyio.lowlevel.checkpoint()
            return message

        with reading:
            await self._app(scope, counted, send)
        if reading.cancelled_caught:
            if sending:
                await _hear_out(receive)
            await refusal(413, _TOO_MANY_PARTS)(scope, receive, send)


async def _hear_out(receive: Receive) -> None:
    """A client that is still sending would see a broken connection in the place of the answer."""
    with anyio.move_on_after(_SWALLOW_S):
        while (await receive()).get("more_body", False):
            pass


class Origins:
    """Lets in web pages of the origins that match as a whole.

    Where any port is allowed, the SDK compares the beginning alone: it takes `http://localhost:3000.evil.example`
    (mcp 2.3.0).
    """

    def __init__(self, app: ASGIApp, pattern: str) -> None:
        self._app, self._pattern = app, re.compile(pattern)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origins = Headers(scope=scope).getlist("origin")
        allowed = all(self._pattern.fullmatch(origin) for origin in origins)
        app = self._app if allowed else Response(status_code=403)
        await app(scope, receive, send)


class Refusals:
    """Says in a sentence what to do about a status that is answered in two words or none."""

    def __init__(self, app: ASGIApp, errors: Mapping[int, ImageServerError]) -> None:
        self._app, self._errors = app, errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending, refused = True, False

        async def heard() -> Message:
            nonlocal sending
            message = await receive()
            sending = message.get("more_body", False)
            return message

        async def explain(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] in self._errors:
                refused = True
                if sending:
                    await _hear_out(heard)
                await refusal(message["status"], self._errors[message["status"]])(scope, receive, send)
            elif not refused:
                await send(message)

        await self._app(scope, heard, explain)


class Visits:
    """The requests under way.

    A call stops waiting when its client leaves: of the eras that the SDK serves, it cancels calls in the
    latest alone (mcp 2.3.0). A stream that a client listens on would never end; it does when the server goes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._streams: set[anyio.CancelScope] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET":
            await self._listen(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    def end_streams(self) -> None:
        for stream in self._streams:
            stream.cancel()

    async def _listen(self, scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.CancelScope() as stream:
            self._streams.add(stream)
            try:
                await self._app(scope, receive, send)
            finally:
                self._streams.discard(stream)
        if stream.cancelled_caught:
            with suppress(RuntimeError):  # it had not begun
                await send({"type": "http.response.body", "body": b""})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        stay = anyio.CancelScope()

        async def watched() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                stay.cancel()
            return message

        try:
            await self._app({**scope, STAY: stay}, watched, send)
        finally:
            stay.cancel()
