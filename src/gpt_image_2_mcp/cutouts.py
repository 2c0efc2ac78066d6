"""Whether pictures that were asked for with a transparent background have one, by their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from gpt_image_2_mcp.errors import UndecodablePicture
from gpt_image_2_mcp.models import StoredImage
from gpt_image_2_mcp.pictures import Transparency, transparency

REMEDY: Final = (
    "To have it cut out, edit it with `background` transparent; gpt-image-2.5 models are the surest at that."
)


@dataclass(frozen=True, slots=True)
class Backdrop:
    """What is behind the first picture, None where that is not known, and what is amiss with any."""

    background: Literal["transparent", "opaque"] | None = None
    notes: tuple[str, ...] = ()


def measured(images: Sequence[StoredImage]) -> Backdrop:
    """Look at all pictures, one at a time, but at no drawing: those are not rendered here. Blocks."""
    found: dict[int, Transparency] = {}
    notes = []
    for number, image in enumerate(images, start=1):
        try:
            if image.size:
                found[number] = transparency(image.path)
        except UndecodablePicture as error:
            which = _named([number], len(images))
            notes.append(f"Whether {which} transparent could not be measured. {error.message}")
    amiss: dict[str, list[int]] = {}
    for number, one in found.items():
        if what := _amiss(one):
            amiss.setdefault(what, []).append(number)
    for what, numbers in amiss.items():
        notes.append(f"Transparency was asked for, but {_named(numbers, len(images))} {what}.")
    if any(one.is_opaque for one in found.values()):
        notes.append(REMEDY)
    return Backdrop(_background(found.get(1)), tuple(notes))


def _amiss(found: Transparency) -> str | None:
    if found.chequered:
        return "opaque, with painted chequers behind the subject"
    if found.is_opaque:
        return "opaque"
    return None if found.has_clear_parts else "nowhere wholly transparent"


def _background(first: Transparency | None) -> Literal["transparent", "opaque"] | None:
    return None if first is None else "opaque" if first.is_opaque else "transparent"


def _named(numbers: Sequence[int], total: int) -> str:
    """Those pictures, as what a sentence says something of."""
    if total == 1:
        return "the picture is"
    listed = " and ".join(map(str, numbers))
    return f"picture {listed} of {total} is" if len(numbers) == 1 else f"pictures {listed} of {total} are"
