"""Reads local files below the roots, bounded, and turns sources into paths. Blocks: call it in a thread."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from gpt_image_2_mcp.capabilities import MAX_INPUT_BYTES
from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.roots import Roots, real_path
from gpt_image_2_mcp.sources.marks import file_mark
from gpt_image_2_mcp.walking import open_file

_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def path_of_file_url(url: str) -> Path:
    """The path of a `file:` URL on this machine.

    Raises:
        InputError: it names another host or no absolute path.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _not_here(url) from None
    path = url2pathname(parts.path)
    if parts.netloc.lower() not in ("", "localhost") or "\0" in path or not Path(path).is_absolute():
        raise _not_here(url)
    return Path(path)


def _not_here(url: str) -> InputError:
    return InputError(f"{clean(url, 200)} is not a file on this machine.")


def local_path(source: str, working_dir: Path) -> Path | None:
    """The path that `source` is, whether or not anything is there; None where it is a URL of another kind.

    Raises:
        InputError: it is a file URL of another host or without an absolute path.
    """
    if source[:5].lower() == "file:":
        return path_of_file_url(source)
    if source[:6].lower().startswith(("data:", "https:")) or _URL.match(source):
        return None
    try:
        path = Path(source).expanduser()
    except (RuntimeError, ValueError):  # "~name" of a user there is not, or that can be none
        path = Path(source)
    return working_dir / path


class Reading(NamedTuple):
    """What was read, and the mark by which it is known again."""

    data: bytes
    mark: str


def read_below(roots: Roots, path: Path) -> Reading:
    """The regular file that `path` leads to, if that is below a root; read once.

    Raises:
        InputError: it is outside, which is said before anything is opened and whether or not it is there; or
            it is missing, unreadable, no regular file, or larger than the API's limit.
    """
    with _translated(path):
        place = roots.find(path)
    if place is None:
        raise InputError(
            f"{clean(str(path), 300)} is in no folder that pictures are read from ({roots}; never folders of "
            "credentials or of the system).",
            hint="Copy the picture into one of these, or name its folder in GPT_IMAGE_2_INPUT_ROOTS and "
            "restart the server; nothing was sent.",
        )
    data, status = _read(path, place.real)
    return Reading(data, file_mark(data, status))


def read_own(path: Path) -> bytes:
    """A file that this server wrote, wherever that is.

    Raises:
        InputError: it is missing, unreadable, no regular file, or larger than the API's limit.
    """
    with _translated(path):
        real = real_path(path)
    return _read(path, real)[0]


def _read(path: Path, real: Path) -> tuple[bytes, os.stat_result | None]:
    """The file, and its status if that was the same before and after it was read."""
    with _translated(path), os.fdopen(open_file(real), "rb") as file:
        before = os.fstat(file.fileno())
        if before.st_size > MAX_INPUT_BYTES:  # with holes it may take no room at all
            raise _too_large(path)
        # No more than is there: a buffer for the largest input is one that the allocator keeps for no other.
        data = file.read(before.st_size + 1)
        if len(data) > before.st_size:  # it grew meanwhile
            data += file.read(MAX_INPUT_BYTES + 1 - len(data))
        after = os.fstat(file.fileno())
    if len(data) > MAX_INPUT_BYTES:
        raise _too_large(path)
    still = len(data) == before.st_size == after.st_size and before.st_mtime_ns == after.st_mtime_ns
    return data, after if still else None


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a valid path"
        raise _unreadable(path, why or "input/output error") from None


def _too_large(path: Path) -> InputError:
    return InputError(
        f"{clean(str(path), 300)} is larger than 50 MB.", hint="Give a smaller picture; nothing was sent."
    )


def _unreadable(path: Path, why: str) -> InputError:
    return InputError(
        f"{clean(str(path), 300)} cannot be read ({why}).",
        hint="Give an absolute path to a PNG, JPEG or WebP picture; nothing was sent.",
    )
