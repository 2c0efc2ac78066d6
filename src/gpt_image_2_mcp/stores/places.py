"""Where answers are spooled, and whether anything is left there; imports next to nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def spool_folders(state_dir: Path) -> tuple[Path, Path]:
    """Where answers go, and where they go on when the state disk is full."""
    return state_dir / "spool", second_spool()


def second_spool() -> Path:
    """A folder of this user's in the temporary folder."""
    return Path(tempfile.gettempdir()) / f"gpt-image-2-mcp-{_user()}"


def _user() -> int | str:
    if hasattr(os, "getuid"):
        return os.getuid()
    import getpass

    return getpass.getuser()


def left_over(state_dir: Path) -> frozenset[str]:
    """What stands in the spool: of calls under way, and of those whose process died.

    An operation has a file there from before it is entered until its pictures stand. A folder that cannot be
    read counts as one, so that whoever looks closer says why.
    """
    return frozenset(name for folder in spool_folders(state_dir) for name in _names(folder))


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError:
        return [str(folder)]
