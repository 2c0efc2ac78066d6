"""Runs the official conformance suite against the HTTP server: python -m tests.clients.conformance.

The suite has no way to send a token. So the server's own application is served here with a layer before it
that adds the token to each request; all the rest, Host and Origin checks included, is as people get it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio
import click
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from gpt_image_2_mcp.assembly import open_service
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.logs import configure_logging
from gpt_image_2_mcp.redaction import redact
from gpt_image_2_mcp.server.http import HttpServer, listen
from gpt_image_2_mcp.server.preferences import BY_PROFILE
from gpt_image_2_mcp.server.terms import Address, Terms, allowed_hosts, allowed_origins
from gpt_image_2_mcp.settings import read_settings

HERE: Final = Path(__file__).resolve().parent
BIN: Final = HERE.parents[1] / ".clients" / "node_modules" / ".bin"
REVISIONS: Final = ("2025-11-25", "2026-07-28")
TOKEN: Final = "conformance-0123456789"
LOOPBACK: Final = Address("127.0.0.1", 0)


def with_token(app: ASGIApp) -> ASGIApp:
    """`app` for callers that cannot show the token."""

    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], (b"authorization", f"Bearer {TOKEN}".encode())]}
        await app(scope, receive, send)

    return let_in


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[str]:
    """The sandbox's server at an address that lets everybody on this machine in."""
    settings = read_settings(
        {"GPT_IMAGE_2_SANDBOX": "1", "GPT_IMAGE_2_STATE_DIR": str(folder), "GPT_IMAGE_2_WORKER": "inline"}
    )
    settings = replace(settings, output_dir=folder / "pictures", local_paths=False)
    hosts = allowed_hosts(LOOPBACK, (), token_given=True)
    terms = Terms(Secret(TOKEN), hosts, allowed_origins(LOOPBACK, ()), settings.http.body_limit, 200)
    async with open_service(settings) as service, anyio.create_task_group() as group:
        listening = listen(LOOPBACK)
        app = with_token(HttpServer(service, BY_PROFILE, terms).app)
        server = uvicorn.Server(
            uvicorn.Config(app, http="h11", ws="none", log_config=None, timeout_graceful_shutdown=1)
        )
        group.start_soon(server.serve, [listening])
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        server.should_exit = True


async def run(url: str, revision: str, output: Path) -> int:
    """One revision of the suite; its exit code."""
    click.echo(f"\n== {revision} ==")
    command = [str(BIN / "node"), str((BIN / "conformance").resolve()), "server", "--url", url]
    command += ["--requirements", revision, "-o", str(output / revision)]
    command += ["--expected-failures", str(HERE / f"expected-failures-{revision}.yml")]
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}  # noqa: TID251 - to start a child
    done = await anyio.run_process(command, env=environment, stderr=None, check=False)
    told = done.stdout.decode()
    click.echo(told[max(told.find("=== SUMMARY ==="), 0) :])
    return done.returncode


async def run_all(revisions: tuple[str, ...], output: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as url:
            return max([await run(url, revision, output) for revision in revisions])


@click.command()
@click.option("--revision", "revisions", multiple=True, default=REVISIONS, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Keep the suite's results there.")
def main(revisions: tuple[str, ...], output: Path | None) -> None:
    """Run the suite for each revision of the protocol."""
    configure_logging(redact, debug=False)
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(anyio.run(run_all, revisions, output or Path(folder)))


if __name__ == "__main__":
    main()
