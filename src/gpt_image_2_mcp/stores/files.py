"""Pictures as files: decoded in slices to a temporary name, flushed, then linked to a name nobody has."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import pybase64
from anyio.to_thread import run_sync

from gpt_image_2_mcp.errors import InvalidAnswer, StorageError
from gpt_image_2_mcp.image_headers import ImageHeader, read_header
from gpt_image_2_mcp.models import EncodedPicture, Placement, StoredImage

_SLICE: Final = 1024 * 1024
_HEADER_BYTES: Final = 256 * 1024
_NAME_DIGITS: Final = (6, 10, 16, 32)
"""How much of a placement's token a name shows; more when the shorter one is taken."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A decoded picture under its temporary name."""

    path: Path
    header: ImageHeader
    size_bytes: int
    sha256: str


class FileImageStore:
    """Writes pictures; all disk work runs in worker threads."""

    async def prepare(self, folder: Path, expected_bytes: int) -> None:
        await run_sync(_prove_writable, folder, expected_bytes)

    async def save(
        self, picture: EncodedPicture, placement: Placement, index: int, count: int
    ) -> StoredImage:
        return await run_sync(_save, picture, placement, index, count)


def _prove_writable(folder: Path, expected_bytes: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Three times over: the raw answer, the picture, and some air for everybody else.
        if shutil.disk_usage(folder).free < 3 * expected_bytes:
            raise OSError(errno.ENOSPC, f"less than {3 * expected_bytes >> 20} MB free")
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise _unwritable(folder, error, "nothing was sent") from None


def _unwritable(folder: Path, error: OSError, what_of_it: str) -> StorageError:
    return StorageError(
        f"The folder {folder} cannot be written ({error.strerror or error}).",
        hint=f"Choose another output_dir or set GPT_IMAGE_2_OUTPUT_DIR; {what_of_it}.",
    )


def _save(picture: EncodedPicture, placement: Placement, index: int, count: int) -> StoredImage:
    try:
        placement.folder.mkdir(parents=True, exist_ok=True)
        draft = _decode(picture, placement, index)
        try:
            final = _publish(draft, placement, index, count)
        finally:
            draft.path.unlink(missing_ok=True)
        _sync_folder(placement.folder)
    except OSError as error:
        raise _unwritable(placement.folder, error, "the answer itself was kept") from None
    return StoredImage(final, draft.size_bytes, draft.header.mime_type, draft.header.size, draft.sha256)


def _decode(picture: EncodedPicture, placement: Placement, index: int) -> _Draft:
    # One name a picture: whoever goes on after a death finds it. It is removed and never written over, for it
    # may be the second name of a picture that has its final one.
    path = placement.folder / f".{placement.token}-{index}.part"
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file, picture.body.open("rb") as body:
            digest, head, total = _copy(_decoded_slices(body, picture), file)
            file.flush()
            os.fsync(file.fileno())
        header = read_header(head)
        if header is None:
            raise InvalidAnswer("One picture of the answer is not a picture: its bytes are no known format.")
        return _Draft(path, header, total, digest)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _copy(slices: Iterator[bytes], file: BinaryIO) -> tuple[str, bytes, int]:
    digest, head, total = hashlib.sha256(), b"", 0
    for data in slices:
        file.write(data)
        digest.update(data)
        head += data[: max(_HEADER_BYTES - len(head), 0)]
        total += len(data)
    return digest.hexdigest(), head, total


def _decoded_slices(body: BinaryIO, picture: EncodedPicture) -> Iterator[bytes]:
    """The picture's bytes, 768 KiB at a time; strict: padding only at the end, no stray characters."""
    body.seek(picture.start)
    remaining = picture.end - picture.start
    try:
        while remaining > 0:
            text = body.read(min(_SLICE, remaining))
            remaining -= len(text)
            if b"\\" in text:  # some servers escape "/" as "\/": read on as one JSON string
                whole = b'"' + text + body.read(remaining) + b'"'
                text, remaining = json.loads(whole).encode("ascii"), 0
            if not text or (remaining and text.endswith(b"=")):
                raise ValueError("padding before the end")
            yield pybase64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidAnswer("One picture of the answer is damaged: its base64 text is not valid.") from None


def _publish(draft: _Draft, placement: Placement, index: int, count: int) -> Path:
    """Give the draft the first of its names that is free, or that already holds this very picture."""
    for digits in _NAME_DIGITS:
        name = placement.filename(draft.header.format, index, count, digits=digits)
        final = placement.folder / name
        try:
            _link(draft.path, final)
        except FileExistsError:
            if not final.stat().st_size:  # whoever took the name for this picture died before the move
                draft.path.replace(final)
            elif _sha256(final) != draft.sha256:
                continue
        return final
    raise StorageError(f"Every name for the picture in {placement.folder} is taken.")


def _link(draft: Path, final: Path) -> None:
    try:
        os.link(draft, final)
    except FileExistsError:
        raise
    except OSError:
        # No hard links on this file system (exFAT, some network folders): take the name, then move onto it.
        os.close(os.open(final, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            draft.replace(final)
        except OSError:
            final.unlink()
            raise


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder to flush it
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
