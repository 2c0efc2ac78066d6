"""What the service needs of the outside world, as Protocols and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from gpt_image_2_mcp.models import (
    Answer,
    EncodedPicture,
    ImageJob,
    InputImage,
    Placement,
    Receipt,
    Session,
    StoredImage,
    Turn,
)
from gpt_image_2_mcp.requests import TurnOptions

Clock = Callable[[], datetime]
"""The present moment in UTC."""


class Spool(Protocol):
    """Where the raw bodies of one operation go, as they arrive."""

    def body(self, leg: int) -> Path:
        """The file of the `leg`-th answer, counted from 0."""


class Gateway(Protocol):
    """A way to have pictures made."""

    async def send(self, job: ImageJob, spool: Spool) -> Receipt:
        """Have `job` made; returns once every body stands whole on disk.

        Raises:
            UpstreamError: with the class that says whether it may have been billed.
        """

    def read(self, receipt: Receipt) -> Answer:
        """Find the pictures in bodies that `send` spooled, in this process or an earlier one. Blocks.

        Raises:
            UpstreamError: the bodies hold an error or no picture.
        """


class ImageStore(Protocol):
    """Files under final names."""

    async def prepare(self, folder: Path) -> None:
        """Make `folder` and prove that it can be written, before anything is paid.

        Raises:
            StorageError: it cannot.
        """

    async def save(
        self, picture: EncodedPicture, placement: Placement, index: int, count: int
    ) -> StoredImage:
        """Decode `picture` into its final file: never partial, never over another file; twice is once.

        Raises:
            InvalidAnswer: the text is not base64 or the bytes are no picture.
            StorageError: the file cannot be written.
        """


class SourceLoader(Protocol):
    """Reader of input images, wherever they are."""

    async def load(self, source: str) -> InputImage:
        """Read and check one input.

        Raises:
            InputError: it cannot be read or is not PNG, JPEG or WebP within the limits.
        """

    async def load_stored(self, image: StoredImage) -> InputImage:
        """Read a picture that this server wrote.

        Raises:
            PictureChanged: it is gone or is not the one that was written.
        """


class SessionStore(Protocol):
    """Edit sessions, with a cap on their number and on their idle time.

    All methods that name a session raise SessionNotFound where there is none (any more).
    """

    async def add(self, session: Session) -> None:
        """Keep a new session; over the cap, the longest idle ones without a turn in flight go."""

    def turn(self, session_id: str) -> AbstractAsyncContextManager[Session]:
        """The exclusive right to take the session's next turn, in all processes; waits for it."""

    async def append(self, session_id: str, turn: Turn, options: TurnOptions) -> Session:
        """Add `turn`, whose number must follow the last one's, and keep its options.

        Raises:
            SessionNotFound: the session ended meanwhile.
        """

    async def end(self, session_id: str) -> bool:
        """Forget a session; False if it was not there."""

    async def active(self) -> tuple[Session, ...]:
        """All sessions, the latest used first."""

    async def close(self) -> None: ...
