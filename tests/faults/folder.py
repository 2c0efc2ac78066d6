"""A state folder with processes on it that can be killed, looked into, put back as it was."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpt_image_2_mcp.execution import ORDER_GRACE_S
from tests.faults.lives import Life
from tests.faults.nursery import Child, Nursery
from tests.faults.stack import Stack
from tests.faults.standing import Row, operations
from tests.faults.upstream import RawUpstream
from tests.faults.wire import Post


@dataclass
class Folder:
    """One state folder on which processes live, one after the other or side by side.

    `before` is how many POSTs and operations led to the folder that was kept.
    """

    nursery: Nursery
    upstream: RawUpstream
    stack: Stack
    before: tuple[int, int] = (0, 0)
    restored_at: int = 0

    def start(self, kind: str, **more: Any) -> Child:
        """A process that lives as `tests.faults.lives` describes."""
        life = Life(str(self.stack.folder), self.upstream.base_url, **more)
        return self.nursery.start(f"tests.faults.lives:{kind}", asdict(life))

    def call(self, **more: Any) -> tuple[int, list[str]]:
        """Its status, and its steps."""
        status, said = self.start("call", **more).read()
        return status, [step for line in said if (step := json.loads(line).get("step"))]

    def recover(self, copies: int = 1, die_at: int = 0) -> list[dict[str, int] | None]:
        """What each of so many recoveries at once found; None of one that died."""
        later = 2 * ORDER_GRACE_S
        children = [self.start("recover", die_at=die_at, ahead_s=later) for _ in range(copies)]
        ends = [child.read()[1][-1] for child in children]
        return [json.loads(end).get("found") for end in ends]

    def keep(self) -> None:
        """Remember the folder as it is."""
        shutil.copytree(self.stack.folder, self._kept)
        self.before = (len(self.upstream.paid), len(operations(self.stack.state)))

    @property
    def new_posts(self) -> list[Post]:
        return self.upstream.paid[self.restored_at :]

    @property
    def posts(self) -> list[Post]:
        """Those that belong to the folder as it stands."""
        return self.upstream.paid[: self.before[0]] + self.new_posts

    def new_row(self) -> Row | None:
        """The operation that was begun since the folder was restored, if one was."""
        return next(iter(operations(self.stack.state)[self.before[1] :]), None)

    def restore(self) -> None:
        self.restored_at = len(self.upstream.paid)
        for path in self.stack.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self._kept, self.stack.folder, dirs_exist_ok=True)

    @property
    def _kept(self) -> Path:
        return self.stack.folder.with_name("kept")
