"""`config`: what a client's file needs to start this server, printed or put there."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from gpt_image_2_mcp.clients.entries import SERVER, Launch, Wish
from gpt_image_2_mcp.clients.files import Change, planned, shown, write
from gpt_image_2_mcp.clients.places import Places
from gpt_image_2_mcp.clients.table import CLIENTS, Client, client_named
from gpt_image_2_mcp.commands.running import fail
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.settings import key_for_clients, places_of_clients

_COMMAND: Final = "gpt-image-2-mcp"


@click.command()
@click.argument(
    "client", required=False, metavar="[CLIENT]", type=click.Choice([client.name for client in CLIENTS])
)
@click.option(
    "--write/--print", "writing", default=False, help="Change the client's file; without it, print alone."
)
@click.option("--project", is_flag=True, help="The file of the project in this folder, not the person's.")
@click.option(
    "--file", "file", type=click.Path(dir_okay=False, path_type=Path), help="Another file than the usual one."
)
@click.option("--name", default=SERVER, show_default=True, help="What the server is called in the client.")
@click.option("--command", help="The command that starts the server, instead of this one's own.")
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that holds the key, for OPENAI_API_KEY_FILE.",
)
@click.option(
    "--with-key", is_flag=True, help="With --write: put OPENAI_API_KEY of this shell into the file."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(
    *,
    client: str | None,
    writing: bool,
    project: bool,
    file: Path | None,
    name: str,
    command: str | None,
    key_file: Path | None,
    with_key: bool,
    as_json: bool,
) -> None:
    """Set CLIENT up to start this server; without a CLIENT, list those that are known.

    Everything else in its file stays as it is, and a copy of the file is kept beside it. A key is put there
    only with --with-key; elsewhere the client is told how to get it, or a place is left for it.
    """
    places = places_of_clients()
    if client is None:
        _list(places, as_json=as_json)
        return
    if with_key and not writing:
        raise click.UsageError("--with-key needs --write: a key is never printed.")
    try:
        chosen = client_named(client)
        launch = Launch(command) if command else own_launch()
        key, kept_at = _key(with_key=with_key, key_file=key_file)
        wish = Wish(launch, name, key, kept_at)
        path = (file or chosen.path(places, project=project)).absolute()
        _set_up(chosen, path, wish, writing=writing, as_json=as_json)
    except ImageServerError as error:
        fail(error)


def own_launch() -> Launch:
    """How this process can be started again: absolutely, since clients with a window have another PATH."""
    typed, executable = sys.argv[0], Path(sys.executable)
    if "archive-v0" in executable.parts:  # of a uvx run, which uv may clear away
        return Launch(shutil.which("uvx") or "uvx", (_COMMAND,))
    if Path(typed).stem != _COMMAND:
        return Launch(str(executable), ("-m", "gpt_image_2_mcp"))
    return Launch(str(Path(shutil.which(typed) or typed).absolute()))


def _key(*, with_key: bool, key_file: Path | None) -> tuple[Secret | None, Path | None]:
    key, named = key_for_clients()
    if with_key and key is None:
        raise click.UsageError("--with-key takes OPENAI_API_KEY from the environment, where it is not set.")
    if with_key:
        return key, None
    return None, (key_file.absolute() if key_file else None if key else named)


def _set_up(client: Client, path: Path, wish: Wish, *, writing: bool, as_json: bool) -> None:
    change = planned(client, path, wish) if writing else None
    backup = None
    if change and change.is_needed:
        backup = write(change, datetime.now().astimezone(), private=wish.key is not None)
    if as_json:
        click.echo(json.dumps(_document(client, path, wish, change, backup), indent=2))
    elif change:
        _report(client, path, change, backup)
    else:
        click.echo(shown(client, wish), nl=False)
        click.echo(f"\nIt goes into {path}; with --write it is put there.", err=True)


def _document(
    client: Client, path: Path, wish: Wish, change: Change | None, backup: Path | None
) -> dict[str, Any]:
    """As scripts are told it; a key is not in it."""
    keyless = Wish(wish.launch, wish.name, Secret("sk-...") if wish.key else None, wish.key_file)
    return {
        "client": client.name,
        "file": str(path),
        "snippet": shown(client, keyless),
        "changed": bool(change and change.is_needed),
        "backup": str(backup) if backup else None,
    }


def _report(client: Client, path: Path, change: Change, backup: Path | None) -> None:
    if not change.is_needed:
        click.echo(f"{path} has it already; nothing was changed.")
        return
    click.echo(f"{client.title} is set up in {path}.")
    if backup:
        click.echo(f"What was there is kept in {backup}.")
    if '"sk-..."' in change.after:
        click.echo("Put your OpenAI API key in the place of sk-... there.")
    click.echo(client.restart)


def _list(places: Places, *, as_json: bool) -> None:
    if as_json:
        rows = [{"client": c.name, "title": c.title, "file": str(c.path(places))} for c in CLIENTS]
        click.echo(json.dumps(rows, indent=2))
        return
    for client in CLIENTS:
        path = client.path(places)
        click.echo(f"{client.name:<16}{path}{'' if path.exists() else ' (not there)'}")
