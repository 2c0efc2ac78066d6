"""Opens files and folders by their real paths, step by step, so that no link put in meanwhile is followed."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BY_STEPS: Final = os.open in os.supports_dir_fd
"""Whether each step is taken from the folder that the one before it opened. Windows has no such calls: there
a path is opened whole and compared afterwards, and a link that is put in and taken out again between the two
goes unseen."""
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
# To pass through a folder takes the right to search it, not the right to list it.
_STEP: Final = getattr(os, "O_DIRECTORY", 0) | _NO_LINK | getattr(os, "O_PATH", getattr(os, "O_SEARCH", 0))
# O_NONBLOCK: opening a FIFO must not wait for a writer. O_NOCTTY: a terminal must not become ours.
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_PLAIN: Final = _NO_LINK | getattr(os, "O_BINARY", 0)
_AS_IT_IS: Final[dict[str, Any]] = (
    {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
)


def open_file(path: Path, *, by_steps: bool = BY_STEPS) -> int:
    """A handle to read the regular file at the real path `path`.

    Raises:
        OSError: it is missing, unreadable or no regular file, or a link stands on the way to it.
    """
    if by_steps:
        parent = _walk(path.parent)
        try:
            handle = os.open(path.name, os.O_RDONLY | _PLAIN | _NO_WAIT, dir_fd=parent)
        finally:
            os.close(parent)
    else:
        handle = _compared(os.open(path, os.O_RDONLY | _PLAIN | _NO_WAIT), path)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a file")
    return handle


@contextmanager
def opened_folder(path: Path, *, by_steps: bool = BY_STEPS) -> Iterator[Folder]:
    """The folder at the real path `path`, made where it is missing.

    Raises:
        OSError: it cannot be made or opened, or a link stands on the way to it.
    """
    if not by_steps:
        _refuse_links(path)
        path.mkdir(parents=True, exist_ok=True)
        yield Folder(path, None)
        return
    passed = _walk(path, make=True)
    try:
        handle = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=passed)
    finally:
        os.close(passed)
    try:
        yield Folder(path, handle)
    finally:
        os.close(handle)


def _walk(path: Path, *, make: bool = False) -> int:
    """A handle of the folder `path` to take further steps from."""
    anchor, *names = path.parts
    if ".." in names:
        raise OSError(errno.EINVAL, "not a real path")
    handle = os.open(anchor, _STEP)
    for name in names:
        try:
            below = _step(handle, name, make=make)
        finally:
            os.close(handle)
        handle = below
    return handle


def _step(handle: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _STEP, dir_fd=handle)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # another process was as quick
        os.mkdir(name, dir_fd=handle)
    return os.open(name, _STEP, dir_fd=handle)


def _refuse_links(path: Path) -> None:
    if os.path.realpath(path) != str(path):
        raise OSError(errno.ELOOP, "a link stands in the way")


def _compared(handle: int, path: Path) -> int:
    """`handle`, if it is what stands at `path` and no link leads there."""
    try:
        _refuse_links(path)
        if not os.path.samestat(os.fstat(handle), os.lstat(path)):
            raise OSError(errno.ELOOP, "it was exchanged meanwhile")
    except BaseException:
        os.close(handle)
        raise
    return handle


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder: its names are those of the folder that was opened, wherever its path leads by now.

    All methods raise OSError. Without a `handle` the path is looked at anew before each of them.
    """

    path: Path
    handle: int | None

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        handle = os.open(self._at(name), flags | _PLAIN | _NO_WAIT, mode, dir_fd=self.handle)
        return handle if self.handle is not None else _compared(handle, self.path / name)

    def link(self, name: str, other: str) -> None:
        """Give the file `name` a second name, if nobody has that."""
        here = self.handle
        os.link(self._at(name), self._at(other), src_dir_fd=here, dst_dir_fd=here, **_AS_IT_IS)

    def move(self, name: str, other: str) -> None:
        here = self.handle
        os.replace(self._at(name), self._at(other), src_dir_fd=here, dst_dir_fd=here)

    def remove(self, name: str) -> None:
        """Remove a file; fine if it is not there."""
        with suppress(FileNotFoundError):
            os.unlink(self._at(name), dir_fd=self.handle)

    def status(self, name: str) -> os.stat_result:
        return os.stat(self._at(name), dir_fd=self.handle, follow_symlinks=False)

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.path if self.handle is None else self.handle).free

    def open_nameless(self) -> int:
        """A handle to write a file that is gone when it is closed."""
        if flag := getattr(os, "O_TMPFILE", 0):
            with suppress(
                OSError
            ):  # not every file system has them; if it is another reason, it is met again
                return os.open(self._at("."), flag | os.O_WRONLY, 0o600, dir_fd=self.handle)
        name = f".{secrets.token_hex(8)}.probe"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_TEMPORARY", 0)
        handle = self.open(name, flags, 0o600)
        if os.name != "nt":  # which removes it itself
            self.remove(name)
        return handle

    def sync(self) -> None:
        """Flush the names."""
        if self.handle is None:
            sync_folder(self.path)
        else:
            os.fsync(self.handle)

    def _at(self, name: str) -> str | Path:
        if self.handle is not None:
            return name
        _refuse_links(self.path)
        return self.path / name


def sync_folder(folder: Path) -> None:
    """Flush a folder's names; Windows cannot and need not."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
