"""What a call will cost at most and what it did cost, in whole micro-dollars.

Output tokens: the calculator in OpenAI's image guide (read 2026-09-22). Input-image tokens: the patch rule
that matched real bills (community.openai.com t/1382940, 2026-06-12) and the tile rule of the 1.x models.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from gpt_image_2_mcp.capabilities import PARTIAL_TOKENS, Model, Prices, Size, find_model
from gpt_image_2_mcp.models import CachedTokens, ImageJob, InputTokens, OutputTokens, Usage

MICRO: Final = 1_000_000
_PATCH_BUDGET: Final = 1536
_HIDDEN_TEXT_TOKENS: Final = 32
"""OpenAI adds 16 to 32 tokens to a prompt."""


def output_tokens(model: Model, quality: str, size: Size) -> int | None:
    """Image-output tokens of one picture; None where the model's count is not known beforehand."""
    for row_quality, row_size, tokens in model.token_table:
        if (row_quality, row_size) == (quality, size):
            return tokens
    grid = dict(model.grids).get(quality)
    if grid is None:
        return None
    long, short = max(size.width, size.height), min(size.width, size.height)
    # In the calculator's own order, as it decides halves (1536x944); round() takes them to even, as it does.
    narrow = round(grid / (long / short))
    return math.ceil(grid * narrow * (2_000_000 + size.pixels) / 4_000_000)


def dearest_output_tokens(model: Model, quality: str, size: Size | None) -> int | None:
    """The most tokens one picture can take when quality is `auto` or size is None (auto)."""
    qualities = [quality] if quality != "auto" else [q for q in model.qualities if q != "auto"]
    # Of all legal sizes the largest square is the dearest; the fixed models have three.
    sizes = [size] if size else [row[1] for row in model.token_table] or [Size(2880, 2880)]
    counts = [output_tokens(model, q, s) for q in qualities for s in sizes]
    return max((c for c in counts if c is not None), default=None)


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


def upper_bound(job: ImageJob) -> int | None:
    """The most the job can cost, in micro-dollars; None where the model's price or tokens are not known."""
    model = find_model(job.model)
    if model is None:
        return None
    size = Size.parse(job.options.size or "auto")
    made = dearest_output_tokens(model, job.options.quality or "auto", size)
    if made is None:
        return None
    prices = model.prices
    read = _tile_tokens if model.token_table else input_image_tokens
    each = (
        # Tokens never outnumber UTF-8 bytes; 1.5 also bills the text it writes, about the prompt again.
        (len(job.prompt.encode()) + _HIDDEN_TEXT_TOKENS) * (prices.text_in + prices.text_out)
        + sum(read(image.size) for image in job.images) * prices.image_in
        + (made + PARTIAL_TOKENS * job.partials) * prices.image_out
    )
    return _micro(each * job.count)


def cost(model_id: str, usage: Usage | None) -> int | None:
    """What the call cost by its usage, in micro-dollars; None without usage or for an unknown model.

    Input tokens that the usage does not attribute to text or pictures are charged as pictures, the dearer.
    """
    model = find_model(model_id)
    if model is None or usage is None:
        return None
    return _micro(_input_cost(model.prices, usage) + _output_cost(model.prices, usage))


def _input_cost(prices: Prices, usage: Usage) -> Decimal:
    details = usage.input_tokens_details or InputTokens()
    cached = usage.cached_tokens_details or CachedTokens()
    images = max(usage.input_tokens - details.text_tokens, details.image_tokens)
    return (
        (details.text_tokens - cached.cached_text_tokens) * prices.text_in
        + cached.cached_text_tokens * prices.text_cached
        + (images - cached.cached_image_tokens) * prices.image_in
        + cached.cached_image_tokens * prices.image_cached
    )


def _output_cost(prices: Prices, usage: Usage) -> Decimal:
    text = (usage.output_tokens_details or OutputTokens()).text_tokens
    return (usage.output_tokens - text) * prices.image_out + text * prices.text_out


def _micro(amount: Decimal) -> int:
    return int(amount.to_integral_value(ROUND_HALF_UP))


def format_usd(micro: int) -> str:
    """`$0.0527`: four decimals, as the original prints."""
    return f"${micro / MICRO:.4f}"
