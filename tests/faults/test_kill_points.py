"""A process dies at every step of a paid call, one after the other; what is left is taken up by others."""

from __future__ import annotations

import json
import signal
import sys
from itertools import count
from typing import Any, Final

import pytest

from tests.faults.folder import Folder
from tests.faults.standing import Row, assert_standing, operations
from tests.faults.waiting import until
from tests.faults.wire import Post

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the nursery passes files over Unix sockets")
NOTHING: Final = {"done": 0, "released": 0, "unknown": 0, "waiting": 0}


INPUT: Final = {"images": ["sketch.png"]}
ROUND: Final = {"prompt": "A fox [fault:launch]", **INPUT}
FLOWS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "one picture": ("generate", {"prompt": "A fox"}),
    "by address": ("generate", {"prompt": "A fox [fault:addressed]", "n": 2}),
    "rate limit": ("generate", {"prompt": "A fox [fault:limited=0,ok]"}),
    "three pictures": ("generate", {"prompt": "A fox", "n": 3}),
    "first turn": ("start_session", {"prompt": "A fox", **INPUT}),
    "second turn": ("continue_session", {"prompt": "A fox"}),
    "fallback": ("edit", ROUND),
    "streamed": ("generate", {"prompt": "A fox", "partial_images": 1}),
    "streamed fallback": ("edit", {**ROUND, "partial_images": 1}),
    "fallback for three": ("edit", {**ROUND, "n": 3}),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("flow", FLOWS)
def test_a_death_at_any_step_costs_no_second_post_and_no_picture(folder: Folder, flow: str) -> None:
    tool, arguments = asked(folder, flow)
    folder.keep()
    for step in count(1):
        folder.restore()
        status, steps = folder.call(tool=tool, arguments=arguments, die_at=step)
        recover_for_good(folder)
        check_promises(steps, folder.new_row(), folder.new_posts, arguments.get("n", 1))
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert step > 30, steps


def asked(folder: Folder, flow: str) -> tuple[str, dict[str, Any]]:
    """The tool and its arguments; a second turn has its first one made."""
    tool, arguments = FLOWS[flow]
    if tool != "continue_session":
        return tool, arguments
    folder.call(tool="start_session", arguments={"prompt": "A fox", **INPUT})
    (row,) = operations(folder.stack.state)
    assert row.step is not None
    return tool, {**arguments, "session_id": row.step["session_id"]}


def recover_for_good(folder: Folder) -> None:
    """Two processes at once, then one more that finds nothing left to do."""
    first, second = folder.recover(2)
    assert first is not None
    assert second is not None
    assert sum(first.values()) + sum(second.values()) <= 1
    assert folder.recover() == [NOTHING]
    assert_standing(folder.stack.scene(folder.posts))


def check_promises(steps: list[str], row: Row | None, posts: list[Post], n: int) -> None:
    """What the steps that were done promise of the end."""
    written = steps.count("before fsync of spool .part")
    asked = [step for step in steps if step.startswith("before POST") and not step.endswith("files")]
    assert len(posts) <= len(asked)
    saved = len(row.images) if row else 0
    legs = n if any(post.path == "/v1/responses" for post in posts) else 1
    if written >= legs:
        assert (row and row.state, saved) == ("done", n), steps
    if legs > 1:
        assert saved >= written, steps
    if not asked:
        assert row is None or row.state in ("released", "unknown"), steps
    if "after journal.move to sent" not in steps and "before journal.move to sent" not in steps:
        assert row is None or row.state == "released", steps


@pytest.mark.parametrize("flow", FLOWS)
def test_a_recovery_that_dies_at_any_step_is_taken_up_by_the_next(folder: Folder, flow: str) -> None:
    tool, arguments = asked(folder, flow)
    status, _ = folder.call(tool=tool, arguments=arguments, die_after="after journal.move to received")
    assert status == -signal.SIGKILL
    folder.keep()
    for step in count(1):
        folder.restore()
        (found,) = folder.recover(die_at=step)
        recover_for_good(folder)
        assert {row.state for row in operations(folder.stack.state)} == {"done"}
        if found is not None:
            break
    assert step > 10


def test_a_death_while_the_answer_is_awaited_leaves_the_outcome_unknown(folder: Folder) -> None:
    child = folder.start("call", arguments={"prompt": "A fox [fault:delay=30]"})
    until(lambda: folder.upstream.paid)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    recover_for_good(folder)
    (row,) = operations(folder.stack.state)
    assert (row.state, len(folder.upstream.paid)) == ("unknown", 1)


def test_a_recovery_never_touches_what_is_under_way(folder: Folder) -> None:
    child = folder.start("call", arguments={"prompt": "A fox [fault:delay=1]", "n": 2})
    until(lambda: folder.upstream.paid)
    for _ in range(5):
        assert folder.recover(2) == [NOTHING, NOTHING]
    status, said = child.read()
    assert (status, json.loads(said[-1])["state"]) == (0, "done")
    recover_for_good(folder)
