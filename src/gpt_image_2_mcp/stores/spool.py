"""An operation's files on the state disk: its inputs before it is sent, its raw answers as they arrive.

<id>.job, <id>.in.<n>    the request and its input pictures, until the call is sent
<id>.<route>.<leg>.part  an answer on its way
<id>.<route>.<leg>.resp  an answer that is whole and flushed: from here its pictures cannot be lost
<id>.fetched.<n>.resp     a picture that the answer named by its address: base64 text, as in an answer
<id>.partial-<n>.<ext>   a picture in the making, while its call is made and an hour longer
<id>.uploads             ids of files uploaded for it, a line each, until they are deleted again
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from pydantic import TypeAdapter

from gpt_image_2_mcp.contents import Content, KeptFile, whole
from gpt_image_2_mcp.errors import InvalidAnswer, StorageError
from gpt_image_2_mcp.image_formats.headers import read_header
from gpt_image_2_mcp.image_formats.layout import FORMATS, ImageHeader
from gpt_image_2_mcp.models import EncodedPicture, ImageJob, InputImage, PartialPicture, Receipt, Route
from gpt_image_2_mcp.stores._decoding import decoded_slices

KEEP_RAW_S: Final = 7 * 24 * 3600
"""How long the raw answer of a call that could not be finished is kept."""
KEEP_PARTIAL_S: Final = 3600
MAX_PARTIAL_BYTES: Final = 64 * 1024 * 1024
"""Of base64 text; one of 3840x2160 as PNG takes 10 to 20 MB."""
_OURS: Final = re.compile(
    r"[\w-]+\.(job|in\.\d+|uploads|(images|responses|fetched)\.\d+\.(part|resp))", re.ASCII
)
_PARTIAL: Final = re.compile(r"[\w-]+\.partial-\d+\.\w+", re.ASCII)
_REQUEST: Final = ("job", "in.")
_HEADER_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class FileSpool:
    """The files of one operation. `folders`: where to write, then where to go on when a disk is full."""

    operation_id: str
    folders: tuple[Path, ...]

    def bodies(self, route: Route, leg: int) -> tuple[Path, ...]:
        return tuple(folder / f"{self.operation_id}.{route}.{leg}.resp" for folder in self.folders)

    def fetched(self, index: int) -> tuple[Path, ...]:
        return tuple(folder / f"{self.operation_id}.fetched.{index}.resp" for folder in self.folders)

    def received(self) -> Receipt | None:
        """The whole answers there are; those of the last route, should a first one have been rejected."""
        return self._receipt("resp")

    def torn(self) -> Receipt | None:
        """Whole answers, and broken-off ones where there is no whole one."""
        return self._receipt("resp", "part")

    def _receipt(self, *kinds: str) -> Receipt | None:
        routes: tuple[Route, ...] = ("responses", "images")
        for route in routes:
            legs: dict[str, Path] = {}
            for kind in kinds:
                for path in self._longest_first(f"{route}.*.{kind}"):
                    # A death while an answer moved to the second folder leaves it in both.
                    legs.setdefault(path.stem, path)
            if legs:
                bodies = tuple(legs[stem] for stem in sorted(legs))
                return Receipt(route, bodies, torn="part" in kinds, fetched=self._fetched())
        return None

    def _fetched(self) -> tuple[tuple[int, Path], ...]:
        found = {int(path.stem.rpartition(".")[2]): path for path in self._longest_first("fetched.*.resp")}
        return tuple(sorted(found.items()))

    def _longest_first(self, pattern: str) -> list[Path]:
        found = [path for folder in self.folders for path in folder.glob(f"{self.operation_id}.{pattern}")]
        sizes = {path: path.stat().st_size for path in found}
        return sorted((path for path in found if sizes[path]), key=sizes.__getitem__, reverse=True)

    def save_job(self, job: ImageJob) -> None:
        """Keep the request for whichever process sends it; nobody sends it twice, so it is not flushed.

        Raises:
            StorageError: it cannot be written.
        """
        header = _JOB.dump_json(_with_data(job, repeat(b"")))
        parts = {"job": header} | {f"in.{number}": whole(file.data) for number, file in enumerate(job.files)}
        try:
            with _translated(self.folders[0]):
                self.folders[0].mkdir(mode=0o700, parents=True, exist_ok=True)
                for name, data in parts.items():
                    with self._opened(name, os.O_TRUNC) as file:
                        file.write(data)
        except StorageError:
            self.drop_job()
            raise

    def load_job(self) -> ImageJob:
        job = _JOB.validate_json((self.folders[0] / f"{self.operation_id}.job").read_bytes())
        parts = (self.folders[0] / f"{self.operation_id}.in.{number}" for number in range(len(job.files)))
        return _with_data(job, (KeptFile(part, part.stat().st_size) for part in parts))

    def drop_job(self) -> None:
        self._drop(_REQUEST)

    def note_upload(self, file_id: str) -> None:
        """Remember an uploaded file before it is used, so that a later process can delete it.

        Raises:
            StorageError: it cannot be written.
        """
        with _translated(self.folders[0]), self._opened("uploads", os.O_APPEND) as file:
            file.write(f"{file_id}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def uploads(self) -> tuple[str, ...]:
        path = self.folders[0] / f"{self.operation_id}.uploads"
        return tuple(path.read_text().split()) if path.exists() else ()

    def drop_uploads(self) -> None:
        self._drop(("uploads",))

    def keep_partial(self, index: int, picture: EncodedPicture) -> None:
        """Decode a picture in the making into a file of its own, in the place of an earlier one.

        Raises:
            InvalidAnswer: it is no picture, or far too large.
            StorageError: it cannot be written.
        """
        if picture.end - picture.start > MAX_PARTIAL_BYTES:
            raise InvalidAnswer(f"A partial picture takes more than {MAX_PARTIAL_BYTES >> 20} MB.")
        draft = self._partial(index, "new")
        try:
            with _translated(self.folders[0]):
                header = self._decoded(picture, draft.name.partition(".")[2])
                final = draft.replace(self._partial(index, header.format))
            for older in {*self._partials(index)} - {final}:
                _remove(older)
        finally:
            _remove(draft)

    def _decoded(self, picture: EncodedPicture, name: str) -> ImageHeader:
        head = b""
        with self._opened(name, os.O_TRUNC) as file, picture.body.open("rb") as body:
            for data in decoded_slices(body, picture):
                file.write(data)
                head += data[: max(_HEADER_BYTES - len(head), 0)]
        header = read_header(head)
        if header is None:
            raise InvalidAnswer("A partial picture is of no known format.")
        return header

    def partial(self, index: int) -> PartialPicture | None:
        """The picture in the making that was kept under that index, while it is kept."""
        for path in self._partials(index):
            with suppress(OSError):  # gone or replaced since the listing
                data = path.read_bytes()
                if header := read_header(data[:_HEADER_BYTES]):
                    return PartialPicture(data, header.mime_type)
        return None

    def _partials(self, index: int) -> list[Path]:
        return [path for kind in FORMATS if (path := self._partial(index, kind)).exists()]

    def _partial(self, index: int, kind: str) -> Path:
        return self.folders[0] / f"{self.operation_id}.partial-{index}.{kind}"

    def discard(self) -> None:
        """Remove everything but partial pictures: its pictures stand, or it was never sent."""
        self._drop((*_REQUEST, "uploads", "images.", "responses.", "fetched."))
        self._drop(("partial-",), ending=".new")  # a death left it half written

    def _opened(self, name: str, flag: int) -> BinaryIO:
        flags = os.O_WRONLY | os.O_CREAT | flag | getattr(os, "O_BINARY", 0)
        return os.fdopen(os.open(self.folders[0] / f"{self.operation_id}.{name}", flags, 0o600), "wb")

    def _drop(self, beginnings: tuple[str, ...], ending: str = "") -> None:
        """Remove the files whose names go on like that behind the operation's id."""
        found = tuple(f"{self.operation_id}.{beginning}" for beginning in beginnings)
        for folder in self.folders:
            for name in _names(folder):
                if name.startswith(found) and name.endswith(ending):
                    _remove(folder / name)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - a name costs a tenth of a Path, and most are not ours
    except OSError:  # the second one, where nothing went there yet
        return []


def _remove(path: Path) -> None:
    with suppress(OSError):  # what cannot go now goes later
        path.unlink()


_JOB: Final = TypeAdapter(ImageJob)


def _with_data(job: ImageJob, data: Iterable[Content]) -> ImageJob:
    """`job` with other contents of its files, in their order."""
    files = (replace(file, data=each) for file, each in zip(job.files, data, strict=False))
    images = tuple(next(files) if isinstance(image, InputImage) else image for image in job.images)
    mask = next(files) if job.mask else None
    return replace(job, images=images, mask=mask, markup=next(files) if job.markup else None)


class SpoolFolder:
    """The spools of all operations, in the state folder and, when its disk is full, in a second one."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def open(self, operation_id: str) -> FileSpool:
        first, *others = self._folders
        return FileSpool(operation_id, (first, *(folder for folder in others if _is_ours(folder))))

    def operations(self) -> frozenset[str]:
        files = (path.name for folder in self._folders for path in folder.glob("*"))
        return frozenset(name.partition(".")[0] for name in files if _OURS.fullmatch(name))

    def probe(self) -> None:
        """Write a file that goes at once.

        Raises:
            StorageError: it cannot be written.
        """
        (folder, *_) = self._folders
        with _translated(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with TemporaryFile(dir=folder) as file:
                file.write(bytes(4096))

    def prune(self, keep: Collection[str]) -> None:
        """Let go of raw answers that nobody came back for in a week, save of the operations in `keep`, and of
        old partial pictures.
        """
        now = time.time()
        for path in (path for folder in self._folders for path in folder.glob("*")):
            with suppress(OSError):  # gone since the listing, or not to be removed: then later
                ours = _OURS.fullmatch(path.name) and path.name.partition(".")[0] not in keep
                kept_s = KEEP_RAW_S if ours else KEEP_PARTIAL_S
                if (ours or _PARTIAL.fullmatch(path.name)) and path.stat().st_mtime < now - kept_s:
                    path.unlink()


def _is_ours(folder: Path) -> bool:
    """Whether a folder in a place that all may write is nobody else's: not there yet, or ours alone."""
    try:
        found = folder.lstat()
    except OSError:
        return True
    owner = os.getuid() if hasattr(os, "getuid") else found.st_uid
    return stat.S_ISDIR(found.st_mode) and found.st_uid == owner and not found.st_mode & 0o077


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The state folder {folder.parent} cannot be written ({error.strerror}).",
            hint="Set GPT_IMAGE_2_STATE_DIR to a folder that can be written; nothing was sent.",
        ) from None
