"""Leases: one holder among tasks and processes, gone with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from gpt_image_2_mcp.ports import Leases
from gpt_image_2_mcp.stores.leases import FileLeases
from tests.stores.samples import mode, posix

HOLDER = """
import sys
from pathlib import Path
from gpt_image_2_mcp.stores.leases import FileLeases

leases = FileLeases(Path(sys.argv[1]))
print(leases.take("op"), flush=True)
sys.stdin.read()
"""
COUNTER = """
import sys
from pathlib import Path
from gpt_image_2_mcp.stores.leases import FileLeases

leases, number, taken = FileLeases(Path(sys.argv[1])), Path(sys.argv[2]), 0
while taken < 50:
    if leases.take("op"):
        value = int(number.read_text())
        number.write_text(str(value + 1))
        leases.give_back("op")
        taken += 1
"""


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    return tmp_path / "state" / "locks"


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


@contextmanager
def holder(locks: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the lease `op` until its stdin closes."""
    command = [sys.executable, "-c", HOLDER, str(locks)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert pipe(process.stdout).readline() == b"True\n"
        yield process


def test_a_lease_has_one_holder(locks: Path) -> None:
    ours, theirs = FileLeases(locks), FileLeases(locks)
    leases: Leases = ours
    assert leases.take("op") is True
    assert ours.take("op") is False
    assert theirs.take("op") is False
    assert theirs.take("another") is True
    theirs.give_back("another")
    ours.give_back("op")
    assert theirs.take("op") is True
    theirs.give_back("op")


def test_two_who_look_at_once_do_not_take_each_other_for_the_holder(locks: Path) -> None:
    locks.mkdir(parents=True)
    folders = [FileLeases(locks) for _ in range(4)]

    def look(leases: FileLeases) -> bool:
        return leases.is_held("dead")

    with ThreadPoolExecutor(4) as pool:
        for _ in range(300):
            (locks / "dead.lock").touch()
            assert not any(pool.map(look, folders))


def test_who_looks_sees_the_holder_and_disturbs_nobody(locks: Path) -> None:
    ours, theirs = FileLeases(locks), FileLeases(locks)
    assert not ours.is_held("op")
    assert not locks.exists(), "a look makes nothing"
    ours.take("op")
    assert ours.is_held("op")
    assert theirs.is_held("op")
    assert theirs.take("op") is False
    ours.give_back("op")
    assert not ours.is_held("op")
    assert not theirs.is_held("op")


def test_a_lease_that_is_given_back_leaves_no_file(locks: Path) -> None:
    leases = FileLeases(locks)
    for name in ("op", "server-5e4d"):
        leases.take(name)
    assert sorted(path.name for path in locks.iterdir()) == ["op.lock", "server-5e4d.lock"]
    for name in ("op", "server-5e4d"):
        leases.give_back(name)
    assert list(locks.iterdir()) == []


def test_what_is_not_held_here_is_not_given_back(locks: Path) -> None:
    ours, theirs = FileLeases(locks), FileLeases(locks)
    ours.take("op")
    theirs.give_back("op")
    theirs.give_back("another")
    assert theirs.take("op") is False
    ours.give_back("op")
    ours.give_back("op")
    assert list(locks.iterdir()) == []


def test_a_lease_whose_file_was_removed_by_hand_can_be_given_back(locks: Path) -> None:
    leases = FileLeases(locks)
    leases.take("op")
    (locks / "op.lock").unlink()
    leases.give_back("op")
    assert leases.take("op")
    leases.give_back("op")


@posix
def test_leases_are_for_their_owner_alone(locks: Path) -> None:
    before = os.umask(0)
    try:
        leases = FileLeases(locks)
        leases.take("op")
    finally:
        os.umask(before)
    assert (mode(locks), mode(locks / "op.lock")) == (0o700, 0o600)
    leases.give_back("op")


def test_a_lease_holds_in_other_processes(locks: Path) -> None:
    leases = FileLeases(locks)
    with holder(locks):
        assert leases.take("op") is False
        assert leases.is_held("op") is True


@pytest.mark.parametrize("end", ["killed", "left"])
def test_a_lease_dies_with_its_process_and_the_next_look_clears_up(locks: Path, end: str) -> None:
    leases = FileLeases(locks)
    with holder(locks) as process:
        if end == "killed":
            process.kill()
        else:
            pipe(process.stdin).close()
        process.wait(20)
        assert (locks / "op.lock").exists()
        assert leases.is_held("op") is False
        assert list(locks.glob("*.lock")) == []
        assert leases.take("op") is True
    leases.give_back("op")


def test_what_the_dead_left_is_cleared_up_by_the_beginning_of_its_name(locks: Path) -> None:
    leases = FileLeases(locks)
    leases.tidy("server-")
    for name in ("server-alive", "session-s1"):
        leases.take(name)
    for name in ("server-dead", "server-dead-too", "session-s2", "op"):
        (locks / f"{name}.lock").write_bytes(b"")
    (locks / "server-notes.txt").write_bytes(b"")
    with holder(locks):
        leases.tidy("server-")
        left = {path.name for path in locks.iterdir() if path.name != "look"}
        assert left == {
            "op.lock",
            "server-alive.lock",
            "server-notes.txt",
            "session-s1.lock",
            "session-s2.lock",
        }
        leases.tidy("")
        assert leases.is_held("op")
        assert {path.name for path in locks.iterdir()} - {"look"} == left - {"session-s2.lock"}
    for name in ("server-alive", "session-s1"):
        leases.give_back(name)


def test_the_file_of_a_lease_goes_while_the_lease_is_held(
    locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Afterwards it could be the file of the next holder."""
    ours, rival = FileLeases(locks), FileLeases(locks)
    got: list[bool] = []
    unlink = Path.unlink

    def watched(path: Path) -> None:
        got.append(rival.take("op"))
        unlink(path)

    ours.take("op")
    monkeypatch.setattr(Path, "unlink", watched)
    ours.give_back("op")
    assert got == [False]


def test_two_objects_that_take_and_remove_in_turn_are_never_both_in(locks: Path) -> None:
    """Removing a lock file is a classic way to have two holders, each with a file of its own."""
    holders: list[str] = []

    def work(name: str) -> int:
        leases, taken = FileLeases(locks), 0
        for _ in range(1000):
            if leases.take("op"):
                holders.append(name)
                assert holders == [name]
                holders.remove(name)
                leases.give_back("op")
                taken += 1
        return taken

    with ThreadPoolExecutor(4) as threads:
        assert all(list(threads.map(work, "abcd")))


def test_processes_that_take_and_remove_in_turn_lose_no_count(locks: Path, tmp_path: Path) -> None:
    number = tmp_path / "number"
    number.write_text("0")
    command = [sys.executable, "-c", COUNTER, str(locks), str(number)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert number.read_text() == "150"
    assert list(locks.iterdir()) == []
