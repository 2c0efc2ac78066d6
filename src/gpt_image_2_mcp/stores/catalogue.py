"""The catalogue: every picture of ours by its id, read from the table that the journal writes."""

from __future__ import annotations

import re
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gpt_image_2_mcp.errors import ImageNotFound
from gpt_image_2_mcp.models import CataloguedImage, StoredImage
from gpt_image_2_mcp.picture_names import title_of
from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.stores.latest import SELECT
from gpt_image_2_mcp.stores.sqlite import Database, size_of, text_of

_ID: Final = re.compile(r"([\w-]{4,}?)(?:-(\d{1,3}))?", re.ASCII)
"""A beginning of an operation's id, of four characters or more, and perhaps the number of a picture."""


class SqliteCatalogue:
    """Reads only: a picture is entered in the transaction that ends its operation. `server` is whose latest
    picture comes before those of others.
    """

    def __init__(self, database: Database, server: str = "") -> None:
        self._database, self._server = database, server

    async def find(self, id_: str) -> CataloguedImage:
        parts = _ID.fullmatch(id_.strip().lower())
        beginning, number = parts.groups() if parts else ("", None)
        found = await self._beginning_with(beginning) if beginning else ()
        matching = [image for image in found if number is None or image.number == int(number)]
        if len(matching) == 1:
            return matching[0]
        if not matching:
            raise ImageNotFound(f"There is no picture with the id {clean(id_, 80)}.")
        raise _ambiguous(id_, matching)

    async def latest(self) -> CataloguedImage:
        query = (
            f"{SELECT} WHERE o.action != 'import' ORDER BY o.server = ? DESC, i.created_at DESC, i.id DESC "
            "LIMIT 1"
        )
        found = await self._select(query, self._server)
        if not found:
            raise ImageNotFound("No picture was made yet.", hint="Give a path, or make one first.")
        return found[0]

    async def recent(
        self, limit: int, before: tuple[datetime, str] | None = None, beginning: str = ""
    ) -> tuple[CataloguedImage, ...]:
        moment, id_ = (text_of(before[0]), before[1]) if before else ("~", "~")
        # The plus keeps SQLite from going by id, and so from sorting every picture there is to list a page.
        by_id = "i.id" if beginning else "+i.id"
        query = (
            f"{SELECT} WHERE (i.created_at, i.id) < (?, ?) AND {by_id} >= ? AND {by_id} < ? "
            "ORDER BY i.created_at DESC, i.id DESC LIMIT ?"
        )
        return await self._select(query, moment, id_, beginning, f"{beginning}~", limit)

    async def _beginning_with(self, beginning: str) -> tuple[CataloguedImage, ...]:
        query = f"{SELECT} WHERE i.id >= ? AND i.id < ? ORDER BY i.id LIMIT 100"
        return await self._select(query, beginning, f"{beginning}~")

    async def _select(self, query: str, *values: object) -> tuple[CataloguedImage, ...]:
        def read(db: sqlite3.Connection) -> tuple[CataloguedImage, ...]:
            return tuple(_image(row) for row in db.execute(query, values))

        return await self._database.run(read)


def _ambiguous(id_: str, matching: list[CataloguedImage]) -> ImageNotFound:
    one_call = len({image.operation_id for image in matching}) == 1
    names = [image.id if one_call else image.full_id for image in matching[:10]]
    return ImageNotFound(
        f"{len(matching)} pictures have ids that begin with {clean(id_, 80)}.",
        hint=f"Say which: {', '.join(names)}.",
    )


def _image(row: tuple[Any, ...]) -> CataloguedImage:
    id_, operation_id, action, prompt, path, size_bytes, mime_type, width, height, sha256, made = row
    return CataloguedImage(
        operation_id=operation_id,
        number=int(id_.rpartition("-")[2]),
        title=title_of(action, prompt),
        image=StoredImage(Path(path), size_bytes, mime_type, size_of(width, height), sha256),
        made_at=datetime.fromisoformat(made),
    )
