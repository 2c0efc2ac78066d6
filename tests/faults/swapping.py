"""Opens files and folders below a root while another process exchanges them for links that lead out of it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from gpt_image_2_mcp.errors import InputError, StorageError
from gpt_image_2_mcp.models import EncodedPicture, Placement
from gpt_image_2_mcp.roots import Roots
from gpt_image_2_mcp.sources.local import read_below
from gpt_image_2_mcp.stores.files import FileImageStore
from tests.faults import swapper
from tests.support.pictures import picture

SECRET: Final = b"what stands outside"
PICTURE: Final = picture(8, 8)
ROOT: Final = Path(__file__).parents[2]
_WRITE_EVERY: Final = 20


@dataclass
class Race:
    """A root in `folder`, and what came of every attempt to open something below it."""

    folder: Path
    ends: Counter[str] = field(default_factory=Counter)
    swaps: int = 0

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        for path in (self.root / "sub", self.root / "out", self.outside, self.target):
            path.mkdir(parents=True)
        for path in (self.root / "a.png", self.root / "sub" / "a.png"):
            path.write_bytes(PICTURE)
        (self.outside / "a.png").write_bytes(SECRET)
        self.body = self.folder / "answer"
        self.body.write_bytes(base64.b64encode(PICTURE))
        for name, leads_to in self._exchanged().items():
            name.with_name(name.name + swapper.LINK).symlink_to(leads_to)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def outside(self) -> Path:
        return self.folder / "outside"

    @property
    def target(self) -> Path:
        return self.folder / "target"

    def _exchanged(self) -> dict[Path, Path]:
        """What is exchanged, and where the link in its place leads."""
        return {
            self.root / "a.png": self.outside / "a.png",
            self.root / "sub": self.outside,
            self.root / "out": self.target,
        }

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Have everything exchanged meanwhile."""
        command = [sys.executable, "-S", swapper.__file__, *map(str, self._exchanged())]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            yield
            said, _ = process.communicate()
            self.swaps += int(said)

    def run(self, opens: int) -> None:
        """That many opens: of a file, of one in a folder, and now and then of a folder to write to."""
        roots = Roots.of(self.root)
        paths = (self.root / "a.png", self.root / "sub" / "a.png")
        with self.swapped(), self._writing() as write:
            for number in range(opens):
                if number % _WRITE_EVERY == 0:
                    self.ends[write()] += 1
                else:
                    self.ends[self._read(roots, paths[number % 2])] += 1
        self.ends["escaped"] += len(list(self.target.iterdir()))

    def _read(self, roots: Roots, path: Path) -> str:
        try:
            return _end(read_below(roots, path).data)
        except InputError:
            return "refused"

    @contextmanager
    def _writing(self) -> Iterator[Callable[[], str]]:
        """A way to have a picture written as for a paid call; it goes at once, so that the next is new."""
        placement = Placement(self.root / "out", "image", "20261122-150301", "ab" * 16, root=self.root)
        whole = EncodedPicture(self.body, 0, self.body.stat().st_size)
        handle, store = os.open(self.root / "out", os.O_RDONLY), FileImageStore()

        def write() -> str:
            try:
                made = store._save(whole, placement, 0, 1, drawing=False)
                os.unlink(made.path.name, dir_fd=handle)
            except StorageError:
                return "refused"
            except FileNotFoundError:  # it is said to be written and is not in the folder
                return "escaped"
            return "written"

        try:
            yield write
        finally:
            os.close(handle)

    def run_naively(self, until: Callable[[Race], bool]) -> None:
        """As it is often done: follow the links, look whether that is below the root, open it."""
        paths = (self.root / "a.png", self.root / "sub" / "a.png")
        with self.swapped():
            for number in count():
                self.ends[self._read_naively(paths[number % 2])] += 1
                if until(self):
                    return

    def _read_naively(self, path: Path) -> str:
        try:
            real = path.resolve()
            return _end(real.read_bytes()) if real.is_relative_to(self.root) else "refused"
        except OSError:
            return "refused"


def _end(data: bytes) -> str:
    return "escaped" if data == SECRET else "read" if data == PICTURE else "damaged"


def main(opens: int) -> int:
    """Print what a careless reader lets through, then what ours does; 1 if that is anything."""
    with TemporaryDirectory(prefix="torture-") as place:
        naive, race = Race(Path(place) / "naive"), Race(Path(place) / "race")
        naive.run_naively(lambda race: race.ends.total() >= opens // 10)
        click.echo(f"follow, look, open: {figures(naive)}")
        started = time.monotonic()
        race.run(opens)
        click.echo(f"as the server does: {figures(race)}; {time.monotonic() - started:.0f} s")
    return 1 if race.ends["escaped"] or race.ends["damaged"] else 0


def figures(race: Race) -> str:
    ends = {end: f"{race.ends[end]:,} {end}" for end in ("read", "written", "refused", "damaged", "escaped")}
    return f"{race.ends.total():,} opens, {race.swaps:,} rounds of swaps: {', '.join(ends.values())}"
