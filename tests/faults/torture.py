"""Kills servers and workers at random, a thousand times and more, and looks at what is left.

Two drivers share a state folder and an output folder: one carries its calls out itself, one by a worker
process. Each that is killed is replaced, and the new one recovers while the others go on.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import click

from gpt_image_2_mcp.errors import InvalidAnswer
from gpt_image_2_mcp.execution import ORDER_GRACE_S
from gpt_image_2_mcp.gateways._bodies import read_body
from gpt_image_2_mcp.gateways._events import is_stream, read_events
from tests.faults import last_dollar, swapping, torture_arguments
from tests.faults.drivers import Drive
from tests.faults.lives import Life
from tests.faults.nursery import Child, Nursery
from tests.faults.standing import ENDS, KINDS, Findings, Row, Scene, inspect, operations
from tests.faults.upstream import RawUpstream
from tests.faults.waiting import until
from tests.support.pictures import picture

WORKERS: Final = ("inline", "process")
ROOT: Final = Path(__file__).parents[2]
_HONEST: Final = ("ok", "delay", "then_close", "count", "sse_late")


@dataclass
class Slot:
    """A place for one driver after the other."""

    worker: str
    child: Child
    reader: threading.Thread


@dataclass
class Torture:
    """The folder, the processes on it, and what was done to them."""

    folder: Path
    upstream: RawUpstream
    nursery: Nursery
    chance: random.Random
    slots: list[Slot] = field(default_factory=list)
    workers: dict[int, int] = field(default_factory=dict)
    """File descriptors by which they are killed, by pid."""
    kills: Counter[str] = field(default_factory=Counter)

    def run(self, kills: int) -> None:
        """Kill that often, then let everything end and recover."""
        self.slots = [self._started(worker) for worker in WORKERS]
        while self.kills.total() < kills:
            time.sleep(self.chance.uniform(0.01, 0.16))
            self._kill_one()
        for slot in self.slots:
            slot.child.stdin.close()
        for slot in self.slots:
            slot.reader.join(60)
            assert slot.child.wait() == 0
        for pid, handle in self.workers.items():
            until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), within=60)  # type: ignore[misc]
            os.close(handle)
        for copies in (2, 1):
            self._recover(copies)

    def _started(self, worker: str) -> Slot:
        seed = self.chance.randrange(2**32)
        drive = Drive(str(self.folder), self.upstream.base_url, worker, seed)
        child = self.nursery.start("tests.faults.drivers:drive", asdict(drive))
        reader = threading.Thread(target=self._listen, args=(child,), daemon=True)
        reader.start()
        return Slot(worker, child, reader)

    def _listen(self, child: Child) -> None:
        for line in child.stdout:
            with suppress(ProcessLookupError):
                pid = json.loads(line)["worker"]
                self.workers[pid] = os.pidfd_open(pid)

    def _kill_one(self) -> None:
        if self.workers and self.chance.random() < 0.45:
            pid = self.chance.choice(list(self.workers))
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.workers[pid], signal.SIGKILL)
                self.kills["workers"] += 1
            os.close(self.workers.pop(pid))
            return
        number = self.chance.randrange(len(self.slots))
        slot = self.slots[number]
        slot.child.kill()
        status = slot.child.died()
        assert status == -signal.SIGKILL, f"a driver broke by itself: see the logs in {self.folder}"
        self.kills["servers"] += 1
        self.slots[number] = self._started(slot.worker)

    def _recover(self, copies: int) -> None:
        life = Life(str(self.folder), self.upstream.base_url, ahead_s=2 * ORDER_GRACE_S)
        children = [self.nursery.start("tests.faults.lives:recover", asdict(life)) for _ in range(copies)]
        for child in children:
            assert child.read()[0] == 0

    def scene(self) -> Scene:
        logs = b"".join(path.read_bytes() for path in self.folder.rglob("*.log"))
        second = next((self.folder / "tmp").glob("gpt-image-2-mcp-*"), None)
        folder = self.folder
        return Scene(folder / "state", (folder / "pictures",), second, self.upstream.paid, logs)


def lost(scene: Scene, rows: list[Row]) -> Iterator[str]:
    """Pictures of honest answers that stand whole in the spool while their operation has none."""
    modes = {post.key.partition("-")[0]: post.mode.partition("=")[0] for post in scene.posts}
    for row in rows:
        if row.state == "done" or modes.get(row.id) not in _HONEST:
            continue
        for path in (scene.state / "spool").glob(f"{row.id}.*.*"):
            if path.suffix in (".part", ".resp") and _holds_a_picture(path):
                yield f"{path.name} holds a picture and its operation is {row.state}"


def _holds_a_picture(path: Path) -> bool:
    if is_stream(path):
        return any(event.spans and not event.is_partial for event in read_events(path))
    try:
        return bool(read_body(path, torn=True).pictures)
    except InvalidAnswer:
        return False


def figures(torture: Torture) -> tuple[str, Findings]:
    """The line that is printed, and what is wrong."""
    scene = torture.scene()
    rows = operations(scene.state)
    found = inspect(scene)
    found |= {"lost pictures": pictures} if (pictures := list(lost(scene, rows))) else {}
    if traces := scene.said.count(b"Traceback"):
        found["tracebacks"] = [f"{traces} in the logs"]
    states, kills = Counter(row.state for row in rows), torture.kills
    done = [
        f"{kills.total()} kills ({kills['servers']} servers, {kills['workers']} workers)",
        f"{len(rows)} operations ({', '.join(f'{states[state]} {state}' for state in ENDS)})",
        f"{len(scene.posts)} POSTs, {sum(len(row.images) for row in rows)} pictures",
        f"{len(list(unread(scene, rows)))} answers written and never read",
    ]
    wrong = [f"{len(found.get(kind, ()))} {kind}" for kind in (*KINDS, "lost pictures", "tracebacks")]
    return f"{', '.join(done)}: {', '.join(wrong)}", found


def unread(scene: Scene, rows: list[Row]) -> Iterator[str]:
    """Calls whose answer went into the connection and was not taken out before the process died."""
    unknown = {row.id for row in rows if row.state == "unknown"}
    for post in scene.posts:
        if post.whole and post.mode.partition("=")[0] in _HONEST and post.key.partition("-")[0] in unknown:
            yield post.key


@click.command()
@click.option("--kills", default=1000, show_default=True, help="How many processes to kill.")
@click.option(
    "--opens",
    is_flag=False,
    flag_value=1_000_000,
    type=click.IntRange(1),
    help="Instead of killing, open files that often (1,000,000) while they are exchanged for links.",
)
@click.option(
    "--arguments",
    is_flag=False,
    flag_value=10_000,
    type=click.IntRange(1),
    help="Instead of killing, send each tool that many argument sets (10,000) that nobody expects.",
)
@click.option(
    "--budget-rounds",
    is_flag=False,
    flag_value=200,
    type=click.IntRange(1),
    help="Instead of killing, have 16 processes race for the last dollar of a budget that often (200).",
)
@click.option(
    "--budget-states",
    is_flag=False,
    flag_value=300,
    type=click.IntRange(1),
    help="Instead of killing, hold the ledger against a plain model in that many random runs (300).",
)
@click.option("--seed", default=0, help="Repeats a run's choices, if not its timing; 0 for a new one.")
@click.option("--keep", is_flag=True, help="Leave the folder, and name it.")
def main(
    kills: int,
    opens: int | None,
    arguments: int | None,
    budget_rounds: int | None,
    budget_states: int | None,
    seed: int,
    keep: bool,
) -> None:
    """Kill servers and workers at random and print what came of it; 1 if anything is wrong."""
    seed = seed or random.randrange(2**32)
    if opens:
        sys.exit(swapping.main(opens))
    if arguments:
        sys.exit(torture_arguments.main(arguments, seed))
    if budget_rounds:
        with Nursery.spawned(_environment()) as nursery:
            sys.exit(last_dollar.main(budget_rounds, seed, nursery))
    if budget_states:
        sys.exit(_check_states(budget_states))
    _kill(kills, seed, keep=keep)


def _environment() -> dict[str, str]:
    path = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    return {"PATH": os.environ["PATH"], "PYTHONPATH": path}  # noqa: TID251 - for a child


def _check_states(examples: int) -> int:
    from tests.stores.test_ledger import check_any_order

    logging.disable()  # costs above a reservation are warned of, and are meant here
    started = time.monotonic()
    check_any_order(examples)
    click.echo(f"{examples} runs of the ledger like those of its model; {time.monotonic() - started:.0f} s")
    return 0


def _kill(kills: int, seed: int, *, keep: bool) -> None:
    started = time.monotonic()
    with ExitStack() as opened:
        folder = Path(tempfile.mkdtemp(prefix="torture-"))
        (folder / "tmp").mkdir()
        (folder / "sketch.png").write_bytes(picture())
        upstream = opened.enter_context(RawUpstream())
        nursery = opened.enter_context(Nursery.spawned(_environment()))
        torture = Torture(folder, upstream, nursery, random.Random(seed))
        torture.run(kills)
        line, found = figures(torture)
    click.echo(f"{line}; {time.monotonic() - started:.0f} s, seed {seed}")
    if found:
        click.echo(json.dumps(found, indent=1), err=True)
    if found or keep:
        click.echo(f"kept in {folder}", err=True)
    else:
        shutil.rmtree(folder)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
