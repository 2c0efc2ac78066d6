"""Real servers and real workers, left by their clients in every way there is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.faults.server import Place, Server
from tests.faults.standing import assert_standing
from tests.faults.upstream import RawUpstream
from tests.faults.waiting import until
from tests.support.upstreams import CANARY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds workers by /proc")
SLOW = "A fox [fault:delay=1.5]"
SHUTDOWN_S = 1.5


@pytest.fixture
def place(home: Path, upstream: RawUpstream) -> Iterator[Place]:
    """Left with the standing checks, when its workers have ended."""
    there = Place(home, upstream.base_url)
    there.key_file.rename(home.parent / "key")
    there.key_file.symlink_to(home.parent / "key")
    yield there
    until(lambda: not there.live_workers())
    assert_standing(there.scene(upstream.posts))


def assert_kept(place: Place, upstream: RawUpstream) -> None:
    """One POST, and the picture comes into the folder and the catalogue though nobody waits."""
    until(lambda: place.row().state == "done")
    assert [image["path"] for image in place.row().images] == [str(path) for path in place.saved()]
    assert len(upstream.paid) == 1


def assert_collected(place: Place) -> None:
    """A new server gives the latest picture to whoever asks for it."""
    with Server(place) as server:
        made = server.made(server.call("get_result", operation_id=place.row().id))
    assert [image["file_path"] for image in made["images"]] == [str(path) for path in place.saved()]


# The client goes


def test_a_server_killed_during_a_call_loses_no_picture(place: Place, upstream: RawUpstream) -> None:
    with Server(place) as server:
        server.call("generate_image", prompt=SLOW)
        until(lambda: upstream.paid)
        server.kill(signal.SIGKILL)
        server.process.wait()
        assert place.row().state == "sent"
    assert_kept(place, upstream)
    assert_collected(place)


def test_a_new_server_finds_the_call_of_a_killed_one_under_way(place: Place, upstream: RawUpstream) -> None:
    with Server(place) as server:
        server.call("generate_image", prompt="A fox [fault:delay=4]")
        until(lambda: upstream.paid)
    with Server(place) as server:
        operation_id = place.row().id
        working = server.made(server.call("get_result", operation_id=operation_id, wait_seconds=0))
        assert working["status"] == "working"
        made = server.made(server.call("get_result", operation_id=operation_id, wait_seconds=10))
        assert made["status"] == "done"
    assert len(upstream.paid) == 1


def test_the_ladder_by_which_clients_close_a_server_loses_no_picture(
    place: Place, upstream: RawUpstream
) -> None:
    with Server(place) as server:
        server.call("generate_image", prompt=SLOW)
        until(lambda: upstream.paid)
        server.close_stdin()
        for number in (signal.SIGTERM, signal.SIGKILL):
            time.sleep(0.2)
            server.kill(number)
        server.process.wait()
    assert_kept(place, upstream)
    assert_collected(place)


@pytest.mark.parametrize("way", ["EOF", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("tool", ["generate_image", "start_edit_session"])
def test_a_server_with_a_call_under_way_leaves_at_once_and_the_call_goes_on(
    place: Place, upstream: RawUpstream, home: Path, way: str, tool: str
) -> None:
    Image.new("RGB", (64, 64)).save(home / "sketch.png")
    more = {"images": ["sketch.png"]} if tool == "start_edit_session" else {}
    with Server(place) as server:
        server.call(tool, prompt=SLOW, **more)
        until(lambda: upstream.paid)
        asked_at = time.monotonic()
        if way == "EOF":
            server.close_stdin()
        else:
            os.kill(server.process.pid, signal.Signals[way])
        assert server.process.wait(timeout=10) == 0
        assert time.monotonic() - asked_at < SHUTDOWN_S
        assert place.row().state == "sent"
    assert_kept(place, upstream)


def test_a_client_that_cancels_gets_the_picture_later(place: Place, upstream: RawUpstream) -> None:
    with Server(place) as server:
        request = server.call("generate_image", prompt=SLOW)
        until(lambda: upstream.paid)
        server.cancel(request)
        until(lambda: place.row().state == "done")
        made = server.made(server.call("get_result", operation_id=place.row().id))
        assert made["status"] == "done"
    assert_kept(place, upstream)


def test_a_call_that_outlasts_the_clients_patience_is_handed_off(place: Place, upstream: RawUpstream) -> None:
    with Server(place, GPT_IMAGE_2_WAIT_SECONDS="1") as server:
        request = server.call("generate_image", prompt=SLOW)
        working = server.made(request)
        assert working["status"] == "working"
        assert "Do not call the tool again" in server.told(request)
        asked = {"operation_id": working["operation_id"], "wait_seconds": 1}
        until(lambda: server.made(server.call("get_result", **asked))["status"] == "done")
    assert len(upstream.paid) == 1


# The same call again


def test_a_call_sent_again_joins_the_one_that_was_cancelled(place: Place, upstream: RawUpstream) -> None:
    with Server(place) as server:
        first = server.call("generate_image", prompt=SLOW)
        until(lambda: upstream.paid)
        server.cancel(first)
        server.answer(server.ask("tools/list", {}))
        made = server.made(server.call("generate_image", prompt=SLOW))
        assert made["operation_id"] == place.row().id
    assert (len(upstream.paid), len(place.saved())) == (1, 1)


def test_a_call_sent_again_joins_the_one_of_a_server_that_was_killed(
    place: Place, upstream: RawUpstream
) -> None:
    slow = "A fox [fault:delay=4]"
    with Server(place) as server:
        server.call("generate_image", prompt=slow)
        until(lambda: upstream.paid)
    with Server(place) as server:
        made = server.made(server.call("generate_image", prompt=slow))
        assert made["operation_id"] == place.row().id
    assert (len(upstream.paid), len(place.saved())) == (1, 1)


def test_the_same_call_beside_one_that_is_awaited_makes_another_picture(
    place: Place, upstream: RawUpstream
) -> None:
    with Server(place) as server, Server(place) as other:
        requests = [server.call("generate_image", prompt=SLOW) for _ in range(3)]
        elsewhere = other.call("generate_image", prompt=SLOW)
        made = [server.made(request) for request in requests] + [other.made(elsewhere)]
    assert len({result["operation_id"] for result in made}) == 4
    assert (len(upstream.paid), len(place.saved())) == (4, 4)


# The worker goes


def test_a_worker_killed_during_a_call_is_told_at_once_and_replaced(
    place: Place, upstream: RawUpstream
) -> None:
    with Server(place) as server:
        request = server.call("generate_image", prompt="A fox [fault:delay=20]")
        until(lambda: upstream.paid)
        (worker,) = place.live_workers()
        os.kill(worker, signal.SIGKILL)
        told = server.told(request, within=3)
        assert "so it was not sent again" in told
        assert f"It is kept as operation {place.row().id}." in told
        listed = json.loads(place.command("operations", "list", "--json"))
        assert [(entry["id"], entry["state"]) for entry in listed] == [(place.row().id, "unknown")]
        assert server.made(server.call("generate_image", prompt="A hare"))["status"] == "done"
        assert place.live_workers() != [worker]
    assert len(upstream.paid) == 2


def test_server_and_worker_killed_together_leave_the_outcome_unknown(
    place: Place, upstream: RawUpstream
) -> None:
    with Server(place) as server:
        server.call("generate_image", prompt="A fox [fault:delay=20]")
        until(lambda: upstream.paid)
        for worker in place.live_workers():
            os.kill(worker, signal.SIGKILL)
        server.kill(signal.SIGKILL)
    found = json.loads(place.command("operations", "recover", "--json"))
    assert found == {"done": 0, "released": 0, "unknown": 1, "waiting": 0}
    assert len(upstream.paid) == 1


def test_an_idle_worker_that_was_killed_costs_nothing(place: Place, upstream: RawUpstream) -> None:
    with Server(place) as server:
        for prompt in ("A fox", "A hare"):
            assert server.made(server.call("generate_image", prompt=prompt))["status"] == "done"
            (worker,) = place.live_workers()
            os.kill(worker, signal.SIGKILL)
    assert (len(upstream.paid), len(place.saved())) == (2, 2)


def test_one_worker_serves_all_calls_of_a_server(place: Place, upstream: RawUpstream) -> None:
    with Server(place) as server:
        requests = [server.call("generate_image", prompt=f"Fox {number}") for number in range(5)]
        for request in requests:
            assert server.made(request)["status"] == "done"
        assert len(place.live_workers()) == 1
    assert len(upstream.paid) == 5


# Without a worker


def test_an_inline_server_finishes_its_call_before_it_leaves(place: Place, upstream: RawUpstream) -> None:
    with Server(place, GPT_IMAGE_2_WORKER="inline") as server:
        server.call("generate_image", prompt="A fox [fault:delay=1]")
        until(lambda: upstream.paid)
        os.kill(server.process.pid, signal.SIGTERM)
        assert server.process.wait(timeout=10) == 0
        assert place.live_workers() == []
    assert place.row().state == "done"


def test_an_inline_server_that_is_killed_leaves_the_outcome_unknown(
    place: Place, upstream: RawUpstream
) -> None:
    with Server(place, GPT_IMAGE_2_WORKER="inline") as server:
        server.call("generate_image", prompt="A fox [fault:delay=20]")
        until(lambda: upstream.paid)
        server.kill(signal.SIGKILL)
        server.process.wait()
    with Server(place) as server:
        told = server.told(server.call("get_result", operation_id=place.row().id, wait_seconds=5))
    assert "so it was not sent again" in told
    assert len(upstream.paid) == 1


# What processes show


def test_the_key_reaches_the_worker_through_its_pipe_alone(place: Place, upstream: RawUpstream) -> None:
    with Server(place, OPENAI_API_KEY=CANARY) as server:
        request = server.call("generate_image", prompt="A fox [fault:status=401]")
        assert "OPENAI_API_KEY" in server.told(request)
        (worker,) = place.live_workers()
        for name in ("environ", "cmdline"):
            assert CANARY.encode() not in Path(f"/proc/{worker}/{name}").read_bytes()
        assert_standing(place.scene(upstream.posts))
    assert upstream.paid[0].headers["authorization"] == f"Bearer {CANARY}"
    assert CANARY not in (place.state / "worker.log").read_text()


def test_a_client_that_never_reads_stderr_does_not_hold_up_a_call(
    place: Place, upstream: RawUpstream
) -> None:
    import fcntl

    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"x" * fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ))
    try:
        with Server(place, stderr=writing) as server:
            made = server.made(server.call("generate_image", prompt="A fox"), within=8)
            assert made["status"] == "done"
    finally:
        os.close(reading)
        os.close(writing)


def test_a_body_of_60_mb_costs_the_worker_little_memory(place: Place, upstream: RawUpstream) -> None:
    def peak_mb(pid: int) -> float:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024

    with Server(place) as server:
        server.made(server.call("generate_image", prompt="A fox"))
        (worker,) = place.live_workers()
        before = peak_mb(worker)
        server.call("generate_image", prompt="A fox [fault:huge=60]")
        until(lambda: place.row().state == "done" and len(place.saved()) == 2)
        assert peak_mb(worker) - before <= 30


def test_a_wrong_command_line_shows_no_key(place: Place) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gpt_image_2_mcp", "operations", "show", "nothing"],
        env=place.environment(OPENAI_API_KEY=CANARY),
        cwd=place.home,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert CANARY.encode() not in done.stdout + done.stderr
