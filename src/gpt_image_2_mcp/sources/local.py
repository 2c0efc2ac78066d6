"""Reads local files, bounded, and turns file URLs into paths. Blocks: call it in a worker thread."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from gpt_image_2_mcp.capabilities import MAX_INPUT_BYTES
from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.redaction import clean


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


def read_local(path: Path) -> bytes:
    """At most one byte more than the API's limit of a regular file.

    Raises:
        InputError: it is missing, unreadable or no regular file.
    """
    try:
        # O_NONBLOCK: opening a FIFO must not wait for a writer.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise _unreadable(path, getattr(error, "strerror", None) or "not a valid path") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _unreadable(path, "not a file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_INPUT_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error.strerror or "input/output error") from None
    finally:
        os.close(handle)


def _unreadable(path: Path, why: str) -> InputError:
    return InputError(
        f"{clean(str(path), 300)} cannot be read ({why}).",
        hint="Give an absolute path to a PNG, JPEG or WebP picture; nothing was sent.",
    )
