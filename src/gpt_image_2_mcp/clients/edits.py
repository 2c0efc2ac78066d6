"""What is to change in a configuration file, apart from how its format is written."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpt_image_2_mcp.errors import UnreadableSetup


@dataclass(frozen=True, slots=True)
class Put:
    """`value` at `path`, in the place of what stands there; with `append` behind what a list holds there."""

    path: tuple[str, ...]
    value: Any
    append: bool = False


def carried_out(document: Mapping[str, Any], puts: Sequence[Put]) -> dict[str, Any]:
    """What the file has to hold when the puts are made: by it the text is checked.

    Raises:
        UnreadableSetup: a path leads through something that is no table.
    """
    result = copy.deepcopy(dict(document))
    for put in puts:
        table = result
        for key in put.path[:-1]:
            table = table.setdefault(key, {})
            if not isinstance(table, dict):
                raise UnreadableSetup(f"`{key}` in the file is no table.")
        if put.append:
            held = table.setdefault(put.path[-1], [])
            if not isinstance(held, list):
                raise UnreadableSetup(f"`{put.path[-1]}` in the file is no list.")
            held.append(put.value)
        else:
            table[put.path[-1]] = put.value
    return result


def at(document: Any, path: Sequence[str]) -> Any:
    """What stands at `path`; None if nothing does."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document
