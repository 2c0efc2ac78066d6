"""Paid calls: what they take beyond the upstream's own time, alone and by the hundred."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.processes import cpu_s, family, forget_peaks, memory_mib, peak_mib
from benchmarks.rows import Figures
from benchmarks.stdio import Connection, succeeded
from benchmarks.upstream import direct_s, peak_in_flight

PING_EVERY_S: Final = 0.005


@dataclass(frozen=True)
class Load:
    """How much is asked. Sizes are MB of a picture, as the upstream knows them.

    The system tells processor time in hundredths of a second: it takes some calls for them to be a figure.
    """

    small: str = "1"
    small_calls: int = 50
    large: str = "20"
    large_calls: int = 5
    crowd: str = "1.5"
    crowds: tuple[int, ...] = (1, 8, 32, 100)
    seconds: float = 1.0
    trickle: str = "10"
    trickles: int = 12
    huge: str = "45"
    sessions: int = 50
    turns: int = 3

    @property
    def sizes(self) -> list[str]:
        return [self.small, self.large, self.crowd, self.trickle, self.huge]


def warm(server: Connection, load: Load) -> None:
    """The first paid call starts a worker, where there is one."""
    for _ in range(2):
        server.call("generate_image", prompt=f"{load.small} 0", **server.command.whole)


def small(server: Connection, load: Load, port: int) -> Figures:
    """Calls one after the other, the picture whole in the answer."""
    used, walls = _one_by_one(server, f"{load.small} 0", load.small_calls, server.command.whole)
    return {
        "1 MB call, wall": (median(walls) - direct_s(port, load.small)) * 1000,
        "1 MB call, CPU": used * 1000,
    }


def large(server: Connection, load: Load, port: int, shown: Mapping[str, Any]) -> Figures:
    """Some calls. Unless `shown` says otherwise our answers have previews: whole they would be too large."""
    pids = family(server.pid)
    forget_peaks(pids)
    used, walls = _one_by_one(server, f"{load.large} 0", load.large_calls, shown)
    return {
        "20 MB call, wall": (median(walls) - direct_s(port, load.large)) * 1000,
        "20 MB call, CPU": used * 1000,
        "20 MB call, peak memory": peak_mib(pids),
    }


def _one_by_one(
    server: Connection, prompt: str, count: int, shown: Mapping[str, Any]
) -> tuple[float, list[float]]:
    """Seconds of processor time a call, and the seconds that each took."""
    pids, walls = family(server.pid), []
    before = cpu_s(pids)
    for _ in range(count):
        began = time.perf_counter()
        server.call("generate_image", prompt=prompt, **shown)
        walls.append(time.perf_counter() - began)
    return (cpu_s(pids) - before) / count, walls


def edits(server: Connection, load: Load, inputs: Sequence[Path]) -> Figures:
    pids, calls = family(server.pid), max(load.small_calls // 4, 1)
    before = cpu_s(pids)
    for _ in range(calls):
        images = [str(path) for path in inputs]
        server.call("edit_image", prompt=f"{load.small} 0", images=images, **server.command.whole)
    return {"edit, 4 inputs of 4 MB, CPU": (cpu_s(pids) - before) * 1000 / calls}


def crowd(server: Connection, load: Load, count: int, port: int) -> Figures:
    """So many calls at once, each a second at the upstream, and pings meanwhile."""
    pids = family(server.pid)
    forget_peaks(pids)
    peak_in_flight(port)
    with pinging(server) as pings:
        wall = _at_once(server, [f"{load.crowd} {load.seconds:g}"] * count, server.command.whole)
    return {
        f"{count} calls, wall": (wall - load.seconds) * 1000,
        f"{count} calls, peak memory": peak_mib(pids),
        f"{count} calls, ping p99": percentile(pings, 0.99) * 1000,
        f"{count} calls, in flight upstream": float(peak_in_flight(port)),
    }


def trickles(server: Connection, load: Load) -> Figures:
    """Answers that come in pieces over a second, all at the same time."""
    wall = _at_once(server, [f"{load.trickle} 0 slow"] * load.trickles, server.command.unseen)
    return {"12 slow bodies, wall": (wall - 1) * 1000}


def huge(server: Connection, load: Load) -> Figures:
    """Memory of large answers: alone, and what each of four adds."""
    pids = family(server.pid)
    idle = memory_mib(pids)
    peaks = []
    for count in (1, 4):
        forget_peaks(pids)
        _at_once(server, [f"{load.huge} 0.2"] * count, server.command.unseen)
        peaks.append(peak_mib(pids) - idle)
    return {"60 MB answer, memory": peaks[0], "60 MB answer, memory of each more": (peaks[1] - peaks[0]) / 3}


def growth(server: Connection, load: Load, source: Path) -> Figures:
    """What edit sessions leave in memory, once some have warmed everything up."""
    for _ in range(max(load.sessions // 5, 1)):
        _session(server, load, source)
    pids = family(server.pid)
    before = memory_mib(pids)
    for _ in range(load.sessions):
        _session(server, load, source)
    return {"50 sessions of 3 turns, growth": memory_mib(pids) - before}


def _session(server: Connection, load: Load, source: Path) -> None:
    begun = server.call(
        "start_edit_session", prompt=f"{load.small} 0", images=[str(source)], **server.command.whole
    )
    session = json.loads(begun)["result"]["structuredContent"]["session_id"]
    for _ in range(load.turns - 1):
        server.call(
            "continue_edit_session", prompt=f"{load.small} 0", session_id=session, **server.command.whole
        )


def _at_once(server: Connection, prompts: Sequence[str], shown: Mapping[str, Any]) -> float:
    began = time.perf_counter()
    calls = [server.begin_call("generate_image", prompt=prompt, **shown) for prompt in prompts]
    wait(calls, timeout=300)
    wall = time.perf_counter() - began
    assert all(succeeded(call.result()) for call in calls)
    return wall


@contextmanager
def pinging(server: Connection) -> Iterator[list[float]]:
    """How long pings take meanwhile, in seconds, one after the other."""
    times: list[float] = []
    over = threading.Event()

    def ping() -> None:
        while not over.wait(PING_EVERY_S):
            began = time.perf_counter()
            answered: Future[bytes] = server.begin("ping")
            answered.result(timeout=300)
            times.append(time.perf_counter() - began)

    thread = threading.Thread(target=ping)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]
