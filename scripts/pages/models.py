"""What each model can do and costs."""

from __future__ import annotations

from typing import Final

from gpt_image_2_mcp.capabilities import (
    MODELS,
    Model,
    facts_of,
    find_model,
)
from gpt_image_2_mcp.commands.models import in_words
from gpt_image_2_mcp.pricing import MICRO, output_tokens
from gpt_image_2_mcp.sizes import Size
from pages.markdown import NOTICE, table

COST_SIZES: Final = ("1024x1024", "1536x1024", "2048x2048", "3840x2160")
MODELS_HEAD: Final = f"""\
# Models

{NOTICE}

What each model can do and costs, and what that rests on: `documented` by OpenAI, `reported` by others who
measured or met it, or `unknown`, so that a guess stands there. `gpt-image-2-mcp models --json` says the same
to scripts. Any other model id is tried as it is: its options are not checked, and it has no price.

- Sizes are in pixels, for each frame of a GIF counted on the sheet of all its frames.
- Prices are in US dollars for a million tokens.
- Tokens are of one picture: `grids` is the long side of OpenAI's calculator, `table` the count itself,
  `factors` the least and the most of what the grids give, where that is all that is known.
- `tried` is sent when asked for though the API may refuse it; `input fidelity` and `complexity` are
  arguments that a model without values for them does not take.
- Seconds are what a picture of 1024x1024 usually takes.
"""


def costs_table() -> str:
    """The price of one picture's output tokens, by size and quality."""
    return "\n".join(map(_costs, ("gpt-image-2", "gpt-image-2.5-flare")))


def _costs(model_id: str) -> str:
    model = find_model(model_id)
    assert model is not None  # noqa: S101 - the two names above are in the table
    qualities = [quality for quality, _ in model.tokens.grids]

    def price(quality: str, size: str) -> str:
        tokens = output_tokens(model, quality, Size(*map(int, size.split("x"))))
        return "" if tokens is None else f"${int(tokens.expected * model.prices.image_out) / MICRO:.3f}"

    rows = ((size, *(price(quality, size) for quality in qualities)) for size in COST_SIZES)
    return table((f"`{model_id}`", *qualities), rows)


def models_page() -> str:
    """Every fact of every model, with its source."""
    return MODELS_HEAD + "".join(map(_model_section, MODELS))


def _model_section(model: Model) -> str:
    rows = (_fact(model, name, value) for name, value in facts_of(model).items())
    return f"\n## {model.id}\n\n{table(('What', 'Value', 'Confidence', 'Source', 'Read'), rows)}"


def _fact(model: Model, name: str, value: object) -> tuple[str, ...]:
    source = model.source_of(name)
    return name.replace("_", " "), in_words(value), source.confidence, source.where, source.read.isoformat()
