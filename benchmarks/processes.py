"""What a process and its children have used, from /proc: Linux alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and what it has started, a worker among them."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                parents.setdefault(int(_fields(int(entry.name))[1]), []).append(int(entry.name))
            except OSError:
                continue
    found = [pid]
    for one in found:
        found.extend(parents.get(one, ()))
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """Seconds of processor time, in user and system mode, to a hundredth of a second."""
    return sum(sum(map(int, _fields(pid)[11:13])) for pid in pids) / _TICKS


def memory_mib(pids: Iterable[int]) -> float:
    """What stands in memory. What processes share is counted for each, which is to our disadvantage."""
    return sum(_status(pid, "VmRSS") for pid in pids)


def peak_mib(pids: Iterable[int]) -> float:
    """The sum of each one's peak since `forget_peaks`: they need not have been at the same time."""
    return sum(_status(pid, "VmHWM") for pid in pids)


def forget_peaks(pids: Iterable[int]) -> None:
    for pid in pids:
        (PROC / str(pid) / "clear_refs").write_text("5")


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before it may hold anything."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _status(pid: int, field: str) -> float:
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))
