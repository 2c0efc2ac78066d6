"""Folders on disks that fill up or break."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from gpt_image_2_mcp.gateways import _sink
from gpt_image_2_mcp.walking import sync_folder


class Disk(io.FileIO):
    """A file that takes `step` bytes a time, and `room` in all."""

    def __init__(self, handle: int, room: int, step: int) -> None:
        super().__init__(handle, "r+b")
        self._room, self._step = room, step

    def write(self, data: Any) -> int:
        taken = bytes(data[: min(self._step, self._room - self.tell())])
        if data and not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(taken)


def disks(monkeypatch: pytest.MonkeyPatch, rooms: Mapping[Path, int], step: int = 3) -> None:
    """Give files in these folders so much room in bytes; all files take only `step` bytes a time."""
    real = _sink._open

    def opened(path: Path, *, fresh: bool) -> BinaryIO:
        with real(path, fresh=fresh) as file:
            return cast("BinaryIO", Disk(os.dup(file.fileno()), rooms.get(path.parent, 1 << 40), step))

    monkeypatch.setattr(_sink, "_open", opened)


STEPS = ["open", "write", "flush", "rename", "flush the folder"]


def broken(monkeypatch: pytest.MonkeyPatch, step: str, *folders: Path) -> None:
    """Have this step of writing an answer fail in these folders."""

    def is_in(path: Path) -> bool:
        return path.parent in folders

    def fails(real: Callable[..., Any], hits: Callable[..., bool]) -> Callable[..., Any]:
        def work(*args: Any, **kwargs: Any) -> Any:
            if hits(*args):
                raise OSError(errno.EIO, "Input/output error")
            return real(*args, **kwargs)

        return work

    if step == "open":
        monkeypatch.setattr(_sink, "_open", fails(_sink._open, is_in))
    elif step == "write":
        disks(monkeypatch, dict.fromkeys(folders, 0))
    elif step == "rename":
        monkeypatch.setattr(Path, "replace", fails(Path.replace, lambda path, _to: is_in(path)))
    elif step == "flush":
        monkeypatch.setattr(
            os, "fsync", fails(os.fsync, lambda handle: any(_stands_in(handle, f) for f in folders))
        )
    else:
        monkeypatch.setattr(_sink, "sync_folder", fails(sync_folder, lambda folder: folder in folders))


def _stands_in(handle: int, folder: Path) -> bool:
    files = folder.iterdir() if folder.is_dir() else ()
    return any(os.path.samestat(os.fstat(handle), path.stat()) for path in files)
