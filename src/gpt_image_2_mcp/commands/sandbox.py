"""`sandbox`: the embedded Images API on a loopback port, for anybody's tests."""

from __future__ import annotations

import json
import socket

import click

from gpt_image_2_mcp.logs import configure_logging
from gpt_image_2_mcp.redaction import redact
from gpt_image_2_mcp.sandbox import FAULT_MODES, Faults, create_app

_MODES = "; ".join(f"{name}: {text}" for name, text in FAULT_MODES.items())


@click.command(epilog=f"Failures: {_MODES}")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8787,
    show_default=True,
    help="Port on 127.0.0.1; 0 picks a free one.",
)
@click.option(
    "--delay",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Seconds before each picture answer.",
)
@click.option("--fail", type=click.Choice(list(FAULT_MODES)), help="Answer picture calls with this failure.")
@click.option(
    "--fail-count",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How many calls fail; 0 for all.",
)
@click.option(
    "--images-per-minute",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Refuse pictures beyond so many a minute; 0 for no limit.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed draws other pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print where it is on stdout, as JSON in one line.")
def sandbox(
    *,
    port: int,
    delay: float,
    fail: str | None,
    fail_count: int,
    images_per_minute: int,
    seed: int,
    as_json: bool,
) -> None:
    """Serve a stand-in for OpenAI's image endpoints at http://127.0.0.1:PORT/v1.

    It draws real pictures of the asked size and bills nobody. Point OPENAI_BASE_URL at it; any key but
    `sk-invalid` is taken.
    """
    if fail_count and not fail:
        raise click.UsageError("--fail-count says how many calls fail, --fail how: give both.")
    import uvicorn

    configure_logging(redact, debug=False)
    faults = Faults(delay=delay, mode=fail, count=fail_count)
    app = create_app(faults, seed=seed, images_per_minute=images_per_minute or None)
    listening = _listening(port)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    if as_json:
        click.echo(json.dumps({"base_url": url}))
    else:
        click.echo(f"Sandbox Images API: OPENAI_BASE_URL={url}", err=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


def _listening(port: int) -> socket.socket:
    """Not uvicorn's own, which ends the process with the code that here means an unknown bill (0.54)."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        raise click.UsageError(
            f"127.0.0.1:{port} cannot be listened on ({reason}). Give another --port; 0 takes a free one."
        ) from None
