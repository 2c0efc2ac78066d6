"""Pictures as files: decoded in slices to a temporary name, flushed, then linked to a name nobody has."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import InvalidAnswer, StorageError
from gpt_image_2_mcp.image_formats import gif, svg
from gpt_image_2_mcp.image_formats.gif import Animation
from gpt_image_2_mcp.image_formats.headers import read_header
from gpt_image_2_mcp.models import EncodedPicture, Placement, StoredImage
from gpt_image_2_mcp.roots import Roots, closed_folders, real_path
from gpt_image_2_mcp.stores._decoding import decoded_slices
from gpt_image_2_mcp.walking import Folder, opened_folder

_HEADER_BYTES: Final = 256 * 1024
_NAME_DIGITS: Final = (6, 10, 16, 32)
"""How much of a placement's token a name shows; more when the shorter one is taken."""
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class FileImageStore:
    """Writes pictures; all disk work runs in worker threads.

    `closed` are folders that nothing is written to unless a placement's root lies in there itself.
    """

    def __init__(self, closed: tuple[str, ...] | None = None) -> None:
        self._closed = closed_folders() if closed is None else closed

    async def prepare(self, placement: Placement, expected_bytes: int) -> None:
        await run_sync(self._prove_writable, placement, expected_bytes)

    async def save(
        self,
        picture: EncodedPicture | bytes,
        placement: Placement,
        index: int,
        count: int,
        *,
        drawing: bool = False,
    ) -> StoredImage:
        return await run_sync(self._save, picture, placement, index, count, drawing)

    def _prove_writable(self, placement: Placement, expected_bytes: int) -> None:
        with self._opened(placement, "nothing was sent") as folder:
            # Three times over: the raw answer, the picture, and some air for everybody else.
            if folder.free_bytes() < 3 * expected_bytes:
                raise OSError(errno.ENOSPC, f"less than {3 * expected_bytes >> 20} MB free")
            with os.fdopen(folder.open_nameless(), "wb") as probe:
                probe.write(b"\0" * 4096)
                probe.flush()
                os.fsync(probe.fileno())

    def _save(
        self, picture: EncodedPicture | bytes, placement: Placement, index: int, count: int, drawing: bool
    ) -> StoredImage:
        kept = "nothing was sent" if isinstance(picture, bytes) else "the answer itself was kept"
        with self._opened(placement, kept) as folder:
            draft = _decode(picture, folder, f".{placement.token}-{index}.part", drawing)
            try:
                final = _publish(draft, folder, placement, index, count)
            finally:
                folder.remove(draft.path.name)
            folder.sync()
        return replace(draft, path=placement.folder / final)

    @contextmanager
    def _opened(self, placement: Placement, what_of_it: str) -> Iterator[Folder]:
        """The folder where it leads now, which must still be below its root; what fails is translated."""
        asked, root = placement.folder, placement.root
        try:
            place = Roots((root or real_path(asked),), self._closed).find(asked)
            if place is None:
                raise StorageError(
                    f"The folder {asked} no longer leads below {root}.",
                    hint=f"A link was put in its way: take that out; {what_of_it}.",
                )
            with opened_folder(place.real) as folder:
                yield folder
        except OSError as error:
            raise StorageError(
                f"The folder {asked} cannot be written ({error.strerror or error}).",
                hint=f"Choose another output_dir or set GPT_IMAGE_2_OUTPUT_DIR; {what_of_it}.",
            ) from None


def _decode(picture: EncodedPicture | bytes, folder: Folder, name: str, drawing: bool) -> StoredImage:
    """The picture under a temporary name."""
    # One name a picture: whoever goes on after a death finds it. It is removed and never written over, for it
    # may be the second name of a picture that has its final one.
    folder.remove(name)
    handle = folder.open(name, _NEW)
    try:
        with os.fdopen(handle, "wb") as file, _slices(picture) as slices:
            digest, head, total = _copy(slices, file)
            file.flush()
            os.fsync(file.fileno())
        header = read_header(head)
        if header is None and not (drawing and svg.is_svg(head)):
            raise InvalidAnswer("One picture of the answer is not a picture: its bytes are no known format.")
        mime_type, size = (header.mime_type, header.size) if header else (svg.MIME_TYPE, None)
        frames = _animation(folder, name) if mime_type == "image/gif" else None
        return StoredImage(Path(name), total, mime_type, size, digest, frames)
    except BaseException:
        folder.remove(name)
        raise


def _animation(folder: Folder, name: str) -> Animation | None:
    with os.fdopen(folder.open(name, os.O_RDONLY), "rb") as file:
        return gif.read_animation(file)


def _copy(slices: Iterator[bytes], file: BinaryIO) -> tuple[str, bytes, int]:
    digest, head, total = hashlib.sha256(), b"", 0
    for data in slices:
        file.write(data)
        digest.update(data)
        head += data[: max(_HEADER_BYTES - len(head), 0)]
        total += len(data)
    return digest.hexdigest(), head, total


@contextmanager
def _slices(picture: EncodedPicture | bytes) -> Iterator[Iterator[bytes]]:
    if isinstance(picture, bytes):
        yield iter([picture])
    else:
        with picture.body.open("rb") as body:
            yield decoded_slices(body, picture)


def _publish(draft: StoredImage, folder: Folder, placement: Placement, index: int, count: int) -> str:
    """Give the draft the first of its names that is free, or that already holds this very picture."""
    for digits in _NAME_DIGITS:
        name = placement.filename(draft.format, index, count, digits=digits)
        try:
            _link(draft.path.name, name, folder)
        except FileExistsError:
            holder = folder.status(name)
            if not stat.S_ISREG(holder.st_mode):
                continue
            if not holder.st_size:  # whoever took the name for this picture died before the move
                folder.move(draft.path.name, name)
            elif _sha256(folder, name) != draft.sha256:
                continue
        return name
    raise StorageError(f"Every name for the picture in {placement.folder} is taken.")


def _link(draft: str, final: str, folder: Folder) -> None:
    try:
        folder.link(draft, final)
    except FileExistsError:
        raise
    except OSError:
        # No hard links on this file system (exFAT, some network folders): take the name, then move onto it.
        os.close(folder.open(final, _NEW, 0o600))
        try:
            folder.move(draft, final)
        except OSError:
            folder.remove(final)
            raise


def _sha256(folder: Folder, name: str) -> str:
    with os.fdopen(folder.open(name, os.O_RDONLY), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
