"""Pictures as resources: the latest listed; each read by its id, whole, as a preview, or while it is made."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from mcp.types import (
    BlobResourceContents,
    ListResourcesResult,
    ListResourceTemplatesResult,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceLink,
    ResourceTemplate,
)

from gpt_image_2_mcp.errors import ImageNotFound, ImageTooLarge, UndecodablePicture
from gpt_image_2_mcp.image_formats.svg import MIME_TYPE as SVG
from gpt_image_2_mcp.models import CataloguedImage
from gpt_image_2_mcp.picture_names import address_of
from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.results import ImageFile
from gpt_image_2_mcp.server.opening import Opening
from gpt_image_2_mcp.server.profiles import Profile
from gpt_image_2_mcp.server.refusals import Context
from gpt_image_2_mcp.server.shelf import resource

if TYPE_CHECKING:
    from gpt_image_2_mcp.library import Library

Encoded = tuple[bytes, str]
"""A picture's bytes and their MIME type."""
ProfileOf = Callable[[Context], Profile]
"""What the client of a request takes."""

PICTURE: Final = "image://{id}"
PREVIEW: Final = "image://{id}/preview"
PARTIAL: Final = "image://{operation}/partial/{i}"
PREVIEW_BYTES: Final = 256 * 1024
"""Of a preview, when the client would take more: enough for a sharp picture of 1024 pixels."""
_URI: Final = re.compile(r"image://([\w-]+)(?:/(preview)|/partial/(\d))?/?", re.ASCII | re.IGNORECASE)
_ENVELOPE_BYTES: Final = 2048
"""Room for what stands around a picture's base64 in an answer, the server's name and version included."""
_FOREVER_MS: Final = 30 * 86_400_000


def links_to(images: Sequence[ImageFile]) -> list[ResourceLink]:
    """A link to each picture of a result, by which a client can fetch what was not sent along."""
    return [
        ResourceLink(
            type="resource_link",
            uri=address_of(image.id),
            name=image.filename,
            mime_type=image.mime_type,
            size=image.size_bytes,
        )
        for image in images
    ]


class Resources:
    """The handlers of resources/list, resources/templates/list and resources/read."""

    def __init__(self, service: Opening, profile_of: ProfileOf, decoding: CapacityLimiter) -> None:
        self._service, self._profile_of, self._decoding = service, profile_of, decoding

    async def _library(self) -> Library:
        return (await self._service()).library

    async def recent(self, _context: Context, params: PaginatedRequestParams | None) -> ListResourcesResult:
        """The latest pictures, the newest first, a page at a time."""
        library = await self._library()
        page = await library.page(params.cursor if params else None)
        resources = [_resource(image) for image in page.images]
        return ListResourcesResult(resources=resources, next_cursor=page.following)

    async def templates(
        self, _context: Context, _params: PaginatedRequestParams | None
    ) -> ListResourceTemplatesResult:
        return ListResourceTemplatesResult(resource_templates=list(TEMPLATES))

    async def read(self, context: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """A picture's bytes, if the client takes so many.

        Raises:
            ImageNotFound, OperationNotFound, PartialNotFound, PictureChanged, ImageTooLarge,
            UndecodablePicture
        """
        parts = _URI.fullmatch(params.uri)
        if parts is None:
            raise ImageNotFound(f"{clean(params.uri, 200)} is no address of a picture.")
        id_, as_preview, partial = parts.groups()
        profile = self._profile_of(context)
        room = (profile.cap - _ENVELOPE_BYTES) * 3 // 4
        if partial is not None:
            data, mime_type = await self._read_partial(id_, int(partial), room, profile)
        elif as_preview:
            data, mime_type = await self._read_preview(id_, room, profile)
        else:
            data, mime_type = await self._read_whole(id_, room)
        text = await run_sync(_encoded, data)
        return ReadResourceResult(
            contents=[BlobResourceContents(uri=params.uri, mime_type=mime_type, blob=text)],
            # A saved picture never changes: nothing is ever written over it.
            ttl_ms=0 if partial is not None else _FOREVER_MS,
            cache_scope="private",
        )

    async def _read_whole(self, id_: str, room: int) -> Encoded:
        library = await self._library()
        found = await library.find(id_)
        if found.image.size_bytes > room:
            raise _too_large(found)
        return await library.read(found), found.image.mime_type

    async def _read_preview(self, id_: str, room: int, profile: Profile) -> Encoded:
        library = await self._library()
        found = await library.find(id_)
        if found.image.mime_type == SVG:
            raise _drawn(found)
        data = await library.read(found)
        return await self._made_small(data, min(room, PREVIEW_BYTES), profile)

    async def _read_partial(self, operation_id: str, index: int, room: int, profile: Profile) -> Encoded:
        data, mime_type = await (await self._service()).partial(operation_id, index)
        return (data, mime_type) if len(data) <= room else await self._made_small(data, room, profile)

    async def _made_small(self, data: bytes, budget: int, profile: Profile) -> Encoded:
        return await run_sync(_small, data, budget, profile, limiter=self._decoding)


def _encoded(data: bytes) -> str:
    import pybase64

    return pybase64.b64encode_as_string(data)


def _small(data: bytes, budget: int, profile: Profile) -> Encoded:
    """The picture in at most `budget` bytes, as this client can show it."""
    from gpt_image_2_mcp.pictures import preview

    made = preview(data, budget, webp=profile.webp, max_edge=profile.max_edge)
    if made is None:
        raise ImageTooLarge("No preview of the picture is small enough for this client.")
    return made.data, made.mime_type


TEMPLATES: Final = (
    ResourceTemplate(
        uri_template=PICTURE,
        name="picture",
        title="Picture",
        description="A picture that was made, as it was saved.",
    ),
    ResourceTemplate(
        uri_template=PREVIEW,
        name="preview",
        title="Preview",
        description="The picture made small enough for the client.",
    ),
    ResourceTemplate(
        uri_template=PARTIAL,
        name="partial",
        title="Partial picture",
        description="An unfinished picture of an operation under way, from 0.",
    ),
)


def _resource(image: CataloguedImage) -> Resource:
    file = image.image
    told = resource(
        image.id, image.title, file.path, file.size, file.mime_type, file.size_bytes, image.made_at
    )
    return Resource.model_validate(told)


def _drawn(image: CataloguedImage) -> UndecodablePicture:
    return UndecodablePicture(
        "The picture is an SVG file, which is not rendered here, so there is no preview of it.",
        hint=f"Read {address_of(image.id)}, or open the file: {image.image.path}.",
    )


def _too_large(image: CataloguedImage) -> ImageTooLarge:
    smaller = "" if image.image.mime_type == SVG else f"Read {address_of(image.id)}/preview, or open"
    return ImageTooLarge(
        f"The picture has {image.image.size_bytes / 1024**2:.1f} MiB, more than this client takes at once.",
        hint=f"{smaller or 'Open'} the file: {image.image.path}.",
    )
