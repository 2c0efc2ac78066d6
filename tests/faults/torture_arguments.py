"""Sends thousands of argument sets that nobody expects to a real server, and times how it refuses them."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import click

from gpt_image_2_mcp.server.tools import TOOLS
from tests.faults.arguments import Arguments
from tests.faults.server import COMMAND, HELLO, Place
from tests.faults.upstream import RawUpstream
from tests.support.pictures import picture
from tests.support.upstreams import CANARY

GOAL_MS: Final = 50.0
BROKEN: Final = ("failed inside", "Traceback", "pydantic", CANARY)


@dataclass
class Talk:
    """One server, asked one thing after the other."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    upstream: RawUpstream
    ends: Counter[str] = field(default_factory=Counter)
    refusals: list[tuple[float, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _number: int = 0

    def ask(self, method: str, params: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        """Milliseconds until the answer, and the answer."""
        self._number += 1
        message = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        line = json.dumps(message).encode() + b"\n"
        started = time.perf_counter()
        self.stdin.write(line)
        self.stdin.flush()
        said = self._answer()
        taken = (time.perf_counter() - started) * 1000
        if said["id"] != self._number:
            self.wrong.append(f"answer {said['id']} to request {self._number}")
        return taken, said

    def _answer(self) -> dict[str, Any]:
        while True:
            said: dict[str, Any] = json.loads(self.stdout.readline())
            if "id" in said:  # else it is a notification
                return said

    def call(self, tool: str, arguments: dict[str, Any]) -> None:
        posts = len(self.upstream.posts)
        taken, said = self.ask("tools/call", {"name": tool, "arguments": arguments})
        if len(self.upstream.posts) > posts:
            self.ends["sent"] += 1
        elif "error" in said or said["result"].get("isError"):
            self.ends["refused"] += 1
            names = ", ".join(sorted(name[:20] for name in list(arguments)[:6]))
            self.refusals.append((taken, f"{tool}({names!a})"))
        else:
            self.ends["answered"] += 1
        text = json.dumps(said)
        self.wrong += [f"{tool} said {word!r}: {text[:300]}" for word in BROKEN if word in text]


def torture(sets: int, seed: int) -> tuple[str, list[str]]:
    """Send that many sets to each tool; the line that is printed, and what is wrong."""
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, RawUpstream() as upstream:
        home = Path(folder, "a", "b", "c", "d", "home")  # so deep that ../../../.. is still in the folder
        home.mkdir(parents=True)
        (home / "in.png").write_bytes(picture())
        place = Place(home, upstream.base_url)
        with _served(place) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            talk = Talk(process.stdin, process.stdout, upstream)
            talk.ask("initialize", HELLO)
            for spec in TOOLS:
                arguments = Arguments(seed)
                for _ in range(sets):
                    talk.call(spec.name, arguments.for_tool(spec))
            talk.ask("ping", {})
        log = (home / "stderr-0").read_bytes()
    if process.returncode:
        talk.wrong.append(f"the server ended with {process.returncode}")
    talk.wrong += ["a traceback in the log"] * log.count(b"Traceback") + ["the key in the log"] * log.count(
        CANARY.encode()
    )
    return _figures(sets, talk), talk.wrong


@contextmanager
def _served(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    """A server that works inline, closed in the end by its stdin."""
    with (place.home / "stderr-0").open("wb") as log:
        process = subprocess.Popen(
            COMMAND,
            cwd=place.home,
            env=place.environment(GPT_IMAGE_2_WORKER="inline", GPT_IMAGE_2_MCP_DEBUG="0"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    with process:
        yield process


def _figures(sets: int, talk: Talk) -> str:
    times = sorted(talk.refusals)
    slowest, what = times[-1]
    over = sum(taken > GOAL_MS for taken, _ in times)
    ends = ", ".join(f"{talk.ends[end]:,} {end}" for end in ("refused", "answered", "sent"))
    return (
        f"{sets * len(TOOLS):,} argument sets ({ends}); refusals: median {times[len(times) // 2][0]:.1f} ms, "
        f"99 of 100 in {times[len(times) * 99 // 100][0]:.1f} ms, {over} over {GOAL_MS:.0f} ms, "
        f"slowest {slowest:.0f} ms ({what}): {len(talk.wrong)} wrong"
    )


def main(sets: int, seed: int) -> int:
    """Print what came of it; 1 if anything is wrong."""
    line, wrong = torture(sets, seed)
    click.echo(f"{line}; seed {seed}")
    for what in wrong:
        click.echo(what, err=True)
    return 1 if wrong else 0
