"""Finds the second file in a picture that is two: an archive, a document or a program behind its end."""

from __future__ import annotations

import re
import struct
from typing import Final

from gpt_image_2_mcp.image_formats.kinds import HEAD_BYTES, PDF, ZIP, Kind, identify, markup_in
from gpt_image_2_mcp.image_formats.layout import Unfit

_NO_PADDING: Final = re.compile(rb"[^\0\xff\s]")
_WINDOW: Final = 64 * 1024

# The last record of a ZIP may have a comment of 65,535 bytes behind it (APPNOTE 6.3.10, section 4.3.16).
_ZIP_RECORD: Final = struct.Struct("<4s4xHHIIH")
_ZIP_TAIL: Final = 65_535 + 22
_ZIP64: Final = 0xFFFFFFFF


def refuse_second_file(data: bytes, end: int) -> None:
    """Refuse a picture, ending at `end`, that another program reads as something else.

    What cameras put there passes, for it is cut off: films of moving photographs, previews, notes.

    Raises:
        Unfit: it is such a file; the problem names the second one.
    """
    kind = ZIP if _ends_as_zip(data) else _behind(data, end)
    if kind:
        raise Unfit(f"is a picture with {kind.name} behind it", "Save the picture anew, without that")


def _behind(data: bytes, end: int) -> Kind | None:
    first = _NO_PADDING.search(data, end, end + _WINDOW)
    if not first:
        return None
    kind = identify(data[first.start() : first.start() + HEAD_BYTES])
    if not kind or not kind.hides:
        last = max(end, len(data) - _WINDOW)
        kind = _document_in(data[end : end + _WINDOW]) or _document_in(data[last:])
    return kind if kind and kind.hides else None


def _document_in(text: bytes) -> Kind | None:
    return PDF if PDF.magics[0] in text else markup_in(text)


def _ends_as_zip(data: bytes) -> bool:
    start = max(len(data) - _ZIP_TAIL, 0)
    at = data.rfind(b"PK\5\6", start)
    while at >= 0:
        if _is_last_record(data, at):
            return True
        at = data.rfind(b"PK\5\6", start, at + 3)
    return False


def _is_last_record(data: bytes, at: int) -> bool:
    """Whether a list of files stands before it, so that chance bytes of pixels are none."""
    if at + 22 > len(data):
        return False
    _, _, entries, size, _, _ = _ZIP_RECORD.unpack_from(data, at)
    if size == _ZIP64:
        return data.startswith(b"PK\6\7", at - 20)
    return entries > 0 and size <= at and data.startswith(b"PK\1\2", at - size)
