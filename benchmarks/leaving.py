"""How fast the server leaves with a call in flight, whatever it is told by; the call goes on and is saved."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Final

from benchmarks.rows import Figures
from benchmarks.stdio import Command, Connection

HOW: Final = {"EOF": None, "SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT}


def left(command: Command, size_mb: str, seconds: float) -> Figures:
    return {
        f"leaving on {name} with a call in flight, ms": _left_s(command, size_mb, seconds, how) * 1000
        for name, how in HOW.items()
    }


def _left_s(command: Command, size_mb: str, seconds: float, how: signal.Signals | None) -> float:
    state, out = (Path(command.environment[f"GPT_IMAGE_2_{name}_DIR"]) for name in ("STATE", "OUTPUT"))
    there = set(out.glob("*.png"))
    with Connection(command) as server:
        server.begin_call("generate_image", prompt=f"{size_mb} {seconds:g}")
        while not list(state.glob("spool/*.job")):
            time.sleep(0.01)
        left = server.left_s() if how is None else server.killed_s(how)
    while set(out.glob("*.png")) == there:
        time.sleep(0.05)
    return left
