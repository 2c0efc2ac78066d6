"""Sizes of pictures, and the two kinds of rule that models have for them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

SIZE_PRESETS: Final = ("1024x1024", "1536x1024", "1024x1536")
MIN_FRAMES, MAX_FRAMES, USUAL_FRAMES = 2, 16, 9
"""Of a GIF."""


@dataclass(frozen=True, slots=True, order=True)
class Size:
    """Edges of a picture in pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Size | None:
        """Read `WxH`; None when the text has another form."""
        found = re.fullmatch(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})", text)
        return cls(int(found[1]), int(found[2])) if found else None

    @property
    def pixels(self) -> int:
        return self.width * self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    def distance(self, other: Size) -> int:
        return (self.width - other.width) ** 2 + (self.height - other.height) ** 2


@dataclass(frozen=True, slots=True)
class FixedSizes:
    """A short list of sizes."""

    sizes: tuple[Size, ...]

    def violation(self, size: Size) -> str | None:
        if size in self.sizes:
            return None
        return f"this model makes only {', '.join(map(str, self.sizes))}"

    def nearest(self, size: Size) -> Size:
        return min(self.sizes, key=size.distance)


def sheet(frames: int) -> tuple[int, int]:
    """Columns and rows of the sheet on which the frames of a GIF are made, which obeys the size rule.

    Inferred from the frame sizes that were refused and those that were made (docs.apiyi.com, 2026-11-09).
    """
    if frames <= 8:
        return 4, 2
    return (3, 3) if frames == USUAL_FRAMES else (4, 3 if frames <= 12 else 4)


@dataclass(frozen=True, slots=True)
class FlexibleSizes:
    """Any size within bounds: edges and pixels in px, `max_ratio` long edge to short edge."""

    multiple: int = 16
    max_width: int = 3840
    max_height: int = 3840
    max_ratio: int = 3
    min_pixels: int = 655_360
    max_pixels: int = 8_294_400

    def of_frames(self, frames: int) -> FlexibleSizes:
        """The rule for each of so many frames that lie on one sheet."""
        columns, rows = sheet(frames)
        return replace(
            self,
            max_width=self.max_width // columns,
            max_height=self.max_height // rows,
            min_pixels=-(-self.min_pixels // (columns * rows)),
            max_pixels=self.max_pixels // (columns * rows),
        )

    def violation(self, size: Size) -> str | None:
        """The rule that `size` breaks, as a clause; None when it is legal."""
        long, short = max(size.width, size.height), min(size.width, size.height)
        if size.width % self.multiple or size.height % self.multiple:
            return f"both edges must be multiples of {self.multiple}"
        if size.width > self.max_width or size.height > self.max_height:
            return self._edges()
        if long > short * self.max_ratio:
            return f"the ratio of the edges must be within 1:{self.max_ratio} and {self.max_ratio}:1"
        if not self.min_pixels <= size.pixels <= self.max_pixels:
            return f"width times height must be between {self.min_pixels:,} and {self.max_pixels:,} pixels"
        return None

    def _edges(self) -> str:
        if self.max_width == self.max_height:
            return f"the longest edge must be at most {self.max_width} pixels"
        return f"the width must be at most {self.max_width} and the height at most {self.max_height} pixels"

    def nearest(self, size: Size) -> Size:
        """The legal size closest to `size`, edge by edge; the larger one of two that are equally close."""
        widths = range(self.multiple, self.max_width + 1, self.multiple)
        candidates = (self._nearest_with_width(width, size) for width in widths)
        return min((c for c in candidates if c), key=lambda c: (size.distance(c), -c.pixels))

    def _nearest_with_width(self, width: int, size: Size) -> Size | None:
        lowest = max(-(-width // self.max_ratio), -(-self.min_pixels // width))
        highest = min(width * self.max_ratio, self.max_pixels // width, self.max_height)
        first = -(-lowest // self.multiple) * self.multiple
        last = highest // self.multiple * self.multiple
        if first > last:
            return None
        rounded = (size.height + self.multiple // 2) // self.multiple * self.multiple
        return Size(width, min(max(rounded, first), last))
