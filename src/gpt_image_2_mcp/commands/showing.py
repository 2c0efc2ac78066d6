"""Shows a result's pictures: in the terminal, or in the system's viewer, which is run without a shell."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path, PurePath

import click

from gpt_image_2_mcp.commands.terminal import Terminal
from gpt_image_2_mcp.errors import UndecodablePicture
from gpt_image_2_mcp.settings import child_environment, terminal_variables


def display(paths: Sequence[str]) -> None:
    """Show pictures on the terminal that stdout is; of one that cannot be decoded, its path was told."""
    columns, lines = shutil.get_terminal_size()
    terminal = Terminal.of(terminal_variables(), columns, lines)
    for path in paths if terminal.way else ():
        try:
            click.echo(terminal.picture(Path(path)), nl=False, color=True)
        except (UndecodablePicture, UnicodeEncodeError):  # older code pages of Windows have no blocks
            click.echo(f"{path} cannot be shown here.", err=True)


def open_in_viewer(paths: Sequence[str]) -> None:
    """Open pictures in what the system opens them with; where there is nothing, say so: they are made."""
    for path in paths:
        try:
            _open(path)
        except OSError as error:
            click.echo(f"{path} cannot be opened ({error.strerror or error}).", err=True)


def _open(path: str) -> None:
    if sys.platform == "win32":
        import os

        os.startfile(path)  # noqa: S606 - by the association of its type
        return
    environment = child_environment({})
    name = "open" if sys.platform == "darwin" else "xdg-open"
    folders = (folder for folder in environment.get("PATH", "").split(":") if PurePath(folder).is_absolute())
    tool = shutil.which(name, path=":".join(folders))
    if tool is None:
        raise OSError(f"there is no {name}")
    nothing = subprocess.DEVNULL
    viewer = subprocess.Popen(  # noqa: S603 - by its absolute path, with one argument of ours
        [tool, path], stdin=nothing, stdout=nothing, stderr=nothing, env=environment, start_new_session=True
    )
    # Nobody waits until its window is closed, which is when some viewers end.
    threading.Thread(target=viewer.wait, daemon=True).start()
