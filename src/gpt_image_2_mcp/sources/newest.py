"""Finds the newest picture in a person's folders: the last screenshot, the last download. Blocks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from gpt_image_2_mcp.errors import InputError

_EXTENSIONS: Final = (".png", ".jpg", ".jpeg", ".webp")
_MOST_ENTRIES: Final = 20_000
"""Of a folder: looking through it must not take seconds."""


def screenshot_folders() -> tuple[Path, ...]:
    """Where systems put screenshots: macOS on the desktop, GNOME, KDE and Windows below the pictures."""
    import platformdirs

    home, pictures = Path.home(), platformdirs.user_pictures_path()
    return _once(
        platformdirs.user_desktop_path(),
        home / "Desktop",
        *(folder / "Screenshots" for folder in (pictures, home / "Pictures", home / "OneDrive" / "Pictures")),
    )


def download_folders() -> tuple[Path, ...]:
    import platformdirs

    return _once(platformdirs.user_downloads_path(), Path.home() / "Downloads")


def _once(*folders: Path) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(folders))


def newest_picture(folders: Iterable[Path], what: str) -> Path:
    """The file that was changed last of those with a picture's name, directly in the `folders`.

    Raises:
        InputError: there is none; `what` was looked for.
    """
    folders = tuple(folders)
    found = [picture for folder in folders for picture in _pictures(folder)]
    if not found:
        raise InputError(
            f"There is no {what}: no picture is in {', '.join(map(str, folders))}.",
            hint="Give the picture's path; nothing was sent.",
        )
    return max(found)[1]


def _pictures(folder: Path) -> Iterator[tuple[float, Path]]:
    """When each was changed, and its path. Links, hidden files and empty ones are passed over."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in islice(entries, _MOST_ENTRIES):
            if entry.name.lower().endswith(_EXTENSIONS) and not entry.name.startswith("."):
                with suppress(OSError):  # gone since it was listed
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and found.st_size:
                        yield found.st_mtime, Path(entry.path)
