"""`serve`: the MCP server, on stdio or over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from gpt_image_2_mcp.commands.running import fail, opened, run_or_fail, run_with_service, settings_or_exit
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.importing import collector_off
from gpt_image_2_mcp.settings import Settings, state_dir_of

if TYPE_CHECKING:
    from pathlib import Path

    from gpt_image_2_mcp.server.preferences import Preferences
    from gpt_image_2_mcp.server.profiles import Profile
    from gpt_image_2_mcp.service import ImageService


@click.command()
@click.option(
    "--http",
    "address",
    metavar="HOST:PORT",
    help="Serve over streamable HTTP at http://HOST:PORT/mcp instead. Clients must show a bearer token.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="With --http: print where it is on stdout, as JSON in one line."
)
def serve(*, address: str | None, as_json: bool) -> None:
    """Serve an MCP client on stdin and stdout.

    Settings come from the environment; see .env.example.
    """
    if as_json and address is None:
        raise click.UsageError("--json needs --http: without it stdout is the client's.")
    settings = settings_or_exit(serving=True)
    if address is not None:
        _serve_http(settings, address, as_json=as_json)
        return
    from gpt_image_2_mcp.server.greeting import Greeting, greet_while, leave_at_signals, rest
    from gpt_image_2_mcp.server.shelf import first_page
    from gpt_image_2_mcp.stores.latest import latest
    from gpt_image_2_mcp.stores.places import left_over

    leave_at_signals()
    state_dir = state_dir_of(settings)
    greeting = Greeting(_profile_or_exit(settings), partial(first_page, partial(latest, state_dir)))
    if not rest(greeting, partial(left_over, state_dir)):
        return
    serve_stdio = greet_while(_imported_face, greeting)
    preferences, limit = preferences_or_exit(settings), settings.limits.line
    run_or_fail(settings, lambda: serve_stdio(lambda: opened(settings), preferences, limit, greeting.greeted))


def _imported_face() -> Callable[..., Coroutine[Any, Any, None]]:
    with collector_off():
        from gpt_image_2_mcp.server.app import serve_stdio
    return serve_stdio


def _profile_or_exit(settings: Settings) -> Profile | None:
    from gpt_image_2_mcp.server.profiles import named

    try:
        return named(settings.client_profile) if settings.client_profile else None
    except ImageServerError as error:
        fail(error)


def preferences_or_exit(settings: Settings) -> Preferences:
    """What the settings say of clients; a client that is not known ends the process with its sentence."""
    from gpt_image_2_mcp.server.preferences import Preferences

    profile = _profile_or_exit(settings)
    return Preferences(profile, settings.inline, settings.wait_s, redact=settings.redactor())


def _serve_http(settings: Settings, text: str, *, as_json: bool) -> None:
    with collector_off():
        from gpt_image_2_mcp.assembly import http_token
        from gpt_image_2_mcp.server.http import HttpServer, listen
        from gpt_image_2_mcp.server.terms import Address, Terms, allowed_hosts, allowed_origins

    preferences = preferences_or_exit(settings)
    try:
        http, address = settings.http, Address.parse(text)
        hosts = allowed_hosts(address, http.allowed_hosts, token_given=http.token is not None)
        token, file = http_token(settings)
        listening = listen(address)
    except ImageServerError as error:
        fail(error)
    origins = allowed_origins(address, http.allowed_origins)
    limits = http.body_limit, http.connections
    terms = Terms(token, hosts, origins, *limits, stateless=http.stateless, local_paths=http.local_paths)
    url = replace(address, port=listening.getsockname()[1]).url
    _tell_where(url, file, as_json=as_json)

    async def work(service: ImageService) -> None:
        await HttpServer(service, preferences, terms).serve(listening)

    run_with_service(replace(settings, local_paths=http.local_paths), work)


def _tell_where(url: str, token_file: Path | None, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"url": url, "token_file": str(token_file) if token_file else None}))
    else:
        where = f"; the bearer token stands in {token_file}" if token_file else ""
        click.echo(f"Serving MCP at {url}{where}", err=True)
