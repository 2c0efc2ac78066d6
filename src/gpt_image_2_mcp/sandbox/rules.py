"""What each model accepts: the sandbox's own table, shared with no other part of the package.

It is kept apart from the server's table on purpose: one comparing the two finds mistakes in either.
Sources: OpenAI's API reference, guide and deprecations page, and the openai package 3.54, read 2026-11-22.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final

PROMPT_MAX_CHARS: Final = 32_000
N_MAX: Final = 10
PARTIAL_IMAGES_MAX: Final = 3
IMAGES_MAX: Final = 16
IMAGE_MAX_BYTES: Final = 50_000_000
"""Each image must be smaller than this."""
IMAGE_URL_MAX_CHARS: Final = 20_971_520

IMAGE_MIMETYPES: Final = ("image/jpeg", "image/png", "image/webp")
STANDARD_FORMATS: Final = ("png", "jpeg", "webp")
ALL_FORMATS: Final = (*STANDARD_FORMATS, "gif", "svg")
COMPRESSED_FORMATS: Final = ("jpeg", "webp")
TRANSPARENT_FORMATS: Final = ("png", "webp")

STANDARD_QUALITIES: Final = ("low", "medium", "high")
ALL_QUALITIES: Final = (*STANDARD_QUALITIES, "xhigh", "max")
EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

FIXED_SIZES: Final = ("1024x1024", "1536x1024", "1024x1536")
SIZE_MULTIPLE: Final = 16
EDGE_MAX: Final = 3840
RATIO_MAX: Final = 3
PIXELS_MIN: Final = 655_360
PIXELS_MAX: Final = 8_294_400

FRAMES_MIN, FRAMES_MAX, FRAMES_DEFAULT = 2, 16, 9
FRAME_MS_DEFAULT: Final = 200
FRAME_MS_MAX: Final = 655_350

SHARED_NAMES: Final = frozenset(
    {
        "prompt",
        "model",
        "n",
        "size",
        "quality",
        "background",
        "output_format",
        "output_compression",
        "stream",
        "partial_images",
        "complexity",
        "frame_count",
        "frame_duration_ms",
        "svg",
        "safety_identifier",
        "user",
    }
)
GENERATION_NAMES: Final = SHARED_NAMES | {"moderation"}
EDIT_JSON_NAMES: Final = SHARED_NAMES | {"moderation", "images", "mask", "input_fidelity"}
# The multipart schema has no `moderation`; the JSON one has (OpenAI's openapi.yaml, 2026-08-21).
EDIT_FORM_NAMES: Final = SHARED_NAMES | {
    "image",
    "image[]",
    "mask",
    "markup",
    "input_fidelity",
    "svg[model]",
    "svg[reasoning][effort]",
}


@dataclass(frozen=True)
class ModelRule:
    """What one model accepts, beyond what all of them do."""

    name: str
    created: date
    shutdown: date | None = None
    flexible_sizes: bool = True
    qualities: tuple[str, ...] = STANDARD_QUALITIES
    transparent: bool = True
    formats: tuple[str, ...] = STANDARD_FORMATS
    input_fidelity: tuple[str, ...] = ()
    markup: bool = False
    complexity: bool = False

    def retired(self, today: date) -> bool:
        return self.shutdown is not None and self.shutdown <= today


_DECEMBER: Final = date(2026, 12, 1)


def _older(name: str, created: date, *, shutdown: date, input_fidelity: tuple[str, ...] = ()) -> ModelRule:
    return ModelRule(name, created, shutdown, flexible_sizes=False, input_fidelity=input_fidelity)


def _two(name: str) -> ModelRule:
    # OpenAI calls transparency "in preview" here; callers met this refusal until October 2026.
    return ModelRule(name, date(2026, 4, 21), transparent=False)


def _two_five(name: str) -> ModelRule:
    return ModelRule(name, date(2026, 9, 8), qualities=ALL_QUALITIES, markup=True)


def _two_six(name: str) -> ModelRule:
    return ModelRule(
        name,
        date(2026, 11, 4),
        qualities=ALL_QUALITIES,
        markup=True,
        complexity=True,
        formats=ALL_FORMATS,
    )


_RULES: Final = (
    _older("dall-e-2", date(2022, 11, 3), shutdown=date(2026, 5, 12)),
    _older("dall-e-3", date(2023, 11, 6), shutdown=date(2026, 5, 12)),
    _older("gpt-image-1", date(2025, 4, 23), shutdown=date(2026, 10, 23)),
    _older("gpt-image-1-mini", date(2025, 10, 6), shutdown=_DECEMBER, input_fidelity=("low",)),
    _older("gpt-image-1.5", date(2025, 12, 16), shutdown=_DECEMBER, input_fidelity=("low", "high")),
    _older(
        "gpt-image-1.5-2025-12-16", date(2025, 12, 16), shutdown=_DECEMBER, input_fidelity=("low", "high")
    ),
    _older("chatgpt-image-latest", date(2025, 12, 16), shutdown=_DECEMBER),
    _two("gpt-image-2"),
    _two("gpt-image-2-2026-04-21"),
    _two_five("gpt-image-2.5-flare"),
    _two_five("gpt-image-2.5-flare-2026-09-08"),
    _two_five("gpt-image-2.5-sunburst"),
    _two_five("gpt-image-2.5-sunburst-2026-09-08"),
    _two_six("gpt-image-2.6-flare"),
    _two_six("gpt-image-2.6-sunburst"),
)

MODEL_RULES: Final[Mapping[str, ModelRule]] = MappingProxyType({rule.name: rule for rule in _RULES})
RESPONSES_DEFAULT_MODEL: Final = "gpt-image-2.6-sunburst"


def gif_sheet(frames: int) -> tuple[int, int]:
    """Columns and rows of the sheet on which a GIF's frames lie while they are made.

    Inferred from the frame limits third parties met (docs.apiyi.com, 2026-11-09): square frames up to 960
    pixels for 2 to 9 frames, 816 for 10 to 12 and 720 for 13 to 16.
    """
    if frames <= 8:
        return 4, 2
    if frames == 9:
        return 3, 3
    return (4, 3) if frames <= 12 else (4, 4)
