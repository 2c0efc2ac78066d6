"""The failures the sandbox can be asked to show, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

FAULT_HEADER: Final = "x-sandbox-fault"

FAULT_MODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unverified": "403: the organization must be verified to use the model",
        "country": "403: country, region or territory not supported",
        "quota": "429 insufficient_quota: the quota is used up; never worth a retry",
        "spend_limit": "429 project_spend_limit_exceeded: a newer billing refusal",
        "hard_limit": "400 billing_hard_limit_reached: an older billing refusal",
        "rate_limit": "429 rate_limit_exceeded with a Retry-After header",
        "slow_down": "429 slow_down: the request rate rose too quickly",
        "server_error": "500: the server had an error while processing the request",
        "generation_failed": "500 image_generation_failed",
        "overloaded": "503 server_is_overloaded",
        "html": "502: a gateway's HTML page instead of JSON",
        "dalle2": "400 on edits only: Value must be 'dall-e-2' (seen April to June 2026)",
        "error200": "200 with an error body",
        "empty": "200 with no picture in the answer",
        "bad_base64": "200 with text that is not base64 in place of the picture",
        "stream_error": "streams only: an error event where the final picture should be",
        "stream_cut": "streams only: the stream ends halfway through the final event",
    }
)
"""Mode name to one line of help."""

EDIT_MODES: Final = frozenset({"dalle2"})
"""Modes that strike image edits and nothing else."""

BODY_MODES: Final = frozenset({"empty", "bad_base64", "stream_error", "stream_cut"})
"""Modes that spoil the body of an answer which was otherwise made in the usual way."""


@dataclass(frozen=True)
class Faults:
    """What a sandbox should do wrong, on image and Responses requests.

    `delay` is in seconds and comes before every such answer. `mode` is a key of `FAULT_MODES`; the first
    `count` requests show it and the later ones are served (0: every request shows it). `retry_after` is the
    number of seconds that `rate_limit` names. A request may carry its own mode in the header
    `x-sandbox-fault`, on any route; it then uses up no count.

    Raises ValueError for an unknown mode and for negative numbers.
    """

    delay: float = 0.0
    mode: str | None = None
    count: int = 0
    retry_after: int = 1

    def __post_init__(self) -> None:
        if self.mode is not None and self.mode not in FAULT_MODES:
            raise ValueError(f"unknown fault mode {self.mode!r}; choose from {', '.join(FAULT_MODES)}")
        if min(self.delay, self.count, self.retry_after) < 0:
            raise ValueError("delay, count and retry_after must not be negative")
