"""Checks side by side: what breaks or hangs is told, and keeps nothing else from being told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import anyio
import pytest

from gpt_image_2_mcp.diagnosis.findings import Check, Finding, blocking, examine
from gpt_image_2_mcp.errors import StorageError

pytestmark = pytest.mark.anyio
FINE = Finding("fine", "ok", "It is.")


async def fine() -> list[Finding]:
    return [FINE]


async def test_checks_run_at_once_and_are_told_in_their_order() -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def first() -> list[Finding]:
        begun.set()
        await go_on.wait()
        return [Finding("first", "ok", "It waited.")]

    async def second() -> list[Finding]:
        await begun.wait()
        go_on.set()
        return [FINE, FINE]

    found = await examine([Check("first", first), Check("second", second)])
    assert [each.name for each in found] == ["first", "fine", "fine"]


async def test_a_check_that_breaks_is_a_finding() -> None:
    async def broken() -> list[Finding]:
        raise KeyError("sk-secret")

    async def refused() -> list[Finding]:
        raise StorageError("It cannot be read.", hint="Make it readable.")

    found = await examine([Check("broken", broken), Check("refused", refused), Check("fine", fine)])
    assert [(each.name, each.status) for each in found] == [
        ("broken", "warn"),
        ("refused", "fail"),
        ("fine", "ok"),
    ]
    assert found[0].what == "The check itself broke (KeyError)."
    assert (found[1].what, found[1].remedy) == ("It cannot be read.", "Make it readable.")


async def test_a_check_that_hangs_is_left_behind_even_in_a_thread() -> None:
    answer = threading.Event()

    def hangs() -> Iterator[Finding]:
        answer.wait()
        yield FINE

    async def asleep() -> list[Finding]:
        await anyio.sleep_forever()
        return [FINE]

    try:
        found = await examine([Check("asleep", asleep), blocking("disk", hangs)], longest_s=0.01)
    finally:
        answer.set()
    assert [(each.name, each.status) for each in found] == [("asleep", "warn"), ("disk", "warn")]
    assert "could not be told within" in found[1].what
