"""A process whose calls stand in the account's line, in time that goes twenty times as fast."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gpt_image_2_mcp.stores.leases import FileLeases
from gpt_image_2_mcp.stores.pace import SqlitePace
from gpt_image_2_mcp.stores.sqlite import Database

PER_MINUTE: Final = 6
_TIMES: Final = 20
_BEGINNING: Final = datetime(2026, 11, 22, tzinfo=UTC)


def _fast_clock() -> datetime:
    """All processes of a machine read the same."""
    return _BEGINNING + timedelta(seconds=time.monotonic() * _TIMES)


async def _fast_sleep(seconds: float) -> None:
    await asyncio.sleep(seconds / _TIMES)


def queue(argument: dict[str, Any]) -> None:
    """Have the calls that `names` lists stand in the line at once; say each that waits and each that goes."""
    asyncio.run(_queue(Path(argument["folder"]), argument["names"]))


async def _queue(folder: Path, names: list[str]) -> None:
    database, leases = Database(folder), FileLeases(folder / "locks")
    pace = SqlitePace(database, leases, "account", _fast_clock, per_minute=PER_MINUTE, sleep=_fast_sleep)

    async def stand(name: str) -> None:
        async def tell(_ahead: int, _per_minute: int | None) -> None:
            os.write(1, f"waits {name}\n".encode())

        assert leases.take(name)
        await pace.place(name, "gpt-image-2", 1).turn(tell)
        os.write(1, f"went {name}\n".encode())

    await asyncio.gather(*map(stand, names))
    await database.close()
