"""What the server costs, against a bare server and any other one, interleaved in one run.

    python -m benchmarks [--against COMMAND] [--rounds N] [--only GROUP ...] [--json FILE] [--quick]

Each round measures every server in turn, so that what else the machine does weighs on all alike; a ratio is
the median of those within the rounds. Files stand in memory where /dev/shm is, so that figures are of the
server and not of the disk; `disk` says what durable writes add. Linux: processes are looked at through /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import calling, inputs, leaving, pictures, starting, storing
from benchmarks.calling import Load
from benchmarks.rows import BARE, GOALS, OTHER, OURS, Comparison, Figures
from benchmarks.stdio import Command, Connection
from benchmarks.upstream import picture, upstream

MB: Final = 1024 * 1024
QUICK: Final = Load("0.02", 2, "0.1", 1, "0.02", (1, 3), 0.05, "0.02", 2, "0.1", 2, 2)
Measure = Callable[[Connection], Figures]


@dataclass
class Run:
    """One run: what is asked of whom, and what has come of it."""

    load: Load
    rounds: int
    folder: Path
    inputs: Path
    port: int
    against: str | None
    quick: bool
    taken: list[dict[str, Figures]] = field(default_factory=list)
    own: dict[str, float] = field(default_factory=dict)

    def ours(self, folder: Path | None = None) -> Command:
        home = Path(tempfile.mkdtemp(dir=folder or self.folder))
        arguments = [sys.executable, "-m", "gpt_image_2_mcp"]
        return Command(OURS, arguments, self._environment(home), home, {"inline": "full"}, {"inline": "none"})

    def others(self, *, bare: bool = False) -> list[Command]:
        there = [(BARE, [sys.executable, "-m", "benchmarks.bare"])] if bare else []
        if self.against:
            there.append((OTHER, shlex.split(self.against)))
        homes = [Path(tempfile.mkdtemp(dir=self.folder)) for _ in there]
        return [
            Command(name, arguments, self._environment(home), home)
            for (name, arguments), home in zip(there, homes, strict=True)
        ]

    def _environment(self, home: Path) -> dict[str, str]:
        """The least: a path, a home, an account at the stand-in, and room for all calls at once."""
        repository = Path(__file__).parents[1]
        return {
            "PATH": os.environ["PATH"],  # noqa: TID251 - starts servers as a client does
            "PYTHONPATH": os.pathsep.join([str(repository / "src"), str(repository)]),
            "HOME": str(home),
            "OPENAI_API_KEY": "sk-benchmark-0123456789",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self.port}/v1",
            "OPENAI_USE_DIRECT_EDITS": "1",
            "GPT_IMAGE_2_WORKER": "process",
            "GPT_IMAGE_2_OUTPUT_DIR": str(home / "out"),
            "GPT_IMAGE_2_STATE_DIR": str(home / "state"),
            "GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR": "1",  # /dev/shm is a folder of the system
            "GPT_IMAGE_2_MAX_IN_FLIGHT": "1000",
        }

    def compare(self, *measures: Measure, rounds: int | None = None) -> None:
        """Take each figure of every server that takes calls, in turn, each in a process that is warm."""
        with ExitStack() as stack:
            servers = [stack.enter_context(Connection(one)) for one in (self.ours(), *self.others())]
            for server in servers:
                calling.warm(server, self.load)
            for measure in measures:
                for _ in range(rounds or self.rounds):
                    self.taken.append({server.command.name: measure(server) for server in servers})

    def input_pictures(self) -> list[Path]:
        size = 20_000 if self.quick else 4 * MB
        files = [self.inputs / f"input-{number}.png" for number in range(4)]
        for file in files:
            file.write_bytes(picture(size))
        return files


def starts(run: Run) -> None:
    rounds, rest_s = (1, 0.0) if run.quick else (run.rounds * 2, starting.REST_S)
    for _ in range(rounds):
        commands = (run.ours(), *run.others(bare=True))
        run.taken.append({command.name: starting.started(command, rest_s) for command in commands})
    run.own |= starting.woken(run.ours(), rest_s)


def calls(run: Run) -> None:
    inputs = run.input_pictures()
    run.compare(
        lambda server: calling.small(server, run.load, run.port),
        lambda server: calling.edits(server, run.load, inputs),
        lambda server: calling.large(server, run.load, run.port, server.command.unseen),
    )


def crowds(run: Run) -> None:
    crowds = [partial(calling.crowd, load=run.load, count=count, port=run.port) for count in run.load.crowds]
    rounds = 1 if run.quick else run.rounds * 2  # what a crowd meets differs most from round to round
    run.compare(*crowds, lambda server: calling.trickles(server, run.load), rounds=rounds)


def memory(run: Run) -> None:
    (source, *_) = run.input_pictures()
    run.compare(lambda server: calling.growth(server, run.load, source), rounds=1)
    with Connection(run.ours()) as server:
        calling.warm(server, run.load)
        run.own |= calling.huge(server, run.load)


def disk(run: Run) -> None:
    """What durable writes add, and what a picture in the answer does."""
    with ExitStack() as stack:
        server = stack.enter_context(Connection(run.ours(temporary(stack, None))))
        calling.warm(server, run.load)
        small = calling.small(server, run.load, run.port)
        run.own |= {f"on disk: {name}, ms": value for name, value in small.items()}
    with Connection(run.ours()) as server:
        calling.warm(server, run.load)
        shown = calling.large(server, run.load, run.port, {})
        run.own |= {f"with a preview: {name}": value for name, value in shown.items()}


def states(run: Run) -> None:
    sessions, rows = (100, 500) if run.quick else (10_000, 100_000)
    run.own |= storing.grown(run.ours(), run.load.small, sessions, rows)


def leavings(run: Run) -> None:
    run.own |= leaving.left(run.ours(), run.load.small, run.load.seconds * 3)


def images(run: Run) -> None:
    rounds = 1 if run.quick else 5
    run.own |= pictures.previews(rounds, *([(384, 216)] if run.quick else []))
    run.own |= inputs.scans(rounds, *([(400, 300)] if run.quick else []))


def instructions(run: Run) -> None:
    """Takes minutes, and is asked for by name."""
    ours = starting.instructions(run.ours())
    sdk = starting.instructions_of_import(run.ours(), "mcp.server.lowlevel")
    run.own |= {"start, instructions x 10^6": ours, "of the SDK's import alone": sdk, "ratio": ours / sdk}


GROUPS: Final[Mapping[str, Callable[[Run], None]]] = {
    "starts": starts,
    "calls": calls,
    "crowds": crowds,
    "memory": memory,
    "disk": disk,
    "states": states,
    "leavings": leavings,
    "images": images,
    "instructions": instructions,
}


def machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "node": _said("node", "--version"),
        "load": os.getloadavg(),
    }


def _said(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def table(compared: Sequence[Comparison], own: Figures) -> Iterator[str]:
    yield f"{'':34}{'ours':>10}{'bare':>9}{'other':>10}{'ratio':>8}{'refuse':>8}{'goal':>7}{'stretch':>8}"
    for one in compared:
        figures = (one.medians.get(OURS), one.medians.get(BARE), one.medians.get(OTHER), one.ratio)
        limits = (one.row.refuse, one.row.goal, one.row.stretch)
        cells = zip((10, 9, 10, 8, 8, 7, 8), (*figures, *limits), strict=True)
        cut = "".join(f"{_cell(value):>{width}}" for width, value in cells)
        yield f"{f'{one.row.name}, {one.row.unit}':34}{cut}  {one.verdict}"
    yield ""
    for name, value in own.items():
        yield f"{name:64}{_cell(value):>10}"


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--against", metavar="COMMAND", help="another stdio server, as a shell would start it"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=GROUPS, help="some groups of figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures in a file, too")
    parser.add_argument("--quick", action="store_true", help="tiny numbers: whether it works, not how fast")
    return parser.parse_args()


def temporary(stack: ExitStack, where: Path | None) -> Path:
    """A folder that goes with the stack, at `where` if there is such a place."""
    where = where if where and where.is_dir() else None
    return Path(stack.enter_context(tempfile.TemporaryDirectory(dir=where, ignore_cleanup_errors=True)))


def main() -> None:
    given = arguments()
    groups = given.only or [name for name in GROUPS if name != "instructions"]
    load, rounds = (QUICK, 1) if given.quick else (Load(), given.rounds)
    before = machine()
    with ExitStack() as stack:
        folder, sources = (temporary(stack, where) for where in (Path("/dev/shm"), None))
        port = stack.enter_context(upstream(folder, load.sizes))
        run = Run(load, rounds, folder, sources, port, given.against, given.quick)
        for group in groups:
            GROUPS[group](run)
    compared = [found for row in GOALS if (found := Comparison.of(row, run.taken))]
    report = {
        "machine": before | {"load at the end": os.getloadavg()},
        "rows": [one.as_json() for one in compared],
        "own": run.own,
        "rounds": run.taken,
    }
    print("\n".join(table(compared, run.own)))
    print(f"\n{json.dumps(report['machine'])}")
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
