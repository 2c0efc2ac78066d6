"""Puts the service together: the only module that picks concrete classes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gpt_image_2_mcp.folders import choose_output_dir, default_output_dir
from gpt_image_2_mcp.models import Secret
from gpt_image_2_mcp.operations import Operations
from gpt_image_2_mcp.ports import Gateway, SessionStore
from gpt_image_2_mcp.service import Defaults, ImageService
from gpt_image_2_mcp.settings import Settings

if TYPE_CHECKING:
    import httpx2


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[ImageService]:
    """The service that the settings describe; on leaving, calls under way are waited for."""
    from gpt_image_2_mcp.sources.https import HttpsFetcher
    from gpt_image_2_mcp.sources.loader import Sources
    from gpt_image_2_mcp.stores.files import FileImageStore

    async with AsyncExitStack() as stack:
        sessions = open_sessions(settings)
        stack.push_async_callback(sessions.close)
        gateway = open_gateway(settings, stack)
        operations = Operations(gateway, FileImageStore(), settings.state_dir / "spool")
        stack.push_async_callback(operations.drain)
        sources = Sources(settings.working_dir, HttpsFetcher())
        yield ImageService(operations, sources, sessions, _defaults(settings), utc_now)


def _defaults(settings: Settings) -> Defaults:
    default = settings.output_dir or default_output_dir(settings.config_home, settings.working_dir)

    def output_dir(asked: str | None) -> Path:
        return choose_output_dir(
            asked, default, settings.working_dir, allow_unsafe=settings.allow_unsafe_output_dir
        )

    return Defaults(settings.model, output_dir, settings.sandbox)


def open_sessions(settings: Settings) -> SessionStore:
    """The session store that the settings name."""
    if settings.session_store == "memory":
        from gpt_image_2_mcp.stores.memory import MemorySessionStore

        return MemorySessionStore(utc_now, cap=settings.session_max, idle=settings.session_ttl)
    from gpt_image_2_mcp.stores.sqlite import SqliteSessionStore

    return SqliteSessionStore(
        settings.state_dir, utc_now, cap=settings.session_max, idle=settings.session_ttl
    )


def open_gateway(settings: Settings, stack: AsyncExitStack) -> Gateway:
    """The route to the API; to the sandbox it is the same route over another transport."""
    from gpt_image_2_mcp.gateways._upstream import Account, Upstream
    from gpt_image_2_mcp.gateways.fallback import FallbackGateway
    from gpt_image_2_mcp.gateways.images import ImagesGateway
    from gpt_image_2_mcp.gateways.keyless import KeylessGateway
    from gpt_image_2_mcp.gateways.responses import ResponsesGateway

    if settings.sandbox:
        upstream = Upstream(Account("http://sandbox/v1", Secret("sandbox")), _sandbox_transport)
    elif settings.api_key:
        account = Account(settings.base_url, settings.api_key, settings.organization, settings.project)
        upstream = Upstream(account)
    else:
        return KeylessGateway()
    stack.push_async_callback(upstream.close)
    return FallbackGateway(
        ImagesGateway(upstream),
        ResponsesGateway(upstream, settings.responses_model),
        pinned=settings.force_responses_edits,
    )


def _sandbox_transport() -> httpx2.AsyncBaseTransport:
    import httpx2

    from gpt_image_2_mcp.sandbox import create_app

    return httpx2.ASGITransport(create_app())
