"""Locks that die with their process: who works on an operation, and which servers are alive."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

_LOOK_WITHIN_S: Final = 0.25


class FileLeases:
    """Lock files in one folder, by name. Calls take well under a millisecond and do not wait.

    To look is to take for a moment, so those who look take turns: none takes another's look for a holder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, FileLock] = {}

    def take(self, name: str) -> bool:
        """Take the lease `name`; False while another process or task has it."""
        if name in self._held:
            return False
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self._folder / f"{name}.lock", mode=0o600, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            return False
        self._held[name] = lock
        return True

    def give_back(self, name: str) -> None:
        """Release a lease and remove its file; nothing where it is not held here."""
        lock = self._held.pop(name, None)
        if lock is None:
            return
        with suppress(OSError):  # Windows keeps a file that another process has open
            Path(lock.lock_file).unlink()
        lock.release()

    def tidy(self, prefix: str) -> None:
        """Remove the files of leases that nobody holds any more."""
        for path in self._folder.glob(f"{prefix}*.lock"):
            self.is_held(path.stem)  # taking and giving back removes the file

    def is_held(self, name: str) -> bool:
        """Whether any process has the lease."""
        if name in self._held:
            return True
        if not (self._folder / f"{name}.lock").exists():
            return False
        turn = FileLock(self._folder / "look", mode=0o600, timeout=_LOOK_WITHIN_S, poll_interval=0.001)
        with suppress(Timeout), turn:
            if self.take(name):
                self.give_back(name)
                return False
        return True
