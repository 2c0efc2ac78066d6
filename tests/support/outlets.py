"""A service whose every way out writes down what went there, and leads nowhere."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from gpt_image_2_mcp.budgets import By, Period, Spending, Tally
from gpt_image_2_mcp.drafts import Defaults
from gpt_image_2_mcp.errors import ImageNotFound, InputError, OperationNotFound
from gpt_image_2_mcp.execution import Execution
from gpt_image_2_mcp.library import Library
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
    SessionStep,
    State,
    StoredImage,
)
from gpt_image_2_mcp.operations import Operations
from gpt_image_2_mcp.ports import (
    Catalogue,
    Gateway,
    ImageStore,
    Journal,
    Leases,
    Ledger,
    Pace,
    Place,
    Runner,
    SourceLoader,
    Spool,
    Spools,
    Tell,
)
from gpt_image_2_mcp.requests import RenderOptions, TurnOptions
from gpt_image_2_mcp.roots import OutputDir
from gpt_image_2_mcp.service import ImageService
from gpt_image_2_mcp.sizes import Size
from gpt_image_2_mcp.stores.memory import MemorySessionStore

NOW = datetime(2026, 11, 22, 15, 3, 1, tzinfo=UTC)
NOBODY = "Nobody was there to make it."
SESSION = "edit-1"
READABLE = ("in.png", "./in.png")


@dataclass
class Outlets:
    """What a service read, kept and ordered; what it orders is refused."""

    read: list[str] = field(default_factory=list)
    jobs: list[ImageJob] = field(default_factory=list)
    ordered: list[str] = field(default_factory=list)

    async def service(self) -> ImageService:
        """A service with one session in it."""
        notebook, files, leases = Notebook(), Files(self.jobs), Free()
        execution = Execution(notebook, NoGateway(), Nowhere(), files, leases, NoLine())
        orders = Orders(self.ordered, notebook)
        operations = Operations(notebook, orders, execution, Nowhere(), files, leases, lambda: NOW)
        sessions = MemorySessionStore(lambda: NOW)
        await sessions.keep(_first_turn(), _stored())
        defaults = Defaults("gpt-image-2", lambda _asked: OutputDir(Path("/pictures"), Path("/pictures")))
        shelf = Shelf(self.read)
        library = Library(Empty(), shelf)
        return ImageService(operations, shelf, sessions, defaults, lambda: NOW, library, Unspent())


def _first_turn() -> Operation:
    return Operation(
        id="f" * 32,
        state="done",
        action="edit",
        prompt="A fox",
        options=RenderOptions(model="gpt-image-2"),
        placement=Placement(Path("/pictures"), "session", "20261122-150301", "f" * 32),
        fingerprint="",
        server="",
        created_at=NOW,
        changed_at=NOW,
        step=SessionStep(SESSION, 1, TurnOptions(), None),
    )


def _stored() -> StoredImage:
    return StoredImage(Path("/pictures/a.png"), 1, "image/png", Size(64, 48), "0" * 64)


@dataclass
class Shelf(SourceLoader):
    """Has one picture, under two names."""

    asked: list[str]

    async def load(self, source: str) -> InputImage:
        self.asked.append(source)
        if source not in READABLE:
            raise InputError("It cannot be read.")
        return InputImage(b"x", "image.png", "image/png", Size(64, 48), has_alpha=True, mark="x")

    def refers(self, _source: str) -> bool:
        return False

    async def load_all(
        self, sources: Sequence[str], overlays: Sequence[str] = ()
    ) -> tuple[list[InputImage | ImageReference], list[InputImage]]:
        return [await self.load(each) for each in sources], [await self.load(each) for each in overlays]

    async def read_stored(self, _image: StoredImage) -> bytes:
        raise AssertionError

    async def load_stored(self, _image: StoredImage) -> InputImage:
        return await self.load(READABLE[0])


@dataclass
class Notebook(Journal):
    """A journal in memory."""

    operations: dict[str, Operation] = field(default_factory=dict)

    async def check_budgets(self, operation: Operation) -> None: ...

    async def reserve(self, operation: Operation) -> None:
        self.operations[operation.id] = operation

    async def record(self, operation: Operation) -> None:
        self.operations[operation.id] = operation

    async def get(self, operation_id: str) -> Operation:
        if operation_id not in self.operations:
            raise OperationNotFound("There is no such operation.")
        return self.operations[operation_id]

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
        self.operations[operation_id] = replace(self.operations[operation_id], state=target, failure=failure)
        return True

    async def commit(self, operation_id: str, completed: Completed) -> bool:
        raise AssertionError

    async def unfinished(self) -> tuple[Operation, ...]:
        return ()

    async def recent(self, limit: int) -> tuple[Operation, ...]:
        return tuple(list(self.operations.values())[:limit])

    async def alike(self, fingerprint: str, since: datetime) -> tuple[tuple[str, str], ...]:
        return ()

    async def unfinished_in_session(self, session_id: str) -> tuple[Operation, ...]:
        return ()

    async def durations(self, options: RenderOptions) -> tuple[float, ...]:
        return ()


class Unspent(Ledger):
    """Nothing was ever paid."""

    async def spending(
        self, by: By = "model", since: date | None = None, most: int | None = None
    ) -> Spending:
        return Spending((Period("total", None, Tally()),), None, by, since or NOW, ())


class Empty(Catalogue):
    """No picture was ever made."""

    async def find(self, id_: str) -> CataloguedImage:
        raise ImageNotFound("There is no such picture.")

    async def latest(self) -> CataloguedImage:
        raise ImageNotFound("There is no such picture.")

    async def recent(
        self, limit: int, before: tuple[datetime, str] | None = None, beginning: str = ""
    ) -> tuple[CataloguedImage, ...]:
        return ()


class NoLine(Pace):
    def place(self, operation_id: str, model: str, pictures: int) -> Place:
        raise AssertionError(NOBODY)


@dataclass
class Orders(Runner):
    """Writes down what is ordered, and refuses it."""

    taken: list[str]
    notebook: Notebook

    @property
    def running(self) -> Collection[str]:
        return ()

    async def start(self, operation_id: str) -> None:
        self.taken.append(operation_id)
        failure = Failure("rejected", NOBODY, "Call again.")
        await self.notebook.move(operation_id, "reserved", "released", failure=failure)

    async def ended(self, operation_id: str, within: float) -> bool:
        return True

    async def close(self) -> None: ...


@dataclass
class Files(Spools):
    """Keeps the jobs, which is what would be sent."""

    jobs: list[ImageJob]

    def open(self, operation_id: str) -> Spool:
        return File(operation_id, self.jobs)

    def operations(self) -> frozenset[str]:
        return frozenset()

    def probe(self) -> None: ...

    def prune(self, keep: Collection[str]) -> None: ...


@dataclass
class File(Spool):
    """One of them."""

    id_: str
    jobs: list[ImageJob]

    @property
    def operation_id(self) -> str:
        return self.id_

    def save_job(self, job: ImageJob) -> None:
        self.jobs.append(job)

    def bodies(self, route: Route, leg: int) -> tuple[Path, ...]:
        raise AssertionError

    def fetched(self, index: int) -> tuple[Path, ...]:
        raise AssertionError

    def received(self) -> Receipt | None:
        return None

    def torn(self) -> Receipt | None:
        return None

    def load_job(self) -> ImageJob:
        raise AssertionError

    def drop_job(self) -> None: ...

    def keep_partial(self, index: int, picture: EncodedPicture) -> None: ...

    def partial(self, index: int) -> PartialPicture | None:
        return None

    def note_upload(self, file_id: str) -> None: ...

    def uploads(self) -> tuple[str, ...]:
        return ()

    def drop_uploads(self) -> None: ...

    def discard(self) -> None: ...


class NoGateway(Gateway):
    """Nothing is sent where nobody carries out."""

    async def send(self, job: ImageJob, spool: Spool, tell: Tell) -> Receipt:
        raise AssertionError

    def outline(self, job: ImageJob) -> RequestOutline:
        return RequestOutline("POST", "images", {"prompt": job.prompt})

    async def complete(self, receipt: Receipt, spool: Spool) -> Receipt:
        raise AssertionError

    def read(self, receipt: Receipt) -> Answer:
        raise AssertionError

    async def tidy(self, spool: Spool) -> None:
        raise AssertionError


class Nowhere(ImageStore):
    """Has every folder, and no picture."""

    async def prepare(self, placement: Placement, expected_bytes: int) -> None: ...

    async def save(
        self,
        picture: EncodedPicture | bytes,
        placement: Placement,
        index: int,
        count: int,
        *,
        drawing: bool = False,
    ) -> StoredImage:
        return _stored()


class Free(Leases):
    """Leases that nobody else wants."""

    def take(self, name: str) -> bool:
        return True

    def give_back(self, name: str) -> None: ...

    def is_held(self, name: str) -> bool:
        return True

    def tidy(self, prefix: str) -> None: ...
