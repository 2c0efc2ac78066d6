"""Sessions to store, and a clock that goes only when told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from gpt_image_2_mcp.capabilities import Size
from gpt_image_2_mcp.models import Session, StoredImage, Turn
from gpt_image_2_mcp.requests import TurnOptions

NOTHING_SET = TurnOptions()


class Clock:
    """Stands still between calls of `forward`."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> datetime:
        self.now += timedelta(**by)
        return self.now


def turn(number: int, made_at: datetime, prompt: str = "make it blue") -> Turn:
    path = Path(f"/pictures/session-turn{number}.png")
    image = StoredImage(path, 123_456, "image/png", Size(1024, 640), f"{number:064x}")
    return Turn(number, prompt, image, made_at)


def session(
    id_: str,
    clock: Clock,
    *,
    options: TurnOptions = NOTHING_SET,
    prefix: str | None = None,
) -> Session:
    return Session(
        id=id_,
        created_at=clock(),
        updated_at=clock(),
        model="gpt-image-2",
        options=options,
        output_dir=Path("/pictures"),
        filename_prefix=prefix,
        last=turn(1, clock(), "a teapot"),
    )
