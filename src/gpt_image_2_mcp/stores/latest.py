"""The latest pictures, read from the state file without a service; imports next to nothing."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gpt_image_2_mcp.picture_names import image_id, title_of
from gpt_image_2_mcp.sizes import Size

SELECT: Final = """
SELECT i.id, i.operation_id, o.action, o.prompt, i.path, i.size_bytes, i.mime_type, i.width, i.height,
       i.sha256, i.created_at
FROM images i JOIN operations o ON o.id = i.operation_id
"""
_WITHIN_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Shelved:
    """What is listed of a picture; `size` is None for a drawing."""

    id: str
    full_id: str
    title: str
    path: Path
    size_bytes: int
    mime_type: str
    size: Size | None
    made_at: datetime


def latest(state_dir: Path, most: int) -> tuple[Shelved, ...] | None:
    """So many pictures, the newest first; None where only the whole service can tell. Blocks.

    It reads what is there: a state file that is damaged, in use, or of another version is not its business.
    """
    path = state_dir / "state.sqlite3"
    try:
        if not path.exists():
            return ()
    except OSError:  # a folder above that may not be searched
        return None
    import sqlite3

    query = f"{SELECT} ORDER BY i.created_at DESC, i.id DESC LIMIT ?"
    address = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_WITHIN_S)) as db:
            return tuple(_shelved(*row) for row in db.execute(query, (most,)))
    except (sqlite3.Error, ValueError, TypeError):
        return None


def _shelved(
    id_: str,
    operation_id: str,
    action: str,
    prompt: str,
    path: str,
    size_bytes: int,
    mime_type: str,
    width: int,
    height: int,
    _sha256: str,
    made: str,
) -> Shelved:
    number = int(id_.rpartition("-")[2])
    return Shelved(
        image_id(operation_id, number),
        f"{operation_id}-{number}",
        title_of(action, prompt),
        Path(path),
        size_bytes,
        mime_type,
        Size(width, height) if width and height else None,
        datetime.fromisoformat(made),
    )
