"""`serve`: the MCP server."""

from __future__ import annotations

import click

from gpt_image_2_mcp.commands.running import run_with_service, settings_or_exit


@click.command()
def serve() -> None:
    """Serve an MCP client on stdin and stdout.

    Settings come from the environment; see .env.example.
    """
    settings = settings_or_exit()
    from gpt_image_2_mcp.server.app import serve_stdio

    run_with_service(settings, lambda service: serve_stdio(service, settings.wait_s))
