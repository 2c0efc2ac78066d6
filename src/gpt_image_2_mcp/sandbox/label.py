"""The writing on a sandbox picture: the band that says what it is, and thumbnails of further inputs."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from gpt_image_2_mcp.sandbox.palettes import Colour

SANDBOX_LINE: Final = "SANDBOX - no model was called"
UNDRAWABLE: Final = "(a prompt in characters this font does not have)"

Box = tuple[int, int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_LINES: Final = 2
_LONGEST_DRAWN: Final = 400
_GRID: Final = 128
_MIN_BAND: Final = (150, 56)
_PAPER: Final[Colour] = (246, 244, 238)
_LAMP: Final[Colour] = (255, 196, 92)
_GAP: Final = "\N{HORIZONTAL ELLIPSIS}"
# Typographic marks that have no decomposition in Unicode.
_PLAIN: Final[Mapping[str, str]] = MappingProxyType(
    {"\u2010": "-", "\u2013": "-", "\u2014": "-", "\u00d7": "x", "\u00df": "ss"}
)
# No font has a glyph here, so its drawing is the mark for "missing".
_MISSING: Final = "\U0010fffe"


@dataclass(frozen=True)
class Type:
    """A font at a size in pixels, and the drawing it makes for characters it lacks."""

    font: Font
    missing: bytes

    def has(self, char: str) -> bool:
        return char.isspace() or _drawn(self.font, char) != self.missing


def _drawn(font: Font, text: str) -> bytes:
    return bytes(font.getmask(text))


def type_at(size: float) -> Type:
    """The font at `size` pixels."""
    font = ImageFont.load_default(size)
    return Type(font, _drawn(font, _MISSING))


def drawable(text: str, face: Type) -> str:
    """`text` on one line, runs of characters the font lacks replaced by an ellipsis."""
    flat = " ".join(text[:_LONGEST_DRAWN].split())
    drawn = {char: _nearest(char, face) for char in set(flat)}
    kept = "".join(drawn[char] for char in flat)
    kept = re.sub(rf"{_GAP}[ {_GAP}]*{_GAP}", _GAP, kept)
    return kept if any(char.isalnum() for char in kept) else UNDRAWABLE


def _nearest(char: str, face: Type) -> str:
    """`char`, or its letters without accents, or a gap."""
    if face.has(char):
        return char
    parts = unicodedata.normalize("NFKD", _PLAIN.get(char, char))
    kept = "".join(part for part in parts if not unicodedata.combining(part))
    return kept if kept and all(face.has(part) for part in kept) else _GAP


def wrapped(text: str, font: Font, width: float, lines: int) -> list[str]:
    """`text` broken into at most `lines` lines no wider than `width`; three dots stand for the rest."""
    done: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if font.getlength(longer) <= width or not line:
            line = longer
            continue
        done.append(line)
        line = word
    done.append(line)
    if len(done) > lines:
        done = [*done[: lines - 1], f"{done[lines - 1]} ..."]
    return [_cut(line, font, width) for line in done]


def _cut(line: str, font: Font, width: float) -> str:
    while font.getlength(line) > width and len(line) > 4:
        line = f"{line[:-4].rstrip('. ')}..."
    return line


def band_box(mask: Image.Image) -> Box | None:
    """The part of a mask's bounding box whose lower edge is best for a band; None for an empty mask.

    Searched on a small copy: for each height the widest run of columns that lie wholly inside the mask.
    """
    found = mask.getbbox()
    if found is None:
        return None
    left, top, right, bottom = found
    small = mask.crop(found).resize((_GRID, _GRID), Image.Resampling.NEAREST)
    rows = [small.crop((0, y, _GRID, y + _GRID // 4)) for y in range(0, _GRID - _GRID // 4 + 1, 2)]
    runs = [_widest_run(row) for row in rows]
    widest = max(end - start for start, end in runs)
    # Of the rows that are nearly as good as the best, the lowest.
    best = max(index for index, (start, end) in enumerate(runs) if end - start >= widest * 0.9)
    start, end = runs[best]
    across, down = (right - left) / _GRID, (bottom - top) / _GRID
    lower = top + round((best * 2 + _GRID // 4) * down)
    return left + round(start * across), top, left + round(end * across), min(bottom, lower)


def _widest_run(row: Image.Image) -> tuple[int, int]:
    """Start and end of the widest run of columns of an L picture that are nowhere black."""
    floor = row.resize((row.width, 1), Image.Resampling.BOX).tobytes()
    best = start = end = 0
    widest = (0, 0)
    for index, value in enumerate(floor):
        start, end = (start, index + 1) if value == 255 else (index + 1, index + 1)
        if end - start > best:
            best, widest = end - start, (start, end)
    return widest


def draw_band(picture: Image.Image, prompt: str, box: Box, tag: str = "", inset: float = 0) -> None:
    """A frosted band along the bottom of `box`; nothing where the box is too small to read it.

    `inset` is extra room, in pixels, left free on either side of the text.

    The band's height depends on the box alone, so that an edit's band covers the one of the picture it was
    made from.
    """
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    if width < _MIN_BAND[0] or height < _MIN_BAND[1]:
        return
    size = max(9.0, min(width / 34, height / 30, min(width, height) / 26))
    title, body = type_at(size * 1.05), type_at(size)
    line_height = size * 1.45
    band = (left, bottom - round(line_height * (_LINES + 1) + size * 1.3), right, bottom)
    room = width - size * 2.4 - inset * 2
    _frost(picture, band)
    draw = ImageDraw.Draw(picture)
    lines = wrapped(drawable(prompt, body), body.font, room, _LINES)
    x = left + inset + size * 1.2
    y = band[1] + size * 0.62 + line_height * (_LINES - len(lines)) / 2
    draw.rectangle((left, band[1], right - 1, band[1] + max(1, round(size / 9))), fill=_LAMP)
    heading = _cut(f"{SANDBOX_LINE}{tag}", title.font, room)
    draw.text((x, y), heading, font=title.font, fill=_LAMP)
    for line in lines:
        y += line_height
        draw.text((x, y), line, font=body.font, fill=_PAPER)


def _frost(picture: Image.Image, box: Box) -> None:
    behind = picture.crop(box).convert("RGB")
    # Blurring a small copy is as soft as blurring the large one and far quicker.
    small = behind.resize((max(1, behind.width // 16), max(1, behind.height // 16)), Image.Resampling.BOX)
    soft = small.filter(ImageFilter.GaussianBlur(2)).resize(behind.size, Image.Resampling.BICUBIC)
    picture.paste(Image.blend(soft, Image.new("RGB", behind.size, (18, 18, 28)), 0.72), box[:2])


def draw_thumbnails(picture: Image.Image, others: Sequence[Image.Image], box: Box) -> None:
    """Further inputs as framed thumbnails along the top of `box`, numbered from 2."""
    left, top, right, bottom = box
    side = min((right - left) / (len(others) * 1.12 + 0.2), min(right - left, bottom - top) / 5)
    if side < 12:
        return
    edge = round(side)
    face = type_at(max(8.0, side / 5))
    for index, other in enumerate(others):
        x, y = round(left + side * (0.12 + 1.12 * index)), round(top + side * 0.12)
        _paste_thumbnail(picture, other, (x, y), edge)
        draw = ImageDraw.Draw(picture)
        tab = edge * 0.3
        draw.rectangle((x, y, x + tab, y + tab), fill=(18, 18, 28))
        draw.text((x + tab / 2, y + tab / 2), str(index + 2), font=face.font, fill=_LAMP, anchor="mm")


def _paste_thumbnail(picture: Image.Image, other: Image.Image, at: tuple[int, int], edge: int) -> None:
    frame = max(1, edge // 26)
    tile = Image.new("RGB", (edge, edge), _PAPER)
    inner = edge - 2 * frame
    small = other.convert("RGBA").resize((inner, inner), Image.Resampling.BILINEAR, _square(other.size))
    tile.paste(small, (frame, frame), small)
    picture.paste(tile, at)


def _square(size: tuple[int, int]) -> tuple[float, float, float, float]:
    width, height = size
    side = min(size)
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2
