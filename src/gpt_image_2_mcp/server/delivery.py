"""Fits a result to its client: pictures whole or as previews, links, text, structured content."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from mcp.types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent
from pydantic import BaseModel

from gpt_image_2_mcp.capabilities import MAX_INPUT_PIXELS
from gpt_image_2_mcp.errors import ImageServerError, UndecodablePicture
from gpt_image_2_mcp.image_formats.svg import MIME_TYPE as SVG
from gpt_image_2_mcp.redaction import Redact, redact
from gpt_image_2_mcp.results import ImageFile, ListSessionsResult, Pictured, WorkingResult
from gpt_image_2_mcp.server.profiles import DEFAULT, Profile
from gpt_image_2_mcp.server.summaries import summarize
from gpt_image_2_mcp.showing import Inline

if TYPE_CHECKING:
    from gpt_image_2_mcp.image_formats.layout import ImageHeader

Links = Callable[[Sequence[ImageFile]], Sequence[ResourceLink]]
"""Links to the pictures of a result."""

AT_ONCE: Final = 2
"""Pictures that one server opens at the same time for showing; one of the largest takes 268 MB decoded."""
ENVELOPE_BYTES: Final = 500
"""What JSON-RPC and the protocol put around a result."""
_BLOCK_BYTES: Final = 80
_LEAST_BYTES: Final = 3000
"""Of JSON: a picture in less would be a stamp."""
FIRST_FRAME: Final = "Of an animation the first frame is shown."
_LONGEST_REMARK: Final = 100
_REMARK_BYTES: Final = _LONGEST_REMARK + len("; ")
_NOTE_BYTES: Final = 220 + len("\n- Note: ")


def no_links(_pictures: Sequence[ImageFile]) -> Sequence[ResourceLink]:
    return ()


@dataclass(frozen=True, slots=True)
class Showing:
    """What becomes of one picture: how it is shown, in words unless it is whole, and the block if any."""

    remark: str = ""
    block: ImageContent | None = None

    @property
    def cost(self) -> int:
        """Bytes of JSON."""
        return len(self.block.data) + _BLOCK_BYTES if self.block else 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one client is sent its results."""

    profile: Profile = DEFAULT
    inline: Inline = "auto"
    links: Links = no_links
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))

    async def deliver(self, result: BaseModel, inline: Inline | None = None) -> CallToolResult:
        """The result as this client is sent it; `inline` is what the call itself asked for."""
        if isinstance(result, ListSessionsResult):
            return await run_sync(self._list, result)
        if not isinstance(result, Pictured):
            return self._compose(result, [])
        mode = inline or self.inline
        if mode == "none":
            return self._compose(result, [Showing("not shown here")] * len(result.images))
        limit = self.profile.cap if mode == "full" else self.profile.budget
        unsaid = self._compose(result, [])
        # In structured content, in the text, and where pictures are hidden once more in that.
        said = wire_bytes(unsaid) + _REMARK_BYTES * len(result.images) + 3 * _NOTE_BYTES
        shown = await self._show(result.images, limit - said - ENVELOPE_BYTES, mode)
        moving = any(image.frames and one.block for image, one in zip(result.images, shown, strict=True))
        note = f"{_note(shown, cut=mode == 'full' and not moving)}{' ' + FIRST_FRAME if moving else ''}"
        if note or any(picture.remark for picture in shown):
            return self._compose(_noted(result, note), shown)
        blocks = [picture.block for picture in shown if picture.block]
        return unsaid.model_copy(update={"content": [*blocks, *unsaid.content]})

    def _list(self, result: ListSessionsResult) -> CallToolResult:
        """As many sessions as this client has room for, the latest used first."""
        room, total = self.profile.budget - ENVELOPE_BYTES, result.total or len(result.sessions)
        while (size := wire_bytes(made := self._compose(result, []))) > room and len(result.sessions) > 1:
            kept = result.sessions[: len(result.sessions) * room // size or 1]
            result = ListSessionsResult(sessions=kept, total=total)
        return made

    async def _show(self, images: Sequence[ImageFile], room: int, mode: Inline) -> list[Showing]:
        """Each picture whole where that fits, else as large as its share of the room allows.

        The smallest files come first: what one leaves of its share is the others', so that all are whole if
        all fit. One picture is held at a time.
        """
        shown: dict[int, Showing] = {}
        for index in sorted(range(len(images)), key=lambda i: images[i].size_bytes):
            share = room // (len(images) - len(shown))
            picture = await run_sync(self._open, images[index], share, mode, limiter=self.limiter)
            shown[index] = picture
            room -= picture.cost
        return [shown[index] for index in range(len(images))]

    def _open(self, image: ImageFile, share: int, mode: Inline) -> Showing:
        if image.mime_type == SVG:
            return Showing("an SVG file, which is not shown here: open it")
        path = Path(image.file_path)
        try:
            whole = None if mode == "preview" else self._whole(path, share, mode)
            return whole or self._preview(path, share, image.frames)
        except UndecodablePicture as error:
            return Showing(f"not shown here: {error.message}"[:_LONGEST_REMARK])
        except OSError as error:
            return Showing(f"not shown here: {error.strerror or 'it cannot be read'}"[:_LONGEST_REMARK])

    def _whole(self, path: Path, share: int, mode: Inline) -> Showing | None:
        """The file as it is; None where it does not fit or is not for this client."""
        if _encoded_bytes(path.stat().st_size) > share:
            return None
        from gpt_image_2_mcp.image_formats.headers import read_header

        data = path.read_bytes()
        header = read_header(data)
        if header is None or not self._takes(header, mode) or _encoded_bytes(len(data)) > share:
            return None
        return Showing("", _block(data, header.mime_type))

    def _takes(self, header: ImageHeader, mode: Inline) -> bool:
        longest = max(header.size.width, header.size.height)
        if (
            header.size.pixels > MAX_INPUT_PIXELS or header.format == "gif"
        ):  # of the models' APIs none takes films
            return False
        if mode == "full":
            return True
        formats = ("png", "jpeg", "webp") if self.profile.webp else ("png", "jpeg")
        return header.format in formats and longest <= (self.profile.max_edge or longest)

    def _preview(self, path: Path, share: int, frames: int | None) -> Showing:
        from gpt_image_2_mcp.pictures import preview

        made = None
        if share >= _LEAST_BYTES:
            budget = (share - _BLOCK_BYTES) // 4 * 3
            made = preview(path, budget, webp=self.profile.webp, max_edge=self.profile.max_edge)
        if made is None:
            return Showing("not shown here: this client's results have no room for it")
        which = f"first frame of {frames} " if frames else ""
        return Showing(f"{which}shown here as a preview of {made.size}", _block(made.data, made.mime_type))

    def _compose(self, result: BaseModel, shown: Sequence[Showing]) -> CallToolResult:
        """Pictures first, then links, then the words: text last is where clients of the original look."""
        facts = result.model_dump(mode="json")
        text = summarize(result, [picture.remark for picture in shown])
        in_text = self.profile.hides_images and isinstance(result, Pictured | WorkingResult)
        if in_text:
            text = f"{text}\n\n{json.dumps(facts, ensure_ascii=False)}"
        images = result.images if isinstance(result, Pictured) else []
        content: list[ContentBlock] = [
            *(picture.block for picture in shown if picture.block),
            *self.links(images),
            TextContent(type="text", text=text),
        ]
        return CallToolResult(content=content, structured_content=None if in_text else facts)


def wire_bytes(result: CallToolResult) -> int:
    """Bytes of a result's JSON at most: some transports write what is not ASCII as escapes."""
    dumped = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return len(json.dumps(dumped, separators=(",", ":")))


def _block(data: bytes, mime_type: str) -> ImageContent:
    import pybase64

    return ImageContent(type="image", data=pybase64.b64encode_as_string(data), mime_type=mime_type)


def _encoded_bytes(size: int) -> int:
    return (size + 2) // 3 * 4 + _BLOCK_BYTES


def _note(shown: Sequence[Showing], *, cut: bool) -> str:
    """What the result as a whole says of what is shown: in structured content too, where some look alone.

    `cut`: whether previews are there for want of room, against what was asked for.
    """
    unseen = sum(picture.block is None for picture in shown)
    notes = []
    previews = sum(bool(picture.block and picture.remark) for picture in shown)
    if previews:
        why = ", since this client takes no more" if cut else ""
        which = (
            "Shown here as previews"
            if previews == len(shown)
            else f"{previews} of {len(shown)} shown as previews"
        )
        notes.append(f"{which}{why}; the files hold the pictures at full size.")
    if unseen:
        notes.append(f"{unseen} of {len(shown)} pictures could not be shown here: open the files.")
    return " ".join(notes)


def _noted(result: Pictured, note: str) -> Pictured:
    return result.model_copy(update={"note": " ".join(filter(None, (result.note, note)))}) if note else result


def deliver_error(error: ImageServerError, redact: Redact = redact) -> CallToolResult:
    """One sentence of what happened and one of what to do. No structured content: clients of the TypeScript
    SDK check it against the output schema, of errors too.
    """
    return CallToolResult(content=[TextContent(type="text", text=redact(str(error)))], is_error=True)
