"""The MCP server over streamable HTTP: its application, and its life on a port."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import uvicorn
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import INTERNAL_ERROR
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from gpt_image_2_mcp.errors import ConfigurationError, ImageServerError, StorageError
from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.guards import STAY, BearerToken, FewParts, Origins, Refusals, Visits
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.server.preferences import Preferences
from gpt_image_2_mcp.server.signals import at_first_signal
from gpt_image_2_mcp.server.terms import PATH, Address, Terms
from gpt_image_2_mcp.service import ImageService

logger = logging.getLogger(__name__)

LEAVE_WITHIN_S: Final = 5
"""How long answers on their way may take once the server is leaving."""


class HttpServer:
    """One service, served at one address on given terms."""

    def __init__(self, service: ImageService, preferences: Preferences, terms: Terms) -> None:
        self._service, self._terms = service, terms
        self._sessions = StreamableHTTPSessionManager(
            _served_while_there(_created(service, preferences, terms)),
            stateless=terms.stateless,
            max_request_body_size=terms.body_limit,
            # Always explicit: without it the SDK checks nothing on any address but loopback (mcp 2.3.0).
            security_settings=TransportSecuritySettings(
                allowed_hosts=list(terms.hosts), allowed_origins=list(terms.origins)
            ),
        )
        self._visits = Visits(self._sessions.handle_request)
        self.app = Starlette(
            routes=[
                Route(PATH, self._guarded()),
                Route("/healthz", self._healthy, methods=["GET"]),
                Route("/readyz", self._ready, methods=["GET"]),
            ],
            lifespan=lambda _app: self._sessions.run(),
        )
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                self.app,
                http="h11",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=terms.connections + 1,  # uvicorn refuses the one that reaches it (0.54)
                timeout_graceful_shutdown=LEAVE_WITHIN_S,
            )
        )

    async def serve(self, listening: socket.socket) -> None:
        """Serve until a signal comes or `leave` is called, then finish what this process carries out."""
        async with at_first_signal(self.leave):
            await self._uvicorn.serve(sockets=[listening])
            await self._service.close()

    async def leave(self) -> None:
        """Take no more requests, and tell those who wait what they can collect from another server."""
        logger.info("leaving: calls under way are handed off")
        self._service.hand_off()
        self._visits.end_streams()
        self._uvicorn.should_exit = True

    def _guarded(self) -> ASGIApp:
        origins = "|".join(_pattern(origin) for origin in self._terms.origins)
        app: ASGIApp = Refusals(Origins(self._visits, origins), _refusals(self._terms))
        app = BearerToken(FewParts(app), self._terms.token)
        # A browser asks beforehand, without the token, whether a page may call.
        return CORSMiddleware(
            app,
            allow_origin_regex=origins or None,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=["Mcp-Session-Id"],
        )

    async def _healthy(self, _request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def _ready(self, _request: Request) -> JSONResponse:
        """Anybody may ask, so the reason stays in the log."""
        try:
            await self._service.check()
        except StorageError as error:
            logger.warning("not ready: %s", error.message)
            return JSONResponse({"status": "not ready", "reason": error.code}, 503)
        return JSONResponse({"status": "ready"})


class _Uvicorn(uvicorn.Server):
    """Leaves signals to us: uvicorn would raise them again once it has ended, before the service has."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if sys.platform == "win32":  # no handlers of ours there
            with super().capture_signals():
                yield
        else:
            yield


def listen(address: Address) -> socket.socket:
    """A socket that listens at `address`.

    Raises:
        ConfigurationError: there is no such address on this machine, or it is taken.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # what follows says the address once more
        raise ConfigurationError(
            f"{address.host}:{address.port} cannot be listened on ({reason}).",
            hint="Give --http another address or port; port 0 takes a free one.",
        ) from None


def _created(service: ImageService, preferences: Preferences, terms: Terms) -> Server[Any]:
    return create_server(ready(service), replace(preferences, local_paths=terms.local_paths))


def _served_while_there(server: Server[Any]) -> Server[Any]:
    """The server with calls that nobody waits for any more once their client has left; they go on."""
    entry = server.get_request_handler("tools/call")
    assert entry is not None  # noqa: S101 - create_server has given it

    async def call(context: ServerRequestContext[Any], params: Any) -> Any:
        assert context.request is not None  # noqa: S101 - it came by HTTP
        with context.request.scope[STAY]:
            return await entry.handler(context, params)
        raise MCPError(INTERNAL_ERROR, "The client has left.")

    server.add_request_handler("tools/call", entry.params_type, call)
    return server


def _pattern(origin: str) -> str:
    return re.escape(origin).replace(r":\*", r":\d+")


def _refusals(terms: Terms) -> dict[int, ImageServerError]:
    limit = terms.body_limit >> 20
    return {
        403: ImageServerError(
            "Web pages of that origin may not call this server.",
            hint="Its owner can add the origin to GPT_IMAGE_2_HTTP_ALLOWED_ORIGINS.",
        ),
        413: ImageServerError(
            f"The request is larger than {limit} MiB.",
            hint="Give large pictures as https URLs, or scale them down; nothing was sent. "
            "The server's owner can raise GPT_IMAGE_2_HTTP_BODY_MB.",
        ),
        421: ImageServerError(
            "This server is not called by that host name.",
            hint="Its owner can add the name to GPT_IMAGE_2_HTTP_ALLOWED_HOSTS.",
        ),
    }
