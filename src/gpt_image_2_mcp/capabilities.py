"""What each GPT Image model can do and costs: the only place that knows, as data with its sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal, get_args

from gpt_image_2_mcp.sizes import FixedSizes, FlexibleSizes, Size

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
MAX_URL_CHARS: Final = 20_971_520
"""Of a picture's URL in the JSON form of an edit, a data URL too (OpenAI's openapi.yaml, 2026-08-21)."""
MAX_URL_BYTES: Final = (MAX_URL_CHARS - len("data:image/jpeg;base64,")) // 4 * 3
"""Of a picture that stands in such a data URL."""

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

# What any model takes, as the types of the tools' arguments; which takes what is in the table below.
Quality = Literal["auto", "low", "medium", "high", "xhigh", "max"]
Background = Literal["auto", "opaque", "transparent"]
PixelFormat = Literal["png", "jpeg", "webp"]
OutputFormat = Literal[PixelFormat, "gif", "svg"]
Moderation = Literal["auto", "low"]
Complexity = Literal["low", "medium", "high"]
Fidelity = Literal["low", "high"]
SvgEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
PIXEL_FORMATS: Final[tuple[str, ...]] = get_args(PixelFormat)
COMPRESSED_FORMATS: Final = ("jpeg", "webp")
TRANSPARENT_FORMATS: Final = ("png", "webp")
MAX_FRAME_MS: Final = 655_350
"""What a GIF can say of how long a frame stands: 65,535 hundredths of a second."""


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per 1,000,000 tokens, which is micro-dollars per token."""

    text_in: Decimal
    text_cached: Decimal
    image_in: Decimal
    image_cached: Decimal
    image_out: Decimal
    text_out: Decimal = Decimal(0)


Confidence = Literal["documented", "reported", "unknown"]
"""By OpenAI itself; by others who measured or met it; by nobody, so that a guess stands there."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who says so, and when that was read."""

    where: str
    read: date
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """How many image-output tokens a picture takes, by quality; all empty: unknown.

    grids: the calculator's long side
    table: fixed counts by quality and size
    factors: multiples of what `grids` give, least and most, where only that is known
    """

    grids: tuple[tuple[str, int], ...] = ()
    table: tuple[tuple[str, Size, int], ...] = ()
    factors: tuple[tuple[str, Decimal, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """One model. What a field's value rests on is in `sources` under the field's name.

    formats: what `output_format` takes beside `auto` for a GIF's frames and an SVG's author
    tried: values that are sent when asked for though the API may refuse them
    input_fidelity, complexity: the values that may be sent; empty, the argument is an error
    mask, markup: whether an edit takes one
    input_tokens: by which rule input pictures are counted
    batch_prices: None where the Batch API does not take the model, or nobody knows
    seconds: how long a picture of 1024x1024 usually takes, by quality
    """

    id: str
    sizes: FixedSizes | FlexibleSizes
    qualities: tuple[str, ...]
    prices: Prices
    tokens: TokenCounts
    sources: Mapping[str, Source] = field(repr=False, hash=False)
    formats: tuple[str, ...] = PIXEL_FORMATS
    backgrounds: tuple[str, ...] = get_args(Background)
    tried: tuple[str, ...] = ()
    input_fidelity: tuple[str, ...] = ()
    complexity: tuple[str, ...] = ()
    mask: bool = True
    markup: bool = False
    input_tokens: Literal["patches", "tiles"] = "patches"
    batch_prices: Prices | None = None
    seconds: tuple[tuple[str, float], ...] = ()
    snapshots: tuple[str, ...] = ()
    shutdown: date | None = None
    replacement: str | None = None

    def source_of(self, fact: str) -> Source:
        """What the value of a field rests on."""
        return self.sources[fact]


def facts_of(model: Model) -> dict[str, object]:
    """The values of a model that have a source, by their names."""
    return {f.name: getattr(model, f.name) for f in fields(model) if f.name not in ("id", "sources")}


_READ = date(2026, 11, 22)
_PACKAGE = Source("types of the openai package 3.54", _READ, "documented")
_GUIDE = Source("OpenAI's image guide", _READ, "documented")
_MODEL_PAGE = Source("OpenAI's model page", _READ, "documented")
_DEPRECATIONS = Source("OpenAI's deprecations page", _READ, "documented")
_CALCULATOR = Source(
    "the calculator in OpenAI's image guide; equal to real usage", date(2026, 9, 22), "documented"
)
_PATCH_RULE = Source("community.openai.com t/1382940, from about 100 edits", date(2026, 6, 12), "reported")
_UNSTATED = Source("stated nowhere", _READ, "unknown")
_BENCH = Source("Genflick, medians of 3 calls at 1024x1024", date(2026, 9, 8), "reported")
_LAOZHANG = Source("docs.laozhang.ai, through a relay to OpenAI", date(2026, 11, 5), "reported")
_APIYI = Source("docs.apiyi.com", date(2026, 11, 9), "reported")
_COMFY = Source("docs.comfy.org, node OpenAIGPTImageNodeV3", date(2026, 11, 12), "reported")

_FIXED = FixedSizes((Size(1024, 1024), Size(1536, 1024), Size(1024, 1536)))
_FLEXIBLE = FlexibleSizes()
_BASE_QUALITIES = ("low", "medium", "high", "auto")
_ALL_QUALITIES = ("low", "medium", "high", "xhigh", "max", "auto")


def _prices(*usd_per_million: str) -> Prices:
    return Prices(*map(Decimal, usd_per_million))


def _sources(**changes: Source) -> Mapping[str, Source]:
    """A source for every fact: OpenAI's guide or the page of its kind, save where another is named."""
    usual = {
        "shutdown": _DEPRECATIONS,
        "replacement": _DEPRECATIONS,
        "prices": _MODEL_PAGE,
        "snapshots": _MODEL_PAGE,
        "seconds": _UNSTATED,
    }
    names = [f.name for f in fields(Model) if f.name not in ("id", "sources")]
    return MappingProxyType(dict.fromkeys(names, _GUIDE) | usual | changes)


_PRICES_2 = _prices("5.00", "1.25", "8.00", "2.00", "30.00")
_PRICES_15 = _prices("5.00", "1.25", "8.00", "2.00", "32.00", "10.00")
_GRIDS_2 = (("low", 16), ("medium", 48), ("high", 96))
_GRIDS_25 = (("low", 16), ("medium", 24), ("high", 48), ("xhigh", 64), ("max", 96))
# Low and medium took 3 to 4 times the tokens of 2.5 (low at 1536x1024: 4.2 times) and high about the same;
# nothing is known of xhigh and max. The upper factors leave as much room again.
_FACTORS_26 = tuple(
    (quality, Decimal(least), Decimal(most))
    for quality, least, most in (
        ("low", "3", "8.4"),
        ("medium", "3", "8"),
        ("high", "0.9", "2"),
        ("xhigh", "0.9", "2"),
        ("max", "0.9", "2"),
    )
)
_LEGACY_TOKENS = tuple(
    (quality, size, tokens)
    for quality, row in (
        ("low", (272, 400, 408)),
        ("medium", (1056, 1568, 1584)),
        ("high", (4160, 6208, 6240)),
    )
    for size, tokens in zip(_FIXED.sizes, row, strict=True)
)


def _first_generation(
    id_: str,
    prices: Prices,
    fidelity: tuple[str, ...],
    snapshots: tuple[str, ...] = (),
    **changes: Source,
) -> Model:
    return Model(
        id_,
        _FIXED,
        _BASE_QUALITIES,
        prices,
        TokenCounts(table=_LEGACY_TOKENS),
        _sources(batch_prices=_UNSTATED, **changes),
        input_fidelity=fidelity,
        input_tokens="tiles",
        snapshots=snapshots,
        shutdown=date(2026, 12, 1),
        replacement="gpt-image-2.6-flare",
    )


def _two() -> Model:
    return Model(
        DEFAULT_MODEL,
        _FLEXIBLE,
        _BASE_QUALITIES,
        _PRICES_2,
        TokenCounts(_GRIDS_2),
        _sources(
            # "In preview" by the package; 400s were reported from 2026-05-03 to 2026-10-03 (codex#43757,
            # sub2api#7150), so it is sent when asked for, and the refusal explained.
            backgrounds=Source("the openai package 3.54, against reported refusals", _READ, "reported"),
            tokens=_CALCULATOR,
            input_tokens=_PATCH_RULE,
            # "does not support the 'input_fidelity' parameter": always high.
            input_fidelity=_GUIDE,
            complexity=_PACKAGE,
            markup=_PACKAGE,
            formats=_PACKAGE,
            seconds=_BENCH,
        ),
        tried=("transparent",),
        batch_prices=_prices("2.50", "0.625", "4.00", "1.00", "15.00"),
        seconds=(("low", 23), ("medium", 48), ("high", 155), ("auto", 155)),
        snapshots=("gpt-image-2-2026-04-21",),
    )


def _two_five(name: str, seconds: tuple[tuple[str, float], ...]) -> Model:
    return Model(
        f"gpt-image-2.5-{name}",
        _FLEXIBLE,
        _ALL_QUALITIES,
        _PRICES_2,
        TokenCounts(_GRIDS_25),
        _sources(
            tokens=_CALCULATOR,
            input_tokens=_PATCH_RULE,
            qualities=_PACKAGE,
            markup=_PACKAGE,
            input_fidelity=_UNSTATED,
            complexity=_COMFY,
            formats=_UNSTATED,
            # Half price, not offered, or half price for inputs: three pages say three things.
            batch_prices=_UNSTATED,
            seconds=_BENCH,
        ),
        markup=True,
        seconds=seconds,
        snapshots=(f"gpt-image-2.5-{name}-2026-09-08",),
    )


def _two_six(name: str, seconds: tuple[tuple[str, float], ...] = ()) -> Model:
    return Model(
        f"gpt-image-2.6-{name}",
        _FLEXIBLE,
        _ALL_QUALITIES,
        _PRICES_2,
        TokenCounts(_GRIDS_25, factors=_FACTORS_26),
        _sources(
            sizes=_COMFY,
            qualities=_APIYI,
            backgrounds=_APIYI,
            prices=_MODEL_PAGE if name == "sunburst" else _APIYI,
            tokens=_LAOZHANG,
            input_tokens=_UNSTATED,
            formats=_PACKAGE,
            markup=_COMFY,
            complexity=_COMFY,
            input_fidelity=_UNSTATED,
            batch_prices=_APIYI,
            **({"seconds": _LAOZHANG} if seconds else {}),
        ),
        formats=get_args(OutputFormat),
        complexity=get_args(Complexity),
        markup=True,
        seconds=seconds,
    )


MODELS: Final = (
    _two(),
    _two_five("flare", (("low", 10), ("medium", 14), ("high", 18), ("xhigh", 27), ("max", 46), ("auto", 18))),
    _two_five(
        "sunburst", (("low", 16), ("medium", 18), ("high", 30), ("xhigh", 47), ("max", 85), ("auto", 30))
    ),
    _two_six("flare", (("low", 10), ("medium", 12))),
    _two_six("sunburst"),
    _first_generation("gpt-image-1.5", _PRICES_15, get_args(Fidelity), ("gpt-image-1.5-2025-12-16",)),
    _first_generation(
        # What it points at is stated nowhere; it is priced as 1.5.
        "chatgpt-image-latest",
        _PRICES_15,
        (),
        input_fidelity=_UNSTATED,
        tokens=_UNSTATED,
        input_tokens=_UNSTATED,
    ),
    _first_generation("gpt-image-1-mini", _prices("2.00", "0.20", "2.50", "0.25", "8.00"), ("low",)),
)

NOT_OFFERED: Final = {
    "response_format": "GPT Image models answer with the picture itself, and the parameter is an error.",
    "style": "It was of dall-e-3, which is gone.",
    "user": "`safety_identifier` has taken its place; it is taken under the old name too.",
    "stream": "Calls with `partial_images` are streamed, and with GPT_IMAGE_2_STREAM=1 all that can be.",
    "quality=standard": "It was of dall-e-3, which is gone.",
    "quality=hd": "It was of dall-e-3, which is gone.",
}
"""Arguments, and words that one takes, of the Images API that no tool has, with the reason."""

RETIRED: Final = {
    "dall-e-2": date(2026, 5, 12),
    "dall-e-3": date(2026, 5, 12),
    "gpt-image-1": date(2026, 10, 23),
}
"""Models that are gone (OpenAI's deprecations page, read 2026-11-22)."""
WARN_WITHIN: Final = timedelta(days=30)

_BY_ID: Final = {name: model for model in MODELS for name in (model.id, *model.snapshots)}


def find_model(id_: str) -> Model | None:
    """The entry for a model id or one of its dated snapshots; None for an id this table does not know."""
    return _BY_ID.get(id_)


def models_with(able: Callable[[Model], bool], today: date) -> tuple[str, ...]:
    """The ids of the models that can, and are served today."""
    return tuple(m.id for m in MODELS if able(m) and (m.shutdown is None or today < m.shutdown))


def shutdown_date(id_: str) -> date | None:
    """The day from which the API refuses the model; None when none is announced."""
    model = find_model(id_)
    return model.shutdown if model else RETIRED.get(id_)


def replacement(id_: str) -> str:
    """The model to use in the place of one that goes."""
    model = find_model(id_)
    return (model and model.replacement) or DEFAULT_MODEL


def typical_seconds(id_: str, quality: str) -> float | None:
    """How long a picture usually takes, by published measurements; None where there are none."""
    model = find_model(id_)
    return dict(model.seconds).get(quality) if model else None
