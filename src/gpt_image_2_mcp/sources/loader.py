"""Reads an input image by the kind of its source and checks its bytes before anything is sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from anyio.to_thread import run_sync

from gpt_image_2_mcp.capabilities import MAX_INPUT_BYTES
from gpt_image_2_mcp.errors import InputError, PictureChanged
from gpt_image_2_mcp.image_formats.prescan import cleaned, prescan
from gpt_image_2_mcp.limits import MB, Limits
from gpt_image_2_mcp.models import ImageReference, InputImage, StoredImage
from gpt_image_2_mcp.picture_names import AT_HAND
from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.roots import Roots
from gpt_image_2_mcp.sources.by_name import ByName
from gpt_image_2_mcp.sources.data_urls import decode_data_url
from gpt_image_2_mcp.sources.https import HttpsFetcher
from gpt_image_2_mcp.sources.local import local_path, read_below, read_own
from gpt_image_2_mcp.sources.marks import content_mark, sha256_mark

READ_AT_ONCE: Final = 4
"""Inputs of one call; more would stand in memory before their total is known."""
_FILE_ID: Final = re.compile(r"file-[A-Za-z0-9_-]{6,100}")
"""Of the Files API: `file-` and letters. A picture of that name has an extension too."""


class _Found(NamedTuple):
    """A picture's bytes, where they were found, and their mark where that is known without hashing them."""

    data: bytes
    origin: str
    mark: str | None = None


_Read = Callable[[], _Found]
"""Reads a picture. Blocks; raises InputError."""


class Sources:
    """Loader of input images; relative paths count from `working_dir`, and all must lead below `roots`.

    Without `names` none has a meaning. Without `local_paths` no file is read that a caller names, nor the
    clipboard: over HTTP they would be the server's, not theirs. With `keep_metadata` pictures are sent with
    theirs. With `pass_urls` OpenAI fetches public URLs itself.
    """

    def __init__(
        self,
        working_dir: Path,
        fetcher: HttpsFetcher,
        roots: Roots,
        names: ByName | None = None,
        *,
        local_paths: bool = True,
        keep_metadata: bool = False,
        pass_urls: bool = False,
        limits: Limits = Limits(),
    ) -> None:
        self._working_dir, self._roots, self._local_paths = working_dir, roots, local_paths
        self._fetcher, self._names = fetcher, names
        self._keep_metadata, self._pass_urls, self._limits = keep_metadata, pass_urls, limits

    async def load(self, source: str) -> InputImage:
        return await run_sync(self._load, await self._find(source))

    def _load(self, read: _Read) -> InputImage:
        found, most = read(), self._limits.each_input
        if len(found.data) > most:
            raise InputError(
                f"{found.origin} is larger than {-(-most // MB)} MB.",
                hint="Give a smaller picture; nothing was sent.",
            )
        return replace(self._checked(found), origin=found.origin)

    def refers(self, source: str) -> bool:
        return self._reference(source) is not None

    def _reference(self, source: str) -> ImageReference | None:
        """What OpenAI is told of a picture that it has, or fetches, itself."""
        if _FILE_ID.fullmatch(source):
            return ImageReference("file_id", source)
        if self._pass_urls and source[:6].lower() == "https:" and self._fetcher.is_public(source):
            return ImageReference("image_url", source)
        return None

    async def load_all(
        self, sources: Sequence[str], overlays: Sequence[str] = ()
    ) -> tuple[list[InputImage | ImageReference], list[InputImage]]:
        if len(sources) > self._limits.inputs:
            raise InputError(f"At most {self._limits.inputs} pictures are taken, not {len(sources)}.")
        gate, left = asyncio.Semaphore(READ_AT_ONCE), self._limits.all_inputs

        async def load(source: str) -> InputImage:
            nonlocal left
            async with gate:
                image = await self.load(source)
                left -= len(image.data)
            if left < 0:
                raise InputError(
                    f"The pictures are larger than {self._limits.all_inputs // MB} MB together.",
                    hint="Give fewer or smaller ones; nothing was sent.",
                )
            return image

        references = [self._reference(source) for source in sources]
        read = [source for source, known in zip(sources, references, strict=True) if known is None]
        tasks = [asyncio.ensure_future(load(source)) for source in (*read, *overlays)]
        try:
            loaded = await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # what one refusal has decided need not be read
                task.cancel()
        pictures = iter(loaded)
        return [known or next(pictures) for known in references], list(pictures)

    async def load_stored(self, image: StoredImage) -> InputImage:
        return await run_sync(lambda: self._checked(_read_stored(image)))

    async def read_stored(self, image: StoredImage) -> bytes:
        return (await run_sync(_read_stored, image)).data

    def _checked(self, found: _Found) -> InputImage:
        return check_picture(*found, keep_metadata=self._keep_metadata)

    async def _find(self, source: str) -> _Read:
        """How a picture is read. What is left to do blocks, and is done at one go with checking it."""
        if source[:40].lower() in AT_HAND and not self._local_paths:
            raise _not_over_http(source, "of the server's machine")
        match await self._names.find(source) if self._names else None:
            case bytes() as data:
                return partial(_Found, data, "The clipboard's picture")
            case StoredImage() as image:
                return partial(_read_stored, image)
            case Path() as path:
                return partial(self._read_file, path, clean(str(path), 300))
            case None:
                return await self._find_located(source)

    async def _find_located(self, source: str) -> _Read:
        scheme = source[:8].lower()
        if scheme.startswith("data:"):
            return lambda: _Found(decode_data_url(source, self._limits.data_url), name_of(source))
        if scheme.startswith("https:"):
            return partial(_Found, await self._fetcher.fetch(source), name_of(source))
        path = local_path(source, self._working_dir)
        if path is None:
            raise InputError(f"{name_of(source)} is of a kind that is not read: only https URLs are fetched.")
        if not self._local_paths:
            raise _not_over_http(source, "a path")
        return partial(self._read_file, path, name_of(source))

    def _read_file(self, path: Path, origin: str) -> _Found:
        reading = read_below(self._roots, path)
        return _Found(reading.data, origin, reading.mark)


def _not_over_http(source: str, what: str) -> InputError:
    return InputError(
        f"{name_of(source)} is {what}, and none is read for a client over HTTP.",
        hint="Give the picture as an https:// or data: URL; nothing was sent. "
        "GPT_IMAGE_2_HTTP_LOCAL_PATHS=1 in the server's settings allows paths on its machine.",
    )


def _read_stored(image: StoredImage) -> _Found:
    hint = "Put it back, or go on from where it is now: edit_image and start_edit_session take its path."
    try:
        data = read_own(image.path)
    except InputError:
        raise PictureChanged(f"The picture {image.path} is no longer there.", hint=hint) from None
    if content_mark(data) != sha256_mark(image.sha256):
        raise PictureChanged(f"The picture {image.path} is not the one that was saved.", hint=hint)
    return _Found(data, str(image.path), sha256_mark(image.sha256))


def name_of(source: str) -> str:
    """A source as errors name it: data URLs by their kind alone, the rest shortened."""
    return "The data: URL" if source[:5].lower() == "data:" else clean(source, 200)


def check_picture(
    data: bytes, name: str, mark: str | None = None, *, keep_metadata: bool = False
) -> InputImage:
    """The picture in `data`, as it may be sent: without metadata unless that is kept, and never with what is
    behind the picture's end. Its size is the one it is shown in, on which masks are drawn. Blocks.

    Raises:
        InputError: it is too large or no picture that the API takes.
    """
    if len(data) > MAX_INPUT_BYTES:
        raise InputError(f"{name} is larger than 50 MB.", hint="Give a smaller picture; nothing was sent.")
    scan = prescan(data, name)
    sent = data[: scan.end] if keep_metadata else cleaned(data, scan)
    header = scan.header
    return InputImage(
        sent,
        f"image.{header.format}",
        header.mime_type,
        scan.size_as_shown,
        header.has_alpha,
        mark or content_mark(data),
    )
