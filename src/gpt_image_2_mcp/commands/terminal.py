"""Which pictures a terminal can show, and the text that shows them: kitty's and iTerm2's protocols, blocks.

Protocols: sw.kovidgoyal.net/kitty/graphics-protocol, iterm2.com/documentation-images (read 2026-11).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pybase64

from gpt_image_2_mcp.pictures import Pixels, pixels, preview
from gpt_image_2_mcp.sizes import Size

_KITTY_PROGRAMS: Final = ("kitty", "ghostty")
_ITERM2_PROGRAMS: Final = ("iterm.app", "wezterm", "mintty")
_PANES: Final = ("screen", "tmux")
"""They pass no pictures through unless they are told to."""
_CHUNK: Final = 4096
_KITTY_EDGE: Final = 768
_ITERM2_BYTES: Final = 400_000
_WIDEST: Final = 80
_PIXELS_A_COLUMN: Final = 8
"""A common width of a cell; a picture is not blown up beyond its own pixels."""

Way = Literal["kitty", "iterm2", "blocks"]


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal of so many columns and lines; `way` is None where nothing but text should be written."""

    way: Way | None
    columns: int = 80
    lines: int = 24
    true_colour: bool = False

    @classmethod
    def of(cls, variables: Mapping[str, str], columns: int, lines: int) -> Terminal:
        """By what the terminal says of itself in the environment."""
        colours = variables.get("COLORTERM", "").lower()
        true_colour = colours in ("truecolor", "24bit") or "WT_SESSION" in variables
        return cls(_way(variables), columns, lines, true_colour)

    def picture(self, path: Path) -> str:
        """The text that shows a picture, of a GIF its first frame.

        Raises:
            UndecodablePicture: it cannot be decoded.
        """
        if self.way == "iterm2":
            return self._iterm2(path)
        if self.way == "kitty":
            return self._kitty(pixels(path, Size(_KITTY_EDGE, _KITTY_EDGE)))
        wide, high = min(self.columns, _WIDEST), max(self.lines - 4, 4)
        return self._blocks(pixels(path, Size(wide, 2 * high)))

    def _iterm2(self, path: Path) -> str:
        small = preview(path, _ITERM2_BYTES, webp=False, max_edge=1024)
        if small is None:
            return ""
        where = f"inline=1;size={len(small.data)};width={self._width(small.size)};preserveAspectRatio=1"
        return f"\x1b]1337;File={where}:{pybase64.b64encode(small.data).decode()}\a\n"

    def _kitty(self, found: Pixels) -> str:
        """Chunks of the deflated pixels; q=2 has the terminal answer nothing, for nobody would read it."""
        data = pybase64.b64encode(zlib.compress(found.rgb)).decode()
        size = found.size
        keys = f"a=T,q=2,f=24,o=z,s={size.width},v={size.height},c={self._width(size)},"
        chunks = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
        parts = (
            f"\x1b_G{keys if number == 1 else ''}m={int(number < len(chunks))};{chunk}\x1b\\"
            for number, chunk in enumerate(chunks, start=1)
        )
        return "".join(parts) + "\n"

    def _blocks(self, found: Pixels) -> str:
        """Two pixels a cell, one above the other."""
        return "".join(f"{''.join(line)}\x1b[0m\n" for line in self._cells(found))

    def _cells(self, found: Pixels) -> Iterator[Iterator[str]]:
        width, rgb = found.size.width, found.rgb
        rows = [rgb[at : at + 3 * width] for at in range(0, len(rgb), 3 * width)]
        for upper, lower in zip(rows[::2], [*rows[1::2], rows[-1]], strict=False):
            yield (
                f"\x1b[38;{self._colour(upper, at)};48;{self._colour(lower, at)}m\u2580"
                for at in range(0, 3 * width, 3)
            )

    def _colour(self, row: bytes, at: int) -> str:
        red, green, blue = row[at : at + 3]
        if self.true_colour:
            return f"2;{red};{green};{blue}"
        return f"5;{16 + 36 * (red * 6 // 256) + 6 * (green * 6 // 256) + blue * 6 // 256}"

    def _width(self, size: Size) -> int:
        """Columns: no more than there are, and so few that the picture is not higher than the screen."""
        by_height = 2 * max(self.lines - 4, 4) * size.width // size.height
        return max(min(self.columns, _WIDEST, by_height, -(-size.width // _PIXELS_A_COLUMN)), 1)


def _way(variables: Mapping[str, str]) -> Way | None:
    term = variables.get("TERM", "").lower()
    program = (variables.get("TERM_PROGRAM") or variables.get("LC_TERMINAL") or "").lower()
    if term == "dumb" or "NO_COLOR" in variables:
        return None
    if term.startswith(_PANES) or "TMUX" in variables:
        return "blocks"
    if program in _KITTY_PROGRAMS or term.startswith("xterm-kitty") or "KITTY_WINDOW_ID" in variables:
        return "kitty"
    return "iterm2" if program in _ITERM2_PROGRAMS or program == "iterm2" else "blocks"
