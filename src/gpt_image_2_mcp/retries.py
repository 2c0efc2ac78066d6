"""When a call may be sent again: only where it is proven that nothing was made, and not for ever."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from gpt_image_2_mcp.errors import ModerationBlocked, QuotaExhausted, RateLimited, Unreachable, UpstreamError

MAX_RETRIES: Final = 2
LONGEST_WAIT_S: Final = 60.0
LONGEST_LIMITED_S: Final = 900.0
"""How long all waits of one call together may be that a rate limit asked for."""
_FIRST_JITTER_S: Final = 1.0
_LONGEST_JITTER_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a call was sent: `posts` in all, `limited` of them refused for the account's rate, which
    asked for `limited_s` seconds together; `wait_s` is what is to be waited now.
    """

    posts: int = 0
    limited: int = 0
    limited_s: float = 0.0
    wait_s: float = 0.0

    @property
    def failed(self) -> int:
        """Those that count towards the most there may be."""
        return self.posts - self.limited

    def after(self, error: UpstreamError, wait_s: float) -> Tries:
        """With one more that ended in `error` and is followed by another after `wait_s`."""
        sent = replace(self, posts=self.posts + 1, wait_s=wait_s)
        if not isinstance(error, RateLimited):
            return sent
        return replace(sent, limited=self.limited + 1, limited_s=self.limited_s + wait_s)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`draw(low, high)` gives a random number of seconds."""

    draw: Callable[[float, float], float] = random.uniform

    def wait_before_next(self, error: UpstreamError, tries: Tries) -> float | None:
        """Seconds to wait before another try after `error`, `tries` being those before it; None: never.

        Unsent: DNS, refused, connect or TLS time-out. Refused before work: a rate limit, or any answer that
        says `x-should-retry: true`. A wait that the API names is kept, and given up when over a minute. A
        rate limit is no failure: it is waited out as often as it takes, for a quarter of an hour at most.
        """
        if not _is_safe(error) or (error.retry_after or 0) > LONGEST_WAIT_S:
            return None
        if isinstance(error, RateLimited):
            wait = self._limited(error, tries)
            return wait if tries.limited_s + wait <= LONGEST_LIMITED_S else None
        return self._named_or_drawn(error, tries.failed) if tries.failed < MAX_RETRIES else None

    def _named_or_drawn(self, error: UpstreamError, before: int) -> float:
        return self.draw(0.0, _most(before)) if error.retry_after is None else error.retry_after

    def _limited(self, error: RateLimited, tries: Tries) -> float:
        """As named; one that was often refused waits longer, so that an API which names nothing gets rest."""
        wait = self._named_or_drawn(error, tries.limited)
        if tries.limited < MAX_RETRIES:
            return wait
        most = _most(tries.limited)
        return max(wait, self.draw(most / 2, most))


def _most(before: int) -> float:
    """The longest random wait after so many tries, which doubles from one to the next."""
    return min(_FIRST_JITTER_S * 2.0 ** min(before, 10), _LONGEST_JITTER_S)


def _is_safe(error: UpstreamError) -> bool:
    if isinstance(error, QuotaExhausted | ModerationBlocked):
        return False
    if error.should_retry is not None:
        return error.should_retry
    return isinstance(error, RateLimited) or (isinstance(error, Unreachable) and error.retryable)
