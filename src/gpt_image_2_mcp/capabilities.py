"""What each GPT Image model can do and costs: the only place that knows, as data.

Sources: OpenAI's image guide, model and pricing pages and the openai package 3.54 types, read 2026-11-22;
the output-token grids come from the calculator in OpenAI's guide (read 2026-09-22, equal to real usage).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

DEFAULT_MODEL: Final = "gpt-image-2"

PROMPT_MAX_CHARS: Final = 32_000
MAX_PICTURES: Final = 10
MAX_PARTIALS: Final = 3
PARTIAL_TOKENS: Final = 100
"""Image-output tokens of each partial picture that comes (OpenAI's image guide)."""
MAX_INPUT_IMAGES: Final = 16
MAX_INPUT_BYTES: Final = 50 * 1024 * 1024 - 1
"""Per input image; the API takes strictly less than 50 MB."""
MAX_MASK_BYTES: Final = 4 * 1024 * 1024 - 1
"""The API reference says under 4 MB, the guide 50 MB; the smaller one always passes."""

MAX_INPUT_EDGE: Final = 16_384
"""No limit is published. The widest panoramas of phones are 16,382 px, and WebP ends at 16,383."""
MAX_INPUT_PIXELS: Final = 8192 * 8192
"""Room for the 48, 50 and 64 megapixels of phones (9248x6936), and 256 MiB once decoded; the 108 and 200 that
a few offer look like bombs in a header, and the API scales all inputs down."""
MAX_CHUNKS: Final = 512
"""Of a PNG before and behind its pixels, of a WebP in all; real files have below 50."""
MAX_PIXEL_CHUNKS: Final = 4096
"""Of a PNG, and one more for each KiB: libpng writes chunks of 8 KiB, some programs one a row."""
MAX_JPEG_SEGMENTS: Final = 1024
"""Of 64 KiB each, they would be more than a file of 50 MB can hold."""
MAX_JPEG_SCANS: Final = 64
"""Progressive files of libjpeg have 10, of four colours 24; libjpeg-turbo warns of thousands (2017)."""
MAX_TEXT_BYTES: Final = 4 * 1024 * 1024
"""Of all text chunks of a PNG, as they stand in the file."""
MAX_UNPACKED_BYTES: Final = 1024 * 1024
"""Of all packed texts of a PNG, and of its profile: Pillow unpacks no more of a chunk, and it takes 3 ms."""
MAX_ICC_BYTES: Final = 4 * 1024 * 1024
"""The large profiles of print shops have 2 to 3 MB."""

SIZE_PRESETS: Final = ("1024x1024", "1536x1024", "1024x1536")
QUALITIES: Final = ("auto", "low", "medium", "high", "xhigh", "max")
BACKGROUNDS: Final = ("auto", "opaque", "transparent")
OUTPUT_FORMATS: Final = ("png", "jpeg", "webp")
COMPRESSED_FORMATS: Final = ("jpeg", "webp")
TRANSPARENT_FORMATS: Final = ("png", "webp")
MODERATION_LEVELS: Final = ("auto", "low")


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


@dataclass(frozen=True, slots=True)
class FlexibleSizes:
    """Any size within bounds: edges and pixels in px, `max_ratio` long edge to short edge."""

    multiple: int = 16
    max_edge: int = 3840
    max_ratio: int = 3
    min_pixels: int = 655_360
    max_pixels: int = 8_294_400

    def violation(self, size: Size) -> str | None:
        """The rule that `size` breaks, as a clause; None when it is legal."""
        long, short = max(size.width, size.height), min(size.width, size.height)
        if size.width % self.multiple or size.height % self.multiple:
            return f"both edges must be multiples of {self.multiple}"
        if long > self.max_edge:
            return f"the longest edge must be at most {self.max_edge} pixels"
        if long > short * self.max_ratio:
            return f"the ratio of the edges must be within 1:{self.max_ratio} and {self.max_ratio}:1"
        if not self.min_pixels <= size.pixels <= self.max_pixels:
            return f"width times height must be between {self.min_pixels:,} and {self.max_pixels:,} pixels"
        return None

    def nearest(self, size: Size) -> Size:
        """The legal size closest to `size`, edge by edge; the larger one of two that are equally close."""
        widths = range(self.multiple, self.max_edge + 1, self.multiple)
        candidates = (self._nearest_with_width(width, size) for width in widths)
        return min((c for c in candidates if c), key=lambda c: (size.distance(c), -c.pixels))

    def _nearest_with_width(self, width: int, size: Size) -> Size | None:
        lowest = max(-(-width // self.max_ratio), -(-self.min_pixels // width))
        highest = min(width * self.max_ratio, self.max_pixels // width, self.max_edge)
        first = -(-lowest // self.multiple) * self.multiple
        last = highest // self.multiple * self.multiple
        if first > last:
            return None
        rounded = (size.height + self.multiple // 2) // self.multiple * self.multiple
        return Size(width, min(max(rounded, first), last))


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per 1,000,000 tokens, which is micro-dollars per token."""

    text_in: Decimal
    text_cached: Decimal
    image_in: Decimal
    image_cached: Decimal
    image_out: Decimal
    text_out: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Model:
    """One model. `grids` maps a quality to the calculator's long side; `token_table` is the older fixed form.

    Both empty: the output tokens of the model are not known beforehand.
    """

    id: str
    sizes: FixedSizes | FlexibleSizes
    qualities: tuple[str, ...]
    transparent: bool
    prices: Prices
    grids: tuple[tuple[str, int], ...] = ()
    token_table: tuple[tuple[str, Size, int], ...] = ()
    snapshots: tuple[str, ...] = ()
    shutdown: date | None = None


_FIXED = FixedSizes((Size(1024, 1024), Size(1536, 1024), Size(1024, 1536)))
_FLEXIBLE = FlexibleSizes()
_BASE_QUALITIES = ("low", "medium", "high", "auto")
_ALL_QUALITIES = ("low", "medium", "high", "xhigh", "max", "auto")


def _prices(*usd_per_million: str) -> Prices:
    return Prices(*map(Decimal, usd_per_million))


_PRICES_2 = _prices("5.00", "1.25", "8.00", "2.00", "30.00")
_PRICES_15 = _prices("5.00", "1.25", "8.00", "2.00", "32.00", "10.00")
_GRIDS_2 = (("low", 16), ("medium", 48), ("high", 96))
_GRIDS_25 = (("low", 16), ("medium", 24), ("high", 48), ("xhigh", 64), ("max", 96))
_LEGACY_TOKENS = tuple(
    (quality, size, tokens)
    for quality, row in (
        ("low", (272, 400, 408)),
        ("medium", (1056, 1568, 1584)),
        ("high", (4160, 6208, 6240)),
    )
    for size, tokens in zip(_FIXED.sizes, row, strict=True)
)
_END_OF_1 = date(2026, 12, 1)


def _first_generation(id_: str, prices: Prices, snapshots: tuple[str, ...] = ()) -> Model:
    return Model(id_, _FIXED, _BASE_QUALITIES, True, prices, (), _LEGACY_TOKENS, snapshots, _END_OF_1)


MODELS: Final = (
    Model(
        # Transparency is "in preview" in OpenAI's types while 400s were reported through 2026-10-03: it is
        # sent when asked for, and the refusal explained.
        "gpt-image-2",
        _FLEXIBLE,
        _BASE_QUALITIES,
        True,
        _PRICES_2,
        _GRIDS_2,
        (),
        ("gpt-image-2-2026-04-21",),
    ),
    *(
        Model(
            f"gpt-image-2.5-{name}",
            _FLEXIBLE,
            _ALL_QUALITIES,
            True,
            _PRICES_2,
            _GRIDS_25,
            (),
            (f"gpt-image-2.5-{name}-2026-09-08",),
        )
        for name in ("flare", "sunburst")
    ),
    # No output-token formula is known for 2.6 (low and medium cost 3-4 times the 2.5 tokens, 2026-11-05).
    *(
        Model(f"gpt-image-2.6-{name}", _FLEXIBLE, _ALL_QUALITIES, True, _PRICES_2)
        for name in ("flare", "sunburst")
    ),
    _first_generation("gpt-image-1.5", _PRICES_15, ("gpt-image-1.5-2025-12-16",)),
    _first_generation("chatgpt-image-latest", _PRICES_15),
    _first_generation("gpt-image-1-mini", _prices("2.00", "0.20", "2.50", "0.25", "8.00")),
)

RETIRED: Final = {
    "dall-e-2": date(2026, 5, 12),
    "dall-e-3": date(2026, 5, 12),
    "gpt-image-1": date(2026, 10, 23),
}
REPLACEMENT: Final = "gpt-image-2"

_BY_ID: Final = {name: model for model in MODELS for name in (model.id, *model.snapshots)}


def find_model(id_: str) -> Model | None:
    """The entry for a model id or one of its dated snapshots; None for an id this table does not know."""
    return _BY_ID.get(id_)


def shutdown_date(id_: str) -> date | None:
    """The day from which the API refuses the model; None when none is announced."""
    model = find_model(id_)
    return model.shutdown if model else RETIRED.get(id_)


_SECONDS: Final = {
    # At 1024x1024: Genflick, medians of 3 calls, 2026-09-08; 2.6: docs.laozhang.ai, 2026-11-05.
    "gpt-image-2": {"low": 23, "medium": 48, "high": 155, "auto": 155},
    "gpt-image-2.5-flare": {"low": 10, "medium": 14, "high": 18, "xhigh": 27, "max": 46, "auto": 18},
    "gpt-image-2.5-sunburst": {"low": 16, "medium": 18, "high": 30, "xhigh": 47, "max": 85, "auto": 30},
    "gpt-image-2.6-flare": {"low": 10, "medium": 12},
}


def typical_seconds(id_: str, quality: str) -> float | None:
    """How long a picture usually takes, by published measurements; None where there are none."""
    model = find_model(id_)
    return _SECONDS.get(model.id, {}).get(quality) if model else None
