"""When a call may be sent again: only where it is proven that nothing was made, and at most twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gpt_image_2_mcp.errors import ModerationBlocked, QuotaExhausted, RateLimited, Unreachable, UpstreamError

MAX_RETRIES: Final = 2
LONGEST_WAIT_S: Final = 60.0
_FIRST_JITTER_S: Final = 1.0
_LONGEST_JITTER_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`draw(low, high)` gives a random number of seconds."""

    draw: Callable[[float, float], float] = random.uniform

    def wait_before_next(self, error: UpstreamError, attempt: int) -> float | None:
        """Seconds to wait before attempt `attempt + 1` (counted from 0); None: never send it again.

        Unsent: DNS, refused, connect or TLS time-out. Refused before work: a rate limit, or any answer that
        says `x-should-retry: true`. A wait that the API names is kept, and given up when over a minute.
        """
        if attempt >= MAX_RETRIES or not _is_safe(error):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= LONGEST_WAIT_S else None
        return self.draw(0.0, min(_FIRST_JITTER_S * 2**attempt, _LONGEST_JITTER_S))


def _is_safe(error: UpstreamError) -> bool:
    if isinstance(error, QuotaExhausted | ModerationBlocked):
        return False
    if error.should_retry is not None:
        return error.should_retry
    return isinstance(error, RateLimited) or (isinstance(error, Unreachable) and error.retryable)
