"""Pictures as parts of a form: bytes as they are, files read while they are sent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, cast

from gpt_image_2_mcp.contents import KeptFile
from gpt_image_2_mcp.errors import Unsendable
from gpt_image_2_mcp.gateways._upstream import FilePart
from gpt_image_2_mcp.models import InputImage


def file_part(field: str, image: InputImage) -> FilePart:
    """Always with name and MIME type: nameless parts OpenAI answered with "unsupported mimetype"."""
    data = image.data if isinstance(image.data, bytes) else cast(IO[bytes], _Sent(image.data))
    return field, (image.filename, data, image.mime_type)


class _Sent:
    """A file as httpx2's form reads it, from the start each time it is sent.

    httpx2 asks for 64 KB at a time and sends what it is given; a piece costs as much to send whatever its
    size, so it is given larger ones. It reads on the event loop, from what was written a moment ago.
    """

    def __init__(self, file: KeptFile) -> None:
        self._file = file
        self._pieces: Iterator[bytes] = iter(())

    def tell(self) -> int:
        return 0

    def seek(self, _offset: int, whence: int = os.SEEK_SET) -> int:
        """httpx2 goes to the end to learn the length, and to the start before it reads."""
        if whence == os.SEEK_END:
            return len(self._file)
        self._pieces = self._file.pieces()
        return 0

    def read(self, _most: int) -> bytes:
        try:
            return next(self._pieces, b"")
        except OSError as error:
            raise Unsendable(
                f"An input picture could not be read while it was sent ({error.strerror}).",
                hint="The request broke off before its end, so nothing was billed: call again.",
            ) from None
