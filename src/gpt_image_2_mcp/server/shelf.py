"""What a client is told of the latest pictures, with or without a service; imports next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gpt_image_2_mcp.paging import PAGE, cursor_after
from gpt_image_2_mcp.picture_names import address_of
from gpt_image_2_mcp.redaction import clean
from gpt_image_2_mcp.sizes import Size

if TYPE_CHECKING:
    from gpt_image_2_mcp.stores.latest import Shelved

_TITLE_CHARS: Final = 60
Latest = Callable[[int], "Sequence[Shelved] | None"]


def resource(
    id_: str, title: str, path: Path, size: Size | None, mime_type: str, size_bytes: int, made_at: datetime
) -> dict[str, Any]:
    """A picture as it stands on the wire."""
    return {
        "name": path.name,
        # A person looks for "the fox". Prompts stay out of logs, not out of their writer's own client.
        "title": clean(title, _TITLE_CHARS),
        "uri": address_of(id_),
        "description": f"{size or 'SVG drawing'}, {made_at.astimezone():%Y-%m-%d %H:%M}",
        "mimeType": mime_type,
        "size": size_bytes,
        "annotations": {"audience": ["user"], "lastModified": made_at.isoformat()},
    }


def first_page(latest: Latest) -> dict[str, Any] | None:
    """The result of resources/list; None where only a service can tell."""
    found = latest(PAGE + 1)
    if found is None:
        return None
    shown = found[:PAGE]
    resources = [
        resource(one.id, one.title, one.path, one.size, one.mime_type, one.size_bytes, one.made_at)
        for one in shown
    ]
    more = {"nextCursor": cursor_after(shown[-1].made_at, shown[-1].full_id)} if len(found) > PAGE else {}
    return {"resources": resources} | more
