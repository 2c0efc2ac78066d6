"""The bearer token of the HTTP server in a file of its own, made once and read by its owner alone."""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from pathlib import Path

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.keys import Secret


def kept_token(path: Path) -> Secret:
    """The token in the file `path`, which is made if there is none.

    Raises:
        StorageError: it cannot be made or read, or others may have read it.
    """
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise StorageError(
            f"The token file {path} cannot be written or read ({error.strerror}).",
            hint="Give a folder that can be written as GPT_IMAGE_2_STATE_DIR, or a token of your own.",
        ) from None


def _make(path: Path) -> None:
    """Whole or not at all, and never over the token of a server that starts at the same time."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".http-token-")  # readable by its owner alone
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()


def _read(path: Path) -> Secret:
    with path.open() as file:
        found = os.fstat(file.fileno())
        if hasattr(os, "getuid") and (stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.getuid()):
            raise _refused(path, "is not its owner's alone")
        token = file.read(1024).strip()
    if not re.fullmatch(r"[\w-]{43,}", token, re.ASCII):
        raise _refused(path, "holds no token")
    return Secret(token)


def _refused(path: Path, why: str) -> StorageError:
    return StorageError(
        f"The token file {path} {why}.", hint="Delete it: a new one is made at the next start."
    )
