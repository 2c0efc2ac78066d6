"""How much is taken on at once and how large it may be: the limits, their defaults and their settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gpt_image_2_mcp.capabilities import MAX_INPUT_BYTES, MAX_INPUT_IMAGES

MB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one server; sizes are in bytes."""

    in_flight: int = 4
    queue: int = 32
    line: int = 16 * MB
    data_url: int = 12 * MB
    inputs: int = MAX_INPUT_IMAGES
    each_input: int = MAX_INPUT_BYTES
    all_inputs: int = 200 * MB
    answer: int = 256 * MB


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit as a setting: the field of Limits that it sets, and the range it may have, in its unit."""

    name: str
    field: str
    help: str
    lowest: int
    highest: int
    unit: int = 1

    @property
    def default(self) -> int:
        """The default in the setting's unit; a picture of just under 50 MB is one of 50 MB."""
        return -(-int(getattr(Limits(), self.field)) // self.unit)


TABLE: Final = (
    Limit("GPT_IMAGE_2_MAX_IN_FLIGHT", "in_flight", "Paid calls that are sent at once.", 1, 1000),
    Limit(
        "GPT_IMAGE_2_MAX_QUEUE", "queue", "Paid calls that wait behind those; more are refused.", 0, 10_000
    ),
    Limit("GPT_IMAGE_2_MAX_INPUTS", "inputs", "Input pictures of one call.", 1, MAX_INPUT_IMAGES),
    Limit("GPT_IMAGE_2_MAX_INPUT_MB", "each_input", "MB of one input picture.", 1, 50, MB),
    Limit("GPT_IMAGE_2_MAX_INPUTS_MB", "all_inputs", "MB of a call's inputs together.", 1, 1000, MB),
    Limit("GPT_IMAGE_2_MAX_DATA_URL_MB", "data_url", "MB of one data: URL, as text.", 1, 100, MB),
    Limit("GPT_IMAGE_2_MAX_LINE_MB", "line", "MB of one message on stdin.", 1, 1000, MB),
    Limit("GPT_IMAGE_2_MAX_ANSWER_MB", "answer", "MB of one answer of the API.", 1, 4000, MB),
)
