"""What a call will cost, from least to most, and what it did cost, in whole micro-dollars.

Output tokens: the calculator in OpenAI's image guide (read 2026-09-22). Input-image tokens: the patch rule
that matched real bills (community.openai.com t/1382940, 2026-06-12) and the tile rule of the 1.x models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Final

from gpt_image_2_mcp.capabilities import (
    PARTIAL_TOKENS,
    Model,
    Prices,
    find_model,
)
from gpt_image_2_mcp.models import (
    CachedTokens,
    ImageJob,
    InputImage,
    InputTokens,
    OutputTokens,
    Route,
    Usage,
)
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.sizes import USUAL_FRAMES, FixedSizes, Size, sheet

MICRO: Final = 1_000_000
_TEN_THOUSANDTH: Final = MICRO // 10_000
"""Of a dollar; amounts in words are no finer."""
_PATCH_BUDGET: Final = 1536
_HIDDEN_TEXT_TOKENS: Final = 32
"""OpenAI adds 16 to 32 tokens to a prompt."""
_CHARS_A_TOKEN: Final = 4
_USUAL_SIZE: Final = Size(1024, 1024)
_LARGEST_SQUARE: Final = Size(2880, 2880)
"""Of all legal sizes the dearest."""
_CHEAPEST_SIZES: Final = tuple(Size(480, height) for height in (1376, 1408, 1424, 1440))
"""Of all legal sizes the cheapest: one for each quality of each model, by trial of them all."""
_USUAL_QUALITY: Final = "medium"
_FIDELITY_TOKENS: Final = 6240
"""What `input_fidelity` high adds to a picture that is not square (OpenAI's guide)."""
_SQUARE_FIDELITY_TOKENS: Final = 4160
_LONGEST_STRIP: Final = Size(8192, 512)
"""Stands for a picture that only OpenAI sees: the tile rule goes by the ratio, so nothing bounds it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call will cost in micro-dollars; `caveats` say why it is a range, or what is left out."""

    least: int
    expected: int
    most: int
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """Image tokens, from least to most."""

    least: int
    expected: int
    most: int


def output_tokens(model: Model, quality: str, size: Size) -> Tokens | None:
    """Image-output tokens of one picture; None where nothing is known of the model, quality or size."""
    for row_quality, row_size, count in model.tokens.table:
        if (row_quality, row_size) == (quality, size):
            return Tokens(count, count, count)
    grid = dict(model.tokens.grids).get(quality)
    if grid is None:
        return None
    # In the calculator's own order, as it decides halves (1536x944); round() takes them to even, as it does.
    narrow = grid / (max(size.width, size.height) / min(size.width, size.height))
    count = _area_tokens(grid, round(narrow), size)
    # An earlier reading of the calculator took them up (community t/1382699, 2026-06-05).
    most = max(count, _area_tokens(grid, math.floor(narrow + 0.5), size))
    for row_quality, lower, upper in model.tokens.factors:
        if row_quality == quality:
            usual = math.ceil(count * (lower + upper) / 2)
            return Tokens(math.floor(count * lower), usual, math.ceil(most * upper))
    return Tokens(count, count, most)


def _area_tokens(grid: int, narrow: int, size: Size) -> int:
    return math.ceil(grid * narrow * (2_000_000 + size.pixels) / 4_000_000)


def output_range(model: Model, options: RenderOptions) -> Tokens | None:
    """Tokens of one picture where `auto` may stand for anything that the model has."""
    quality = options.quality or "auto"
    qualities = [quality] if quality != "auto" else [q for q in model.qualities if q != "auto"]
    usual = _USUAL_QUALITY if quality == "auto" else quality
    counts = [output_tokens(model, q, s) for q in qualities for s in _sizes(model, options)]
    known = [count for count in counts if count]
    expected = output_tokens(model, usual, _usual_size(options))
    if expected is None or not known:
        return None
    return Tokens(min(c.least for c in known), expected.expected, max(c.most for c in known))


def _sizes(model: Model, options: RenderOptions) -> Iterable[Size]:
    """Sizes to take tokens of: a GIF's sheet for its frames, for `auto` the cheapest and the dearest."""
    if size := Size.parse(options.size or "auto"):
        return [_on_sheet(size, options)]
    if isinstance(model.sizes, FixedSizes):
        return model.sizes.sizes
    return [*_CHEAPEST_SIZES, _LARGEST_SQUARE]


def _usual_size(options: RenderOptions) -> Size:
    size = Size.parse(options.size or "auto")
    return _on_sheet(size, options) if size else _USUAL_SIZE


def _on_sheet(size: Size, options: RenderOptions) -> Size:
    """The sheet of a GIF's frames, as which it is billed by third parties (docs.comfy.org, 2026-11-12)."""
    if options.output_format != "gif":
        return size
    columns, rows = sheet(options.frame_count or USUAL_FRAMES)
    return Size(size.width * columns, size.height * rows)


def input_image_tokens(size: Size) -> int:
    """Tokens of one reference picture under the patch rule (gpt-image-2 and 2.5); at most 1536."""
    width, height = size.width, size.height
    if max(width, height) < 1024:
        scale = 1024 / max(width, height)
        width, height = max(round(width * scale), 1), max(round(height * scale), 1)
    patches = math.ceil(width / 32) * math.ceil(height / 32)
    if patches <= _PATCH_BUDGET:
        return patches
    scale = math.sqrt(32 * 32 * _PATCH_BUDGET / (width * height))
    columns, rows = width * scale / 32, height * scale / 32
    scale *= min(math.floor(columns) / columns, math.floor(rows) / rows)
    return math.ceil(math.floor(width * scale) / 32) * math.ceil(math.floor(height * scale) / 32)


def _tile_tokens(size: Size) -> int:
    """Tokens of one reference picture under the 1.x tile rule: short edge to 512 px, tiles of 512 px."""
    fit = min(1.0, 2048 / max(size.width, size.height))
    scale = 512 / min(size.width * fit, size.height * fit) * fit
    return 65 + 129 * math.ceil(round(size.width * scale) / 512) * math.ceil(round(size.height * scale) / 512)


def _input_tokens(model: Model, job: ImageJob) -> Tokens:
    """Of all pictures of a job; masks are not counted."""
    each = [
        _tokens_of(model, image.size, job) if isinstance(image, InputImage) else _tokens_of_unseen(model, job)
        for image in job.images
    ]
    return Tokens(sum(t.least for t in each), sum(t.expected for t in each), sum(t.most for t in each))


def _tokens_of(model: Model, size: Size, job: ImageJob) -> Tokens:
    if model.input_tokens == "patches":
        tokens = input_image_tokens(size)
        return Tokens(tokens, tokens, tokens)
    tokens = _tile_tokens(size)
    if job.options.input_fidelity != "high":
        return Tokens(tokens, tokens, tokens)
    usual = tokens + (_SQUARE_FIDELITY_TOKENS if size.width == size.height else _FIDELITY_TOKENS)
    # The guide does not say how square a square is.
    return Tokens(usual, usual, tokens + _FIDELITY_TOKENS)


def _tokens_of_unseen(model: Model, job: ImageJob) -> Tokens:
    """Of a picture that only OpenAI sees."""
    usual = _tokens_of(model, _USUAL_SIZE, job)
    if model.input_tokens == "patches":
        return Tokens(1, usual.expected, _PATCH_BUDGET)
    return Tokens(usual.least, usual.expected, _tokens_of(model, _LONGEST_STRIP, job).most)


def estimate(job: ImageJob, *, batch: bool = False) -> Estimate | None:
    """What the job will cost; None where the model's price or tokens are not known.

    `batch`: at the rates of the Batch API; None as well where it has none for the model.
    """
    model = find_model(job.model)
    if model is None or not job.openai_prices:
        return None
    prices = model.batch_prices if batch else model.prices
    made = output_range(model, job.options)
    if prices is None or made is None:
        return None
    pictures = _input_tokens(model, job)
    words = len(job.prompt) // _CHARS_A_TOKEN + _HIDDEN_TEXT_TOKENS // 2
    # Tokens never outnumber UTF-8 bytes.
    most_words = len(job.prompt.encode()) + _HIDDEN_TEXT_TOKENS

    def total(words: int, seen: int, made: int, partials: int) -> int:
        # 1.5 also bills the text it writes, about the prompt again.
        text = words * (prices.text_in + prices.text_out)
        drawn = (made + PARTIAL_TOKENS * partials) * prices.image_out
        return int(((text + seen * prices.image_in + drawn) * job.count).to_integral_value(ROUND_CEILING))

    return Estimate(
        total(words, pictures.least, made.least, 0),
        total(words, pictures.expected, made.expected, job.partials),
        total(most_words, pictures.most, made.most, job.partials),
        tuple(_caveats(model, job)),
    )


def _caveats(model: Model, job: ImageJob) -> Iterable[str]:
    options = job.options
    open_ = [name for name in ("quality", "size") if (getattr(options, name) or "auto") == "auto"]
    if open_:
        yield f"{' and '.join(open_)} auto can mean the dearest that {model.id} has"
    if model.tokens.factors:
        yield f"how many tokens {model.id} takes is not published: the range rests on reports"
    if not all(isinstance(image, InputImage) for image in job.images):
        yield "an input picture of unknown size can take the most that any takes"
    if options.output_format == "svg":
        yield "what the model that writes the SVG takes comes on top and is not known beforehand"
    if options.output_format == "gif":
        yield "a GIF is reckoned as one picture of all its frames, by third parties' bills"


def upper_bound(job: ImageJob) -> int | None:
    """The most the job can cost, in micro-dollars; None where the model's price or tokens are not known."""
    known = estimate(job)
    return None if known is None else known.most


def cost(model_id: str, usage: Usage | None, route: Route = "images") -> int | None:
    """What the call cost by its usage, in micro-dollars; None without usage or for an unknown model.

    Input tokens that the usage does not attribute to text or pictures are charged as pictures, the dearer.
    Cached ones have their own price on the Responses route alone (a footnote of OpenAI's pricing page).
    """
    model = find_model(model_id)
    if model is None or usage is None:
        return None
    cached = usage.cached_tokens_details if route == "responses" else None
    spent = _input_cost(model.prices, usage, cached or CachedTokens()) + _output_cost(model.prices, usage)
    return int(spent.to_integral_value(ROUND_HALF_UP))


def _input_cost(prices: Prices, usage: Usage, cached: CachedTokens) -> Decimal:
    details = usage.input_tokens_details or InputTokens()
    text = details.text_tokens
    images = max(usage.input_tokens - text, details.image_tokens)
    cached_text, cached_images = min(cached.cached_text_tokens, text), min(cached.cached_image_tokens, images)
    return (
        (text - cached_text) * prices.text_in
        + cached_text * prices.text_cached
        + (images - cached_images) * prices.image_in
        + cached_images * prices.image_cached
    )


def _output_cost(prices: Prices, usage: Usage) -> Decimal:
    text = min((usage.output_tokens_details or OutputTokens()).text_tokens, usage.output_tokens)
    return (usage.output_tokens - text) * prices.image_out + text * prices.text_out


def format_usd(micro: int) -> str:
    """`$0.0527`: four decimals, as the original prints."""
    return f"${micro / MICRO:.4f}"


def format_bound(micro: int) -> str:
    """The same for the most that something can cost, which it is when it is rounded, too."""
    return format_usd(-(-micro // _TEN_THOUSANDTH) * _TEN_THOUSANDTH)


def format_range(least: int, expected: int, most: int, *, wide: bool) -> str:
    """`$0.0271, at most $0.0401, at least $0.0142`."""
    lower = f", at least {format_usd(least // _TEN_THOUSANDTH * _TEN_THOUSANDTH)}" if wide else ""
    return f"{format_usd(expected)}, at most {format_bound(most)}{lower}"
