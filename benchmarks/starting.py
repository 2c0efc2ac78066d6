"""A server by itself: how long until a client has its tools, what it holds at rest, how fast it leaves."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.processes import memory_mib
from benchmarks.rows import Figures
from benchmarks.stdio import Command, Connection

REST_S: Final = 1.5
"""What a server goes on with after the handshake is over by then."""


def started(command: Command, rest_s: float = REST_S) -> Figures:
    with Connection(command) as server:
        time.sleep(rest_s)
        figures = {
            "cold start": server.started_s * 1000,
            "tools/list": float(server.tools_bytes),
            "memory at rest": memory_mib([server.pid]),
        }
        return figures | {"exit": server.left_s() * 1000}


def woken(command: Command, rest_s: float = REST_S) -> Figures:
    """What the first call of a server at rest takes, and what it is like from then on."""
    with Connection(command) as server:
        time.sleep(rest_s)
        began = time.perf_counter()
        server.call("list_edit_sessions")
        figures = {
            "first call after a rest, ms": (time.perf_counter() - began) * 1000,
            "memory once it was called, MiB": memory_mib([server.pid]),
        }
        return figures | {"exit once it was called, ms": server.left_s() * 1000}


def instructions(command: Command) -> float:
    """Millions of instructions from the start to the answer of tools/list, by valgrind; they repeat."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind"
        counted = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command.arguments]
        with Connection(Command(command.name, counted, command.environment, command.folder)) as server:
            subprocess.run(["callgrind_control", "--dump", str(server.pid)], check=True, capture_output=True)
            server.killed_s(signal.SIGKILL)  # at this pace an orderly end takes minutes
            dumps = sorted(Path(folder).glob("callgrind.*"))
            return sum(_total(dump) for dump in dumps) / 1e6


def instructions_of_import(command: Command, module: str) -> float:
    """The same of a mere import."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind"
        counted = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", command.arguments[0]]
        subprocess.run(
            [*counted, "-c", f"import {module}"],
            env=dict(command.environment),
            check=True,
            capture_output=True,
        )
        return _total(out) / 1e6


def _total(dump: Path) -> int:
    lines = dump.read_text().splitlines()
    found = [line for line in lines if line.startswith(("totals:", "summary:"))]
    return int(found[-1].split()[1]) if found else 0
