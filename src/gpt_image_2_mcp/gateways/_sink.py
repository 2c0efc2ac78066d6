"""Writes an answer to disk as it arrives, and goes on in another folder when a disk is full. Blocks."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.walking import sync_folder

_COPY_BYTES: Final = 1024 * 1024

Bytes = bytes | memoryview


class Sink:
    """One answer. It stands under the name `<target>.part` until it is whole and flushed."""

    def __init__(self, targets: Sequence[Path]) -> None:
        self._target, *self._others = targets
        self._path = _part(self._target)
        self._file: BinaryIO | None = None
        self._written = 0

    @property
    def path(self) -> Path:
        """Where it stands as yet."""
        return self._path

    def write(self, *pieces: Bytes) -> None:
        """Add `pieces`.

        Raises:
            StorageError: no folder takes them; what was written before stays where it is.
        """
        for data in pieces or (b"",):
            try:
                _write(self._opened(), self._written, data)
            except OSError as error:
                self._move_on(error, data)
            self._written += len(data)

    def finish(self, *pieces: Bytes) -> Path:
        """Add `pieces`, flush the answer and give it its final name, which it returns.

        Raises:
            StorageError: no disk keeps it.
        """
        try:
            self.write(*pieces)
            return self._flushed()
        finally:
            self.close()

    def _flushed(self) -> Path:
        while True:
            try:
                os.fsync(self._opened().fileno())
                self.close()  # Windows renames no open file
                self._path = self._path.replace(self._target)
                sync_folder(self._target.parent)
            except OSError as error:
                # After a failed flush the file is not to be trusted: it is written again elsewhere.
                self._move_on(error)
            else:
                return self._target

    def leave(self, *pieces: Bytes) -> None:
        """Add `pieces` and leave the answer as it is, under the name of one that is not whole.

        Raises:
            StorageError: no folder takes them.
        """
        try:
            self.write(*pieces)
        finally:
            self.close()

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self._file = _open(self._path, fresh=not self._written)
        return self._file

    def _move_on(self, error: OSError, data: Bytes = b"") -> None:
        """Write what there is, and `data` after it, to the next folder that takes it; then leave this one."""
        for number, target in enumerate(self._others, 1):
            try:
                copy = self._copied(_part(target), data)
            except OSError as next_error:
                error = next_error
            else:
                self.close()
                _remove(self._path)
                self._target, self._others = target, self._others[number:]
                self._path, self._file = _part(target), copy
                return
        folder = (self._others or [self._target])[-1].parent
        raise StorageError(
            f"The answer could not be written to {folder} ({error.strerror}).",
            hint="Free some disk space or set GPT_IMAGE_2_STATE_DIR; the call may have been billed.",
        ) from None

    def _copied(self, path: Path, data: Bytes) -> BinaryIO:
        copy = _open(path, fresh=True)
        try:
            position = 0
            for piece in self._pieces():
                _write(copy, position, piece)
                position += len(piece)
            _write(copy, position, data)
        except BaseException:
            copy.close()
            _remove(path)
            raise
        return copy

    def _pieces(self) -> Iterator[bytes]:
        """What was written; behind it may stand part of a write that failed."""
        position = 0
        while position < self._written:
            file = self._opened()
            file.seek(position)
            piece = file.read(min(_COPY_BYTES, self._written - position))
            if not piece:
                raise OSError(errno.EIO, "what was written is gone")
            yield piece
            position += len(piece)


def _open(path: Path, *, fresh: bool) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags | os.O_TRUNC if fresh else flags, 0o600), "r+b", buffering=0)


def _write(file: BinaryIO, position: int, data: Bytes) -> None:
    file.seek(position)
    view = memoryview(data)
    while view:
        count = file.write(view)  # a write to a nearly full disk comes back short
        view = view[count:]


def _remove(path: Path) -> None:
    with suppress(OSError):  # it stands elsewhere; this copy goes with the operation
        path.unlink()


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name.removesuffix('.resp')}.part")
