"""What a walk through a picture file finds: its header, its parts and its end; and why it is turned away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gpt_image_2_mcp.capabilities import MAX_INPUT_EDGE, MAX_INPUT_PIXELS
from gpt_image_2_mcp.sizes import Size

_MIME_TYPES: Final = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"}
FORMATS: Final = tuple(_MIME_TYPES)


class Unfit(Exception):
    """Why a file is not sent: `problem` goes on from the file's name, `hint` says what to do about it.

    Only prescan.py catches it; it knows the name.
    """

    def __init__(self, problem: str, hint: str = "Save the picture anew and give that") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = f"{hint}; nothing was sent."


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """`format` is png, jpeg, webp or gif; `has_alpha` says that the file can hold transparency.

    `size` is that of the stored pixels, for an input after `prescan` that of the picture as it is shown.
    """

    format: str
    size: Size
    has_alpha: bool

    @property
    def mime_type(self) -> str:
        return _MIME_TYPES[self.format]


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk or segment of a file, as offsets: it begins at `start`, its content lies from `body` to
    `body_end`, and what follows it begins at `end`.
    """

    kind: bytes
    start: int
    body: int
    body_end: int
    end: int

    def content(self, data: bytes, most: int | None = None) -> bytes:
        """A copy of the content, or of its first `most` bytes."""
        return data[self.body : self.body_end if most is None else min(self.body_end, self.body + most)]

    def whole(self, data: bytes) -> memoryview:
        """The part as it stands in the file, not copied."""
        return memoryview(data)[self.start : self.end]

    def __len__(self) -> int:
        return self.body_end - self.body


@dataclass(frozen=True, slots=True)
class Scan:
    """A file that has passed. `orientation` is EXIF's, 1 to 8; the picture ends at `end`."""

    header: ImageHeader
    orientation: int
    parts: tuple[Part, ...]
    end: int

    @property
    def size_as_shown(self) -> Size:
        size = self.header.size
        return Size(size.height, size.width) if self.orientation >= 5 else size


def put_together(data: bytes, end: int, pieces: Sequence[Part | bytes]) -> bytes:
    """A file of parts of `data` and of made pieces; no copy where these are all of `data` up to `end`."""
    position = 0
    for piece in pieces:
        begins = piece.start if isinstance(piece, Part) else position
        if begins != position or (isinstance(piece, bytes) and not data.startswith(piece, position)):
            break
        position = piece.end if isinstance(piece, Part) else position + len(piece)
    else:
        if position == end:
            return data[:end]
    return b"".join(piece.whole(data) if isinstance(piece, Part) else piece for piece in pieces)


class Format(Protocol):
    """What each module of a format offers."""

    def scan(self, data: bytes) -> Scan:
        """Walk the whole file.

        Raises:
            Unfit: it is not whole, not what it begins like, or beyond bounds.
        """
        ...

    def cleaned(self, data: bytes, scan: Scan) -> bytes:
        """The file with nothing in it but what makes its look."""
        ...


def checked_size(width: int, height: int) -> Size:
    """The size, when it is within the bounds of inputs."""
    size = Size(width, height)
    if not size.pixels:
        raise Unfit(f"is {size} pixels: there is nothing in it")
    if max(width, height) > MAX_INPUT_EDGE:
        raise Unfit(f"is {size} pixels, and no edge may be over {MAX_INPUT_EDGE:,}", "Scale it down")
    if size.pixels > MAX_INPUT_PIXELS:
        raise Unfit(f"is {size}, over the {MAX_INPUT_PIXELS:,} pixels of an input", "Scale it down")
    return size


def damaged(format_: str, what: str) -> Unfit:
    return Unfit(f"is a damaged {format_} ({what})")


def torn(format_: str) -> Unfit:
    return Unfit(f"is a {format_} that breaks off before its end", "Download or save it again")


def pretender(format_: str) -> Unfit:
    return Unfit(f"begins like a {format_} but is none", "Give a real PNG, JPEG or WebP picture")


def animated(format_: str) -> Unfit:
    return Unfit(f"is an animated {format_}, and only still pictures are edited", "Save one frame of it")


def overloaded(what: str) -> Unfit:
    return Unfit(f"has {what}, as no ordinary picture has", "Save the picture anew with another program")
