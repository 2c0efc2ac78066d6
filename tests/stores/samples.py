"""Operations, pictures and sessions to store, and a clock that goes only when told."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.image_formats.gif import Animation
from gpt_image_2_mcp.models import (
    AppliedOptions,
    Completed,
    Failure,
    Operation,
    Placement,
    Session,
    SessionStep,
    StoredImage,
    Turn,
    Usage,
)
from gpt_image_2_mcp.ports import SessionStore
from gpt_image_2_mcp.requests import RenderOptions, TurnOptions
from gpt_image_2_mcp.sizes import Size
from gpt_image_2_mcp.stores.sqlite import Database
from gpt_image_2_mcp.stores.sqlite_sessions import SqliteSessionStore

NOTHING_SET = TurnOptions()
FAILURE = Failure("storage", "The folder /pictures cannot be written.", "Make room; \u72d0.")


posix = pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class Clock:
    """Stands still between calls of `forward`."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


def image(number: int = 1) -> StoredImage:
    path = Path(f"/pictures/session-turn{number}.png")
    return StoredImage(path, 123_456, "image/png", Size(1024, 640), f"{number:064x}")


def drawing() -> StoredImage:
    return StoredImage(Path("/pictures/image.svg"), 2_345, "image/svg+xml", None, "d" * 64)


def film() -> StoredImage:
    path = Path("/pictures/image.gif")
    return StoredImage(path, 654_321, "image/gif", Size(512, 512), "f" * 64, Animation(9, 1800))


def operation(clock: Clock, id_: str = "op-1", **more: Any) -> Operation:
    """A reserved call as the front of the journal makes it."""
    plain = Operation(
        id=id_,
        state="reserved",
        action="edit",
        prompt="a teapot",
        options=RenderOptions(model="gpt-image-2"),
        placement=Placement(Path("/pictures"), "edit", "20261122-120000", "a1b2c3d4" * 4),
        fingerprint="f" * 64,
        server="5e4d3c2b",
        created_at=clock(),
        changed_at=clock(),
    )
    return replace(plain, **more)


def completed(*numbers: int, **more: Any) -> Completed:
    nothing = AppliedOptions(size=None, quality=None, background=None, output_format=None)
    plain = Completed(
        tuple(image(number) for number in numbers or (1,)),
        nothing.model_copy(update={"size": "1024x640"}),
        Usage(input_tokens=1, output_tokens=2, total_tokens=3),
        211_200,
        "images",
    )
    return replace(plain, **more)


def turn_of(
    session_id: str,
    number: int,
    clock: Clock,
    *,
    prompt: str = "a teapot",
    options: TurnOptions = NOTHING_SET,
    prefix: str | None = None,
    **more: Any,
) -> Operation:
    """The operation that is a session's turn with that number."""
    step = SessionStep(session_id, number, options, prefix)
    return operation(clock, f"{session_id}-{number}", step=step, prompt=prompt, **more)


async def begin(store: SessionStore, session_id: str, clock: Clock, **more: Any) -> Session:
    """A session after its first turn, as the store must now have it."""
    first = turn_of(session_id, 1, clock, **more)
    assert await store.keep(first, image(1)) is True
    assert first.step is not None
    return Session(
        id=session_id,
        created_at=clock(),
        updated_at=clock(),
        model="gpt-image-2",
        options=first.step.options,
        output_dir=Path("/pictures"),
        filename_prefix=first.step.filename_prefix,
        last=Turn(1, first.prompt, image(1), clock()),
    )


async def take_turn(
    store: SessionStore, session_id: str, clock: Clock, options: TurnOptions = NOTHING_SET
) -> None:
    """A turn as the service takes it, with the loop free in between."""
    async with store.turn(session_id) as current:
        await store.active()
        await store.active()
        number = current.last.number + 1
        assert await store.keep(turn_of(session_id, number, clock, options=options), image(number)) is True


async def ids(store: SessionStore) -> list[str]:
    return [each.id for each in await store.active()]


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[Database]:
    opened = Database(folder)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def sqlite_sessions(folder: Path, clock: Clock, **limits: Any) -> AsyncIterator[SqliteSessionStore]:
    """Sessions in the state file of `folder`, as one process opens them."""
    async with database(folder) as opened:
        store = SqliteSessionStore(opened, folder / "locks", clock, **limits)
        yield store
        await store.close()
