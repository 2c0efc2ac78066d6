"""A client's file on disk: read, changed in memory, and put in its place with a copy of what was there."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gpt_image_2_mcp.clients import jsonc, toml
from gpt_image_2_mcp.clients.edits import Put, carried_out
from gpt_image_2_mcp.clients.entries import Wish, changes, snippet
from gpt_image_2_mcp.clients.table import Client, Format
from gpt_image_2_mcp.errors import StorageError, UnreadableSetup

_BOM: Final = "\ufeff"
_LARGEST: Final = 64 * 1024 * 1024
"""Claude Code keeps its history of projects in its file."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file as it is and as it is to be; `before` is None where there is none."""

    path: Path
    before: str | None
    after: str

    @property
    def is_needed(self) -> bool:
        return self.before != self.after


def document_of(format_: Format, text: str) -> Mapping[str, Any]:
    """What a file holds.

    Raises:
        UnreadableSetup: it is not of its format.
    """
    text = text.removeprefix(_BOM)
    if format_ == "toml":
        return toml.read(text)
    found: dict[str, Any] = jsonc.read(text, comments=format_ == "jsonc").value
    return found


def read_document(client: Client, path: Path) -> Mapping[str, Any] | None:
    """What the client's file at `path` holds; None where there is none. Blocks.

    Raises:
        StorageError: it cannot be read.
    """
    text = _read(path)
    return None if text is None else document_of(client.format, text)


def planned(client: Client, path: Path, wish: Wish) -> Change:
    """What becomes of the client's file at `path`. Blocks, and changes nothing.

    Raises:
        StorageError: it cannot be read, or not be changed safely.
        InvalidRequest: the server's name is taken.
    """
    before = _read(path)
    text = (before or "").removeprefix(_BOM)
    held = document_of(client.format, text)
    puts = changes(client, held, wish)
    if before is None or not text.strip():
        return Change(path, before, f"{text}{shown(client, wish)}")
    after = _written(client.format, text, puts)
    if document_of(client.format, after) != carried_out(held, puts):
        raise UnreadableSetup("The file is written in a way that leaves no room for the server.")
    return Change(path, before, (_BOM if before.startswith(_BOM) else "") + after)


def _written(format_: Format, text: str, puts: Sequence[Put]) -> str:
    if format_ == "toml":
        return toml.written(text, puts)
    return jsonc.written(text, puts, comments=format_ == "jsonc")


def shown(client: Client, wish: Wish) -> str:
    """The snippet as text."""
    if client.format == "toml":
        return toml.dumped(snippet(client, wish), (client.servers, wish.name))
    return json.dumps(snippet(client, wish), indent=2, ensure_ascii=False) + "\n"


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(path, "read", error) from None
    if len(data) > _LARGEST:
        raise UnreadableSetup(f"{path} is larger than {_LARGEST >> 20} MB.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UnreadableSetup(f"{path} is not text in UTF-8.") from None


def _refused(path: Path, what: str, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be {what} ({error.strerror or error}).",
        hint="Give another file by --file, or put the snippet in by hand.",
    )


def write(change: Change, now: datetime, *, private: bool) -> Path | None:
    """Put the new text in the file's place, whole or not at all; the copy of what was there. Blocks.

    `private` takes the file from all but its owner, as a new one is from the start.

    Raises:
        StorageError: it cannot be written, or was changed meanwhile.
    """
    target = Path(os.path.realpath(change.path))  # a link to where somebody keeps it stays a link
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if private or change.before is None else stat.S_IMODE(target.stat().st_mode)
        draft = _draft(target, change.after, mode)
        try:
            if _read(target) != change.before:
                raise UnreadableSetup(
                    f"{change.path} was changed meanwhile.", hint="Nothing was changed: try again."
                )
            backup = None if change.before is None else _backup(target, change.before, now)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(change.path, "written", error) from None
    return backup


def _draft(target: Path, text: str, mode: int) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    return Path(name)


def _backup(target: Path, text: str, now: datetime) -> Path:
    """A copy under a name of its own, for its owner's eyes: it may hold keys of other servers."""
    for number in range(1000):
        suffix = f"-{number}" if number else ""
        path = target.with_name(f"{target.name}.{now:%Y%m%d-%H%M%S}{suffix}.bak")
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            return path
    raise StorageError(f"Every name for a copy of {target} is taken.")
