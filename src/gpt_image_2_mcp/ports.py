"""What the service needs of the outside world, as Protocols and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

from gpt_image_2_mcp.batches import Row
from gpt_image_2_mcp.budgets import By, Spending
from gpt_image_2_mcp.models import (
    Answer,
    CataloguedImage,
    Completed,
    EncodedPicture,
    Failure,
    ImageJob,
    ImageReference,
    InputImage,
    Operation,
    PartialPicture,
    Placement,
    Receipt,
    RequestOutline,
    Route,
    Session,
    State,
    StoredImage,
)
from gpt_image_2_mcp.requests import RenderOptions

Clock = Callable[[], datetime]
"""The present moment in UTC."""
Tell = Callable[[str], Awaitable[None]]
"""Told, in words, how far a call is."""
Fetch = Callable[[str], Awaitable[bytes]]
"""Reads what stands at a public address; raises InputError where it may not or cannot."""
TellLine = Callable[[int, int | None], Awaitable[None]]
"""Told how many calls go before one, and how many pictures a minute the account has; None: not known."""


class Spool(Protocol):
    """The files of one operation on the state disk. All methods but `bodies` and `fetched` block."""

    @property
    def operation_id(self) -> str:
        """Whose files these are."""

    def bodies(self, route: Route, leg: int) -> tuple[Path, ...]:
        """Where the `leg`-th answer (from 0) goes: the first that can be written, the others after it."""

    def fetched(self, index: int) -> tuple[Path, ...]:
        """Where the picture goes that an answer named by its address, by its place (from 0) in the answer."""

    def received(self) -> Receipt | None:
        """The answers that stand whole."""

    def torn(self) -> Receipt | None:
        """Whole answers and broken-off ones."""

    def save_job(self, job: ImageJob) -> None:
        """Keep the request for the process that sends it."""

    def load_job(self) -> ImageJob: ...

    def drop_job(self) -> None: ...

    def note_upload(self, file_id: str) -> None:
        """Remember an uploaded file before it is used."""

    def uploads(self) -> tuple[str, ...]: ...

    def drop_uploads(self) -> None: ...

    def keep_partial(self, index: int, picture: EncodedPicture) -> None:
        """Decode a picture in the making into a file of its own, in the place of an earlier one.

        Raises:
            InvalidAnswer: it is no picture, or far too large.
            StorageError: it cannot be written.
        """

    def partial(self, index: int) -> PartialPicture | None:
        """The picture in the making that was kept under that index, while it is kept."""

    def discard(self) -> None:
        """Remove everything but partial pictures, which somebody may be about to look at."""


class Spools(Protocol):
    """The spools of all operations."""

    def open(self, operation_id: str) -> Spool: ...

    def operations(self) -> frozenset[str]:
        """The ids of those that have files. Blocks."""

    def probe(self) -> None:
        """Prove by writing that spools can be written. Blocks.

        Raises:
            StorageError: they cannot.
        """

    def prune(self, keep: Collection[str]) -> None:
        """Let go of old raw answers, save of the operations in `keep`. Blocks."""


class Gateway(Protocol):
    """A way to have pictures made."""

    async def send(self, job: ImageJob, spool: Spool, tell: Tell) -> Receipt:
        """Have `job` made; returns once every body stands whole on disk. Partial pictures go to the spool.

        Raises:
            UpstreamError: with the class that says whether it may have been billed.
        """

    def outline(self, job: ImageJob) -> RequestOutline:
        """The request that `send` would send, to be looked at. Blocks."""

    async def complete(self, receipt: Receipt, spool: Spool) -> Receipt:
        """Fetch what the answers name by address and is not in the spool yet; once more does no harm.

        Raises:
            PictureAway: not all of it can be had; what could be stands in the spool.
            StorageError: the spool cannot be written.
        """

    def read(self, receipt: Receipt) -> Answer:
        """Find the pictures in bodies that `send` spooled, in this process or an earlier one. Blocks.

        Raises:
            UpstreamError: the bodies hold an error or no picture.
        """

    async def tidy(self, spool: Spool) -> None:
        """Delete what a `send` that was cut short left at the API."""


class Journal(Protocol):
    """Paid calls and how they stand. What a method wrote is durable when it returns."""

    async def check_budgets(self, operation: Operation) -> None:
        """Whether the operation would be entered as the budgets stand now; only `reserve` decides.

        Raises:
            BudgetExceeded: it would not.
        """

    async def reserve(self, operation: Operation) -> None:
        """In one transaction: hold every budget against the call's estimate, enter the operation, charge it.

        Raises:
            BudgetExceeded: it could cost more than is left, or nobody knows what; nothing was entered.
            SessionBusy: its turn was taken meanwhile.
        """

    async def record(self, operation: Operation) -> None:
        """Enter what is done already, with its pictures."""

    async def get(self, operation_id: str) -> Operation:
        """Raises OperationNotFound."""

    async def move(
        self,
        operation_id: str,
        source: State,
        target: State,
        *,
        attempts: int | None = None,
        phase: str = "",
        failure: Failure | None = None,
    ) -> bool:
        """Compare and set the state, and the charge that goes with it; False if it was not `source` now."""

    async def commit(self, operation_id: str, completed: Completed) -> bool:
        """In one transaction: the catalogue's rows, the cost, the session's turn, and received to done."""

    async def unfinished(self) -> tuple[Operation, ...]:
        """All operations in an open state, the oldest first."""

    async def recent(self, limit: int) -> tuple[Operation, ...]:
        """The latest operations, the newest first."""

    async def alike(self, fingerprint: str, since: datetime) -> tuple[tuple[str, str], ...]:
        """The ids and servers of open operations with that fingerprint, the oldest first."""

    async def unfinished_in_session(self, session_id: str) -> tuple[Operation, ...]:
        """Open operations that are turns of that session."""

    async def durations(self, options: RenderOptions) -> tuple[float, ...]:
        """Seconds that the last calls with the same model, quality and size took."""


class Ledger(Protocol):
    """What was spent. It is written by the journal, with the operations."""

    async def spending(
        self, by: By = "model", since: date | None = None, most: int | None = None
    ) -> Spending:
        """What was spent in each window, and what `by` since a day of UTC; None: since the month began.

        Of the groups the first `most` are told one by one.
        """


class Catalogue(Protocol):
    """Every picture of ours."""

    async def find(self, id_: str) -> CataloguedImage:
        """A picture by its id; of the operation's part of it, a beginning that tells it from others will do.

        Raises:
            ImageNotFound: there is none, or several begin so.
        """

    async def latest(self) -> CataloguedImage:
        """The last picture that this server made, or where it made none, any server of this machine.

        Raises:
            ImageNotFound: none was ever made.
        """

    async def recent(
        self, limit: int, before: tuple[datetime, str] | None = None, beginning: str = ""
    ) -> tuple[CataloguedImage, ...]:
        """The latest pictures, the newest first: those made before one of that moment and id, and those whose
        operation's id has that beginning.
        """


class Leases(Protocol):
    """Rights that die with their process."""

    def take(self, name: str) -> bool: ...

    def give_back(self, name: str) -> None: ...

    def is_held(self, name: str) -> bool: ...

    def tidy(self, prefix: str) -> None:
        """Remove what the dead left of leases whose names begin so."""


class Place(Protocol):
    """One call's place in the line for the account's pictures a minute."""

    async def turn(self, tell: TellLine) -> None:
        """Wait until it may be sent, and count it as sent; `tell` is awaited as the place gets better.

        Its operation's lease is held meanwhile: who has none is dead, and loses the place.
        """

    async def learn(self, per_minute: int | None) -> None:
        """Remember the limit that the API named, if it did."""

    async def withdraw(self, hold_s: float) -> None:
        """Count it as not sent, since nothing was made; nobody goes for `hold_s` seconds, which the API asked
        for. Its next turn is by the place it had.
        """


class Pace(Protocol):
    """Keeps the calls of all processes within the account's pictures a minute."""

    def place(self, operation_id: str, model: str, pictures: int) -> Place: ...


class Runner(Protocol):
    """Has operations carried out, here or in another process."""

    @property
    def running(self) -> Collection[str]:
        """The ids of the operations that were started and are not known to have ended."""

    async def start(self, operation_id: str) -> None:
        """Carry a reserved operation to its end, whatever becomes of the caller."""

    async def ended(self, operation_id: str, within: float) -> bool:
        """Whether its runner is heard, within so many seconds, to be through with the operation."""

    async def close(self) -> None:
        """Let go; calls under way are finished first where leaving would end them."""


class ImageStore(Protocol):
    """Files under final names."""

    async def prepare(self, placement: Placement, expected_bytes: int) -> None:
        """Make the folder and prove that it can be written and has room, before anything is paid.

        Raises:
            StorageError: it cannot.
        """

    async def save(
        self,
        picture: EncodedPicture | bytes,
        placement: Placement,
        index: int,
        count: int,
        *,
        drawing: bool = False,
    ) -> StoredImage:
        """Write `picture` to its final file: never partial, never over another file; twice is once.

        Raises:
            InvalidAnswer: the text is not base64 or the bytes are no picture; an SVG is one where a `drawing`
                was asked for.
            StorageError: the file cannot be written.
        """


class SourceLoader(Protocol):
    """Reader of input images, wherever they are."""

    async def load(self, source: str) -> InputImage:
        """Read and check one input.

        Raises:
            InputError: it cannot be read or is no PNG, JPEG or WebP that may be sent.
        """

    def refers(self, source: str) -> bool:
        """Whether an input is passed on for OpenAI to read, and not read here."""

    async def load_all(
        self, sources: Sequence[str], overlays: Sequence[str] = ()
    ) -> tuple[list[InputImage | ImageReference], list[InputImage]]:
        """Read and check the inputs of one call, in their order, and what lies on the first of them.

        Raises:
            InputError: as `load`, or they are too many or too large together.
        """

    async def read_stored(self, image: StoredImage) -> bytes:
        """The bytes of a picture that this server wrote.

        Raises:
            PictureChanged: it is gone or is not the one that was written.
        """

    async def load_stored(self, image: StoredImage) -> InputImage:
        """Read a picture that this server wrote, as an input.

        Raises:
            PictureChanged: it is gone or is not the one that was written.
        """


class SessionStore(Protocol):
    """Edit sessions, with a cap on their number and on their idle time.

    Over the cap, the longest idle ones without a turn in flight go.
    """

    def turn(self, session_id: str) -> AbstractAsyncContextManager[Session]:
        """The exclusive right to take the session's next turn, in all processes; waits for it.

        Raises:
            SessionNotFound: there is none with that id (any more).
        """

    async def keep(self, operation: Operation, image: StoredImage) -> bool:
        """Add the turn that a finished operation is; twice is once. False if the session ended meanwhile."""

    async def end(self, session_id: str) -> bool:
        """Forget a session; False if it was not there."""

    async def active(self, most: int | None = None) -> tuple[Session, ...]:
        """The sessions, the latest used first; None: all of them."""

    async def count(self) -> int:
        """How many sessions there are."""

    async def close(self) -> None: ...


class Manifest(Protocol):
    """The record of a batch, which outlives every run of it."""

    async def read(self) -> tuple[Row, ...]:
        """All rows, in the order they were added.

        Raises:
            StorageError: it cannot be read, or is no manifest.
            InvalidRequest: its calls are in another journal than this run's.
        """

    async def add(self, row: Row) -> None:
        """Add a row; when this returns it outlives a death.

        Raises:
            StorageError: it cannot be written.
        """
