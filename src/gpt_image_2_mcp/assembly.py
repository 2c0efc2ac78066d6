"""Puts the service together: the only module that picks concrete classes."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gpt_image_2_mcp.batches import Head
from gpt_image_2_mcp.drafts import Defaults
from gpt_image_2_mcp.errors import ConfigurationError, MissingKey
from gpt_image_2_mcp.execution import Execution
from gpt_image_2_mcp.folders import default_output_dir
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.library import Library
from gpt_image_2_mcp.operations import Operations
from gpt_image_2_mcp.ports import Fetch, Gateway, Manifest, Runner, SessionStore
from gpt_image_2_mcp.providers import OPENAI, Provider, named, provider_at
from gpt_image_2_mcp.reports import Listing, StateReport
from gpt_image_2_mcp.roots import OutputDir, Roots, choose_output_dir, reading_roots, writing_roots
from gpt_image_2_mcp.runners.inline import InlineRunner
from gpt_image_2_mcp.service import ImageService
from gpt_image_2_mcp.settings import Settings, child_environment, state_dir_of
from gpt_image_2_mcp.stores.catalogue import SqliteCatalogue
from gpt_image_2_mcp.stores.files import FileImageStore
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.leases import FileLeases
from gpt_image_2_mcp.stores.ledger import SqliteLedger
from gpt_image_2_mcp.stores.pace import SqlitePace, account_name
from gpt_image_2_mcp.stores.places import spool_folders
from gpt_image_2_mcp.stores.spool import SpoolFolder
from gpt_image_2_mcp.stores.sqlite import Database
from gpt_image_2_mcp.stores.sqlite_sessions import SqliteSessionStore

if TYPE_CHECKING:
    import httpx2

    from gpt_image_2_mcp.gateways._upstream import Account


def utc_now() -> datetime:
    return datetime.now(UTC)


def load() -> None:
    """Import what a service is made of: a tenth of a second, which a server spends in a thread."""
    import gpt_image_2_mcp.gateways.fallback
    import gpt_image_2_mcp.gateways.images
    import gpt_image_2_mcp.gateways.keyless
    import gpt_image_2_mcp.gateways.responses
    import gpt_image_2_mcp.runners.process
    import gpt_image_2_mcp.sources.by_name
    import gpt_image_2_mcp.sources.https
    import gpt_image_2_mcp.sources.loader  # noqa: F401


@asynccontextmanager
async def open_service(settings: Settings) -> AsyncIterator[ImageService]:
    """The service that the settings describe, recovery at work beside it."""
    from gpt_image_2_mcp.sources.by_name import ByName
    from gpt_image_2_mcp.sources.clipboard import Clipboard
    from gpt_image_2_mcp.sources.dialling import Dialler
    from gpt_image_2_mcp.sources.https import HttpsFetcher
    from gpt_image_2_mcp.sources.loader import Sources

    async with AsyncExitStack() as stack:
        parts = _open_parts(settings, stack)
        sessions = _open_sessions(settings, parts)
        operations = Operations(
            parts.journal,
            _open_runner(settings, parts.execution),
            parts.execution,
            parts.images,
            parts.spools,
            parts.leases,
            utc_now,
            settings.limits,
        )
        stack.push_async_callback(operations.close)
        await operations.start_recovery()
        reading, writing = open_roots(settings)
        catalogue = SqliteCatalogue(parts.database, operations.server)
        sources = Sources(
            settings.working_dir,
            HttpsFetcher(Dialler(settings.allow_hosts)),
            reading,
            ByName(catalogue, Clipboard(child_environment({}), sys.platform)),
            local_paths=settings.local_paths,
            keep_metadata=settings.keep_metadata,
            pass_urls=settings.pass_urls and open_provider(settings).json_edits,
            limits=settings.limits,
        )
        library = Library(catalogue, sources)
        defaults = _defaults(settings, writing)
        ledger = SqliteLedger(parts.database, utc_now, settings.budgets, operations.server)
        yield ImageService(operations, sources, sessions, defaults, utc_now, library, ledger)


def http_token(settings: Settings) -> tuple[Secret, Path | None]:
    """The bearer token of the HTTP server; the file it is kept in, where none was given.

    Raises:
        StorageError: that file cannot be written, or others can read it.
    """
    from gpt_image_2_mcp.stores.token_file import kept_token

    if settings.http.token:
        return settings.http.token, None
    path = settings.state_dir / "http-token"
    return kept_token(path), path


@asynccontextmanager
async def open_execution(settings: Settings) -> AsyncIterator[Execution]:
    """What a worker or a recovery needs: to carry operations on, without a service."""
    async with AsyncExitStack() as stack:
        yield _open_parts(settings, stack).execution


@asynccontextmanager
async def open_journal(settings: Settings) -> AsyncIterator[SqliteJournal]:
    """The journal alone, to look into."""
    async with AsyncExitStack() as stack:
        yield _open_parts(settings, stack).journal


@asynccontextmanager
async def open_ledger(settings: Settings) -> AsyncIterator[SqliteLedger]:
    """The ledger alone; of no run of a server."""
    async with AsyncExitStack() as stack:
        yield SqliteLedger(_open_parts(settings, stack).database, utc_now, settings.budgets)


@contextmanager
def open_manifest(settings: Settings, path: Path) -> Iterator[Manifest]:
    """The manifest of a batch, for one run at a time.

    Raises:
        InvalidRequest: another run is at work on it.
        StorageError: it could not be written.
    """
    from gpt_image_2_mcp.stores.manifest import FileManifest, exclusively

    head = Head(state_dir=str(settings.state_dir), sandbox=settings.sandbox)
    with exclusively(path):
        yield FileManifest(path, head)


async def list_models(settings: Settings) -> Listing:
    """What the API lists for the key; free of charge, and over in seconds."""
    from gpt_image_2_mcp.gateways._upstream import Upstream
    from gpt_image_2_mcp.gateways.listing import BRIEF, list_models

    upstream = Upstream(_account(settings, open_provider(settings)), timeouts=BRIEF)
    try:
        return await list_models(upstream)
    finally:
        await upstream.close()


def inspect_state(settings: Settings) -> StateReport:
    """How the state file stands, which is neither made nor changed. Blocks."""
    from gpt_image_2_mcp.stores.inspection import inspect

    return inspect(state_dir_of(settings))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What stands on the state folder."""

    state_dir: Path
    database: Database
    journal: SqliteJournal
    images: FileImageStore
    spools: SpoolFolder
    leases: FileLeases
    execution: Execution


def _open_parts(settings: Settings, stack: AsyncExitStack) -> _Parts:
    state_dir = state_dir_of(settings)
    database = Database(state_dir)
    stack.push_async_callback(database.close)
    keeps_sessions = settings.session_store == "sqlite"
    journal = SqliteJournal(
        database,
        utc_now,
        keeps_sessions=keeps_sessions,
        redact=settings.redactor(),
        budgets=settings.budgets,
        project=str(settings.working_dir),
    )
    images, leases = FileImageStore(), FileLeases(state_dir / "locks")
    spools = SpoolFolder(*spool_folders(state_dir))
    execution = Execution(
        journal,
        open_gateway(settings, stack),
        images,
        spools,
        leases,
        _open_pace(settings, database, leases),
        limits=settings.limits,
    )
    return _Parts(state_dir, database, journal, images, spools, leases, execution)


def _open_pace(settings: Settings, database: Database, leases: FileLeases) -> SqlitePace:
    key = settings.api_key or Secret("")
    account = account_name(settings.base_url, key, settings.organization, settings.project)
    return SqlitePace(database, leases, account, utc_now, per_minute=settings.images_per_minute)


def _open_sessions(settings: Settings, parts: _Parts) -> SessionStore:
    cap, idle = settings.session_max, settings.session_ttl
    if settings.session_store == "memory":
        from gpt_image_2_mcp.stores.memory import MemorySessionStore

        return MemorySessionStore(utc_now, cap=cap, idle=idle)
    return SqliteSessionStore(parts.database, parts.state_dir / "locks", utc_now, cap=cap, idle=idle)


def _open_runner(settings: Settings, execution: Execution) -> Runner:
    inline = InlineRunner(execution)
    if settings.worker == "inline":
        return inline
    from gpt_image_2_mcp.runners.process import ProcessRunner, spawn_worker

    # A worker lets nobody in, so it is not told how.
    told = replace(settings, http=replace(settings.http, token=None))

    def spawn() -> subprocess.Popen[bytes]:
        return spawn_worker(pickle.dumps(told), settings.state_dir, child_environment({}))

    return ProcessRunner(spawn, execution, inline)


def open_roots(settings: Settings) -> tuple[Roots, Roots]:
    """The folders to read pictures from, and those to write them to."""
    writing = tuple(writing_roots(settings.working_dir, settings.config_home, settings.output_dir))
    return Roots.of(*reading_roots(writing, settings.input_roots)), Roots.of(*writing)


def output_dir_of(settings: Settings, roots: Roots, asked: str | None = None) -> OutputDir:
    """The folder of calls that ask for that one, or for none.

    Raises:
        StorageError: it is none that may be written to.
    """
    default = settings.output_dir or default_output_dir(settings.config_home, settings.working_dir)
    return choose_output_dir(
        asked, default, settings.working_dir, roots, allow_unsafe=settings.allow_unsafe_output_dir
    )


def _defaults(settings: Settings, roots: Roots) -> Defaults:
    provider = open_provider(settings)
    missing = None if _has_key(settings, provider) else MissingKey(f"No {provider.title} API key is set.")
    return Defaults(
        settings.model,
        partial(output_dir_of, settings, roots),
        settings.sandbox,
        missing,
        partial_images=settings.partial_images,
        local_paths=settings.local_paths,
        provider=provider,
        confirm_above=settings.confirm_above,
    )


def open_provider(settings: Settings) -> Provider:
    """Who makes the pictures: as the settings name it, or as its address tells."""
    if settings.sandbox:
        return OPENAI
    row = named(settings.provider) if settings.provider else provider_at(settings.base_url)
    field = settings.image_field or row.image_field
    return replace(row, image_field=field, deployments=settings.deployments)


def _has_key(settings: Settings, provider: Provider) -> bool:
    return settings.sandbox or settings.api_key is not None or not provider.needs_key


def open_gateway(settings: Settings, stack: AsyncExitStack) -> Gateway:
    """The route to the API; to the sandbox it is the same route over another transport."""
    from gpt_image_2_mcp.gateways._upstream import Upstream
    from gpt_image_2_mcp.gateways.fallback import FallbackGateway
    from gpt_image_2_mcp.gateways.images import ImagesGateway
    from gpt_image_2_mcp.gateways.keyless import KeylessGateway
    from gpt_image_2_mcp.gateways.responses import ResponsesGateway

    provider, most = open_provider(settings), settings.limits.answer
    if settings.force_responses_edits and not provider.responses:
        raise ConfigurationError(
            f"OPENAI_FORCE_RESPONSES_EDITS is set, and {provider.title} has no such route.",
            hint="Take it out of the client's configuration and restart.",
        )
    account = _account(settings, provider)
    upstream = (
        Upstream(account, _sandbox_transport, max_answer=most)
        if settings.sandbox
        else Upstream(account, max_answer=most)
    )
    stack.push_async_callback(upstream.close)
    gateway = FallbackGateway(
        ImagesGateway(upstream, provider, _fetching(settings), stream=settings.stream),
        ResponsesGateway(upstream, settings.responses_model, stream=settings.stream),
        pinned=settings.force_responses_edits,
        detour=provider.responses,
    )
    return gateway if _has_key(settings, provider) else KeylessGateway(gateway)


def _account(settings: Settings, provider: Provider) -> Account:
    from gpt_image_2_mcp.gateways._upstream import Account

    if settings.sandbox:
        return Account("http://sandbox/v1", Secret("sandbox"))
    return Account(
        settings.base_url,
        settings.api_key or Secret(""),
        settings.organization,
        settings.project,
        provider.key_header,
        provider.title,
    )


def _fetching(settings: Settings) -> Fetch:
    """How pictures are read that an answer names by the addresses of other servers: as inputs are."""

    async def fetch(address: str) -> bytes:
        from gpt_image_2_mcp.gateways._addressed import FETCH_S
        from gpt_image_2_mcp.sources.dialling import Dialler
        from gpt_image_2_mcp.sources.https import FetchLimits, HttpsFetcher

        limits = FetchLimits(total_s=FETCH_S, max_bytes=settings.limits.answer)
        return await HttpsFetcher(Dialler(settings.allow_hosts), limits).fetch(address)

    return fetch


def _sandbox_transport() -> httpx2.AsyncBaseTransport:
    import httpx2

    from gpt_image_2_mcp.sandbox import create_app

    return httpx2.ASGITransport(create_app())
