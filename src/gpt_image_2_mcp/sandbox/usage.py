"""Token counts by the published and measured formulas."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

PARTIAL_IMAGE_TOKENS: Final = 100
"""Image output tokens charged for each partial picture delivered."""

_GRIDS: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "gpt-image-2": {"low": 16, "medium": 48, "high": 96},
        "gpt-image-2.5": {"low": 16, "medium": 24, "high": 48, "xhigh": 64, "max": 96},
    }
)
_LEGACY: Final[Mapping[str, Mapping[str, int]]] = MappingProxyType(
    {
        "low": {"1024x1024": 272, "1024x1536": 408, "1536x1024": 400},
        "medium": {"1024x1024": 1056, "1024x1536": 1584, "1536x1024": 1568},
        "high": {"1024x1024": 4160, "1024x1536": 6240, "1536x1024": 6208},
    }
)
_PATCH: Final = 32
_PATCH_BUDGET: Final = 1536
# A prompt is accompanied by about 16 to 32 tokens of hidden text.
_HIDDEN_TEXT_TOKENS: Final = 16


def family(model: str) -> str:
    """The token family: 'gpt-image-2.6', 'gpt-image-2.5', 'gpt-image-2' or 'legacy'."""
    for prefix in ("gpt-image-2.6", "gpt-image-2.5", "gpt-image-2"):
        if model.startswith(prefix):
            return prefix
    return "legacy"


def output_tokens(model: str, quality: str, width: int, height: int) -> int:
    """Image output tokens of one picture. Sizes of legacy models are the three fixed ones."""
    kind = family(model)
    if kind == "legacy":
        return _LEGACY[quality][f"{width}x{height}"]
    if kind == "gpt-image-2.6":
        return _two_six_tokens(quality, width, height)
    return _grid_tokens(_GRIDS[kind][quality], width, height)


def _grid_tokens(long_side: int, width: int, height: int) -> int:
    """OpenAI's calculator (guide, read 2026-09-22); Python's round takes halves to even, as it does."""
    short_side = round(long_side / (max(width, height) / min(width, height)))
    return -(-long_side * short_side * (2_000_000 + width * height) // 4_000_000)


def _two_six_tokens(quality: str, width: int, height: int) -> int:
    """A stand-in: no formula is known for 2.6.

    Fitted to docs.laozhang.ai, 2026-11-05: low and medium take 3 to 4 times the tokens of 2.5 (1536x1024 low:
    664), high and above the same (1536x1024 high: 1353, where 2.5 takes 1372).
    """
    base = _grid_tokens(_GRIDS["gpt-image-2.5"][quality], width, height)
    fifths = {"low": 21, "medium": 15}.get(quality, 5)
    return -(-base * fifths // 5)


def input_image_tokens(model: str, width: int, height: int, input_fidelity: str = "low") -> int:
    """Image input tokens of one reference picture; masks are not counted.

    The patch count is used for 2.6 too, whose own is unknown.
    """
    if family(model) == "legacy":
        return _tile_tokens(width, height) + _fidelity_tokens(width, height, input_fidelity)
    return _patch_tokens(width, height)


def _patch_tokens(width: int, height: int) -> int:
    """The form that matched five real bills (community.openai.com t/1382940, 2026-06-12)."""
    if max(width, height) < 1024:
        scale = 1024 / max(width, height)
        width, height = round(width * scale), round(height * scale)
    patches = _patches(width, height)
    if patches <= _PATCH_BUDGET:
        return patches
    scale = math.sqrt(_PATCH * _PATCH * _PATCH_BUDGET / (width * height))
    across, down = width * scale / _PATCH, height * scale / _PATCH
    scale *= min(math.floor(across) / across, math.floor(down) / down)
    return _patches(math.floor(width * scale), math.floor(height * scale))


def _patches(width: int, height: int) -> int:
    return math.ceil(width / _PATCH) * math.ceil(height / _PATCH)


def _tile_tokens(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    scale = 512 / min(width * scale, height * scale) * scale
    tiles = math.ceil(round(width * scale) / 512) * math.ceil(round(height * scale) / 512)
    return 65 + 129 * tiles


def _fidelity_tokens(width: int, height: int, input_fidelity: str) -> int:
    if input_fidelity != "high":
        return 0
    return 4160 if width == height else 6240


def text_tokens(text: str) -> int:
    """An estimate: four ASCII characters a token, one token for any other character, and the hidden text."""
    ascii_chars = sum(char.isascii() for char in text)
    return _HIDDEN_TEXT_TOKENS + -(-ascii_chars // 4) + len(text) - ascii_chars


def text_output_tokens(model: str, prompt: str) -> int:
    """Text output tokens of one picture: 1.5 and chatgpt-image-latest alone bill them. A guess."""
    billed = model.startswith(("gpt-image-1.5", "chatgpt-image"))
    return text_tokens(prompt) if billed else 0


def images_usage(*, text_in: int, image_in: int, image_out: int, text_out: int = 0) -> dict[str, object]:
    """The `usage` member of an Images answer."""
    return {
        "input_tokens": text_in + image_in,
        "input_tokens_details": {"text_tokens": text_in, "image_tokens": image_in},
        "output_tokens": image_out + text_out,
        "output_tokens_details": {"text_tokens": text_out, "image_tokens": image_out},
        "total_tokens": text_in + image_in + image_out + text_out,
    }


def request_usage(
    model: str,
    prompt: str,
    *,
    rendered: Sequence[tuple[int, int]],
    quality: str,
    inputs: Sequence[tuple[int, int]] = (),
    input_fidelity: str = "low",
    partials: int = 0,
) -> dict[str, object]:
    """Usage of pictures of the sizes `rendered`, each billed as a call of its own with all its inputs."""
    image_in = sum(input_image_tokens(model, *size, input_fidelity) for size in inputs)
    image_out = sum(output_tokens(model, quality, *size) for size in rendered)
    return images_usage(
        text_in=text_tokens(prompt) * len(rendered),
        image_in=image_in * len(rendered),
        image_out=image_out + PARTIAL_IMAGE_TOKENS * partials,
        text_out=text_output_tokens(model, prompt) * len(rendered),
    )
