"""A batch whose process is killed in the middle: the next run goes on, and no line is paid twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.server import COMMAND, Place
from tests.faults.standing import assert_standing
from tests.faults.upstream import RawUpstream
from tests.faults.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds workers by /proc")
CODE = str(Path(__file__).parents[2] / "src")
ANIMALS = ("fox", "hen", "owl", "cat", "bat")


@pytest.fixture
def place(home: Path, upstream: RawUpstream) -> Iterator[Place]:
    """Left with the standing checks, when its workers have ended."""
    there = Place(home, upstream.base_url)
    there.key_file.rename(home.parent / "key")
    there.key_file.symlink_to(home.parent / "key")
    lines = (json.dumps({"id": name, "prompt": f"A {name} [fault:delay=0.7]"}) for name in ANIMALS)
    (home / "animals.jsonl").write_text("\n".join(lines))
    yield there
    until(lambda: not there.live_workers())
    assert_standing(there.scene(upstream.posts))


@contextmanager
def batch(place: Place, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    number = len(list(place.home.glob("stderr-*")))
    with (place.home / f"stderr-{number}").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "batch", "animals.jsonl", "--json", "--concurrency", "2", *flags],
            env=place.environment(PYTHONPATH=CODE),
            cwd=place.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def finish(place: Place, *flags: str) -> tuple[int, dict[str, Any]]:
    """Run it to its end; its exit code and what it says."""
    with batch(place, *flags) as process:
        out, _ = process.communicate(timeout=60)
        said: dict[str, Any] = json.loads(out)
        return process.returncode, said


def assert_each_paid_once(place: Place, upstream: RawUpstream, said: dict[str, Any]) -> None:
    assert [(line["id"], line["state"]) for line in said["lines"]] == [(name, "done") for name in ANIMALS]
    assert len(upstream.paid) == len({post.digest for post in upstream.paid}) == len(ANIMALS)
    files = [file for line in said["lines"] for file in line["files"]]
    assert sorted(files) == sorted(map(str, place.saved()))
    assert len(files) == len(ANIMALS)


@pytest.mark.parametrize("posts", [1, 4])
def test_a_batch_that_was_killed_goes_on_and_pays_each_line_once(
    place: Place, upstream: RawUpstream, posts: int
) -> None:
    with batch(place) as process:
        until(lambda: len(upstream.paid) >= posts)
        process.kill()
        process.wait()
    code, said = finish(place)
    assert code == 0
    assert_each_paid_once(place, upstream, said)


def test_a_batch_that_is_killed_again_and_again_pays_each_line_once(
    place: Place, upstream: RawUpstream
) -> None:
    for posts in range(1, len(ANIMALS)):
        with batch(place) as process:
            until(lambda least=posts: len(upstream.paid) >= least)  # type: ignore[misc]
            process.kill()
            process.wait()
    code, said = finish(place)
    assert code == 0
    assert_each_paid_once(place, upstream, said)


def test_a_batch_that_was_stopped_says_how_to_go_on_and_does(place: Place, upstream: RawUpstream) -> None:
    with batch(place) as process:
        until(lambda: len(upstream.paid) >= 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert "run the same command again to go on" in (place.home / "stderr-0").read_text()
    code, said = finish(place)
    assert code == 0
    assert_each_paid_once(place, upstream, said)


def test_what_died_with_its_worker_is_not_sent_again_until_that_is_asked_for(
    place: Place, upstream: RawUpstream
) -> None:
    with batch(place) as process:
        until(lambda: len(upstream.paid) >= 2)
        process.kill()
        for worker in place.live_workers():
            os.kill(worker, signal.SIGKILL)
        process.wait()
        until(lambda: not place.live_workers())
    sent = len(upstream.paid)
    code, said = finish(place)
    lost = [line["id"] for line in said["lines"] if line["state"] == "unknown"]
    assert code == 3
    assert lost
    assert len(upstream.paid) == len(ANIMALS), "what was not begun is made; what was lost is not sent again"
    assert {line["state"] for line in said["lines"]} == {"done", "unknown"}
    code, said = finish(place, "--retry-unknown")
    assert (code, len(upstream.paid)) == (0, len(ANIMALS) + len(lost))
    assert sent <= len(ANIMALS)


def test_two_runs_at_once_are_refused(place: Place, upstream: RawUpstream) -> None:
    with batch(place) as process:
        until(lambda: upstream.paid)
        with batch(place) as second:
            assert second.wait(20) == 2
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert "Another run is at work on animals.manifest.jsonl" in (place.home / "stderr-1").read_text()
    assert len(upstream.paid) == len(ANIMALS)
