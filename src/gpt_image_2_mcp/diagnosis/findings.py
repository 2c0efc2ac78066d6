"""Findings, and the carrying out of checks side by side, each within its time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import anyio
from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import ImageServerError

Status = Literal["ok", "warn", "fail"]
LONGEST_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `remedy` says what to do about it, where something is to be done."""

    name: str
    status: Status
    what: str
    remedy: str = ""

    @classmethod
    def of(cls, name: str, error: ImageServerError) -> Finding:
        """The failure that an error is."""
        return cls(name, "fail", error.message, error.hint)


Look = Callable[[], Awaitable[Iterable[Finding]]]


@dataclass(frozen=True, slots=True)
class Check:
    """Something to look at; `name` is what is told of it when the looking itself fails."""

    name: str
    look: Look


def blocking(name: str, look: Callable[[], Iterable[Finding]]) -> Check:
    """A check that reads disks, in a thread that is left behind if a disk does not answer."""
    return Check(name, partial(run_sync, lambda: list(look()), abandon_on_cancel=True))


async def examine(checks: Sequence[Check], longest_s: float = LONGEST_S) -> list[Finding]:
    """What all checks find, in their order; one that breaks or takes too long is a finding too."""
    found: dict[int, list[Finding]] = {}

    async def one(number: int, check: Check) -> None:
        found[number] = await _looked(check, longest_s)

    async with anyio.create_task_group() as group:
        for number, check in enumerate(checks):
            group.start_soon(one, number, check)
    return [finding for number in sorted(found) for finding in found[number]]


async def _looked(check: Check, longest_s: float) -> list[Finding]:
    try:
        with anyio.fail_after(longest_s):
            return list(await check.look())
    except TimeoutError:
        what = f"It could not be told within {longest_s:.0f} s."
        return [Finding(check.name, "warn", what, "Run it again when the machine or the disk is less busy.")]
    except ImageServerError as error:
        return [Finding.of(check.name, error)]
    except Exception as error:  # noqa: BLE001 - a broken check must not keep the others from telling
        what = f"The check itself broke ({type(error).__name__})."
        return [Finding(check.name, "warn", what, "Please report it, with what `doctor --json` says.")]
