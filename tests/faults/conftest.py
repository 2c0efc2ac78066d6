from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from tests.faults.folder import Folder
from tests.faults.nursery import Nursery
from tests.faults.stack import Stack
from tests.faults.upstream import RawUpstream
from tests.support.pictures import picture

ROOT: Final = Path(__file__).parents[2]


@pytest.fixture
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream() as raw:
        yield raw


@pytest.fixture
def stack(tmp_path: Path, upstream: RawUpstream) -> Stack:
    (tmp_path / "sketch.png").write_bytes(picture())
    return Stack(tmp_path, upstream.base_url)


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    path = os.pathsep.join((str(ROOT), str(ROOT / "src")))  # the code beside these tests, wherever pip has it
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path}  # noqa: TID251 - to start a child
    with Nursery.spawned(environment) as started:
        yield started


@pytest.fixture
def folder(nursery: Nursery, upstream: RawUpstream) -> Iterator[Folder]:
    """In memory where there is a disk of it: a kill loses nothing that was written to either."""
    fast = Path("/dev/shm")
    with TemporaryDirectory(dir=fast if fast.is_dir() else None) as parent:
        inner = Path(parent) / "inner"
        inner.mkdir()
        (inner / "sketch.png").write_bytes(picture())
        yield Folder(nursery, upstream, Stack(inner, upstream.base_url))
