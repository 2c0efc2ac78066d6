"""The pictures that were made: found by id, listed a page at a time, and read back as they were saved."""

from __future__ import annotations

from dataclasses import dataclass

from gpt_image_2_mcp.models import CataloguedImage
from gpt_image_2_mcp.paging import PAGE, cursor_after, position
from gpt_image_2_mcp.ports import Catalogue, SourceLoader


@dataclass(frozen=True, slots=True)
class Page:
    """Pictures, the newest first; `following` is the cursor of the next page, None where there is none."""

    images: tuple[CataloguedImage, ...]
    following: str | None


class Library:
    """Every picture of this machine's state folder, whichever server made it."""

    def __init__(self, catalogue: Catalogue, sources: SourceLoader) -> None:
        self._catalogue, self._sources = catalogue, sources

    async def find(self, id_: str) -> CataloguedImage:
        """A picture by its id or an unmistakable beginning of it.

        Raises:
            ImageNotFound: there is none, or several begin so.
        """
        return await self._catalogue.find(id_)

    async def read(self, image: CataloguedImage) -> bytes:
        """The picture's file.

        Raises:
            PictureChanged: it is gone or is not the one that was saved.
        """
        return await self._sources.read_stored(image.image)

    async def page(self, cursor: str | None = None) -> Page:
        """The latest pictures, or those that follow a page.

        Raises:
            InvalidRequest: the cursor is none that a page gave.
        """
        images = await self._catalogue.recent(PAGE + 1, position(cursor) if cursor else None)
        shown = images[:PAGE]
        following = cursor_after(shown[-1].made_at, shown[-1].full_id) if len(images) > PAGE else None
        return Page(shown, following)

    async def ids(self, beginning: str, limit: int) -> tuple[str, ...]:
        """The ids of the latest pictures that have that beginning."""
        said = beginning.strip().lower()
        found = await self._catalogue.recent(limit, beginning=said.partition("-")[0])
        return tuple(image.id for image in found if image.id.startswith(said))
