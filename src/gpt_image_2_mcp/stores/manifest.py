"""The manifest of a batch: JSON lines that are only ever added, each on disk before anything follows it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import anyio
from anyio.to_thread import run_sync
from filelock import FileLock, Timeout
from pydantic import ValidationError

from gpt_image_2_mcp.batches import Head, Row
from gpt_image_2_mcp.errors import InvalidRequest, StorageError


class FileManifest:
    """`head` is what this run would begin the file with. One run at a time: see `exclusively`."""

    def __init__(self, path: Path, head: Head) -> None:
        self._path, self._head = path, head
        self._adding = anyio.Lock()

    async def read(self) -> tuple[Row, ...]:
        """All rows; a last line that a death cut off is no row, and nothing followed it.

        Raises:
            StorageError: it cannot be read, or is no manifest.
            InvalidRequest: its calls are in another journal.
        """
        return await run_sync(self._read)

    async def add(self, row: Row) -> None:
        """Have a row on disk.

        Raises:
            StorageError: it cannot be written.
        """
        async with self._adding:
            await run_sync(self._add, row)

    def _read(self) -> tuple[Row, ...]:
        lines = self._whole_lines()
        if not lines:
            return ()
        try:
            found = Head.model_validate_json(lines[0])
            rows = tuple(map(Row.model_validate_json, lines[1:]))
        except ValidationError:
            raise StorageError(
                f"{self._path.name} is no manifest of a batch, or is damaged.",
                hint="Name another file by --manifest, or move that one away if its calls were never sent.",
            ) from None
        if found != self._head:
            other = "the sandbox" if found.sandbox else found.state_dir
            raise InvalidRequest(
                f"The calls of {self._path.name} are journalled in {other}, and this run would use another "
                "journal.",
                hint="Run it with the settings of its first run, or name another manifest by --manifest.",
            )
        return rows

    def _whole_lines(self) -> list[bytes]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable("read", error) from None
        return data[: data.rfind(b"\n") + 1].splitlines()

    def _add(self, row: Row) -> None:
        try:
            with self._path.open("ab+") as file:
                new = _cut(file) == 0
                head = self._head.model_dump_json() + "\n" if new else ""
                file.write(f"{head}{row.model_dump_json()}\n".encode())
                file.flush()
                os.fsync(file.fileno())
            if new:
                _sync_folder(self._path.parent)
        except OSError as error:
            raise self._unusable("written", error) from None

    def _unusable(self, done: str, error: OSError) -> StorageError:
        return StorageError(
            f"The manifest {self._path} cannot be {done} ({error.strerror}).",
            hint="Name another by --manifest, in a folder that can be written.",
        )


def _cut(file: IO[bytes]) -> int:
    """Take away the beginning of a line that was never finished; how many bytes are left."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    if file.read(1) not in (b"", b"\n"):
        file.seek(0)
        size = file.truncate(file.read().rfind(b"\n") + 1)
    return size


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Keep other runs away from a manifest: two at once would send every line twice.

    Raises:
        InvalidRequest: there is one at it.
        StorageError: its folder cannot be written.
    """
    lock = FileLock(path.with_name(f"{path.name}.lock"), timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise InvalidRequest(
            f"Another run is at work on {path.name}.", hint="Wait until it has ended."
        ) from None
    except OSError as error:
        raise StorageError(
            f"The folder of {path} cannot be written ({error.strerror}).", hint="Name another by --manifest."
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):
            Path(lock.lock_file).unlink()
        lock.release()
