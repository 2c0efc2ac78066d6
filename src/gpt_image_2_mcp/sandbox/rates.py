"""The limit of images per minute: counted by model over a sliding minute, told in headers and refusals."""

import math
from collections import deque
from collections.abc import Callable

from gpt_image_2_mcp.sandbox.errors import ApiError

MINUTE_S = 60.0


class ImageRate:
    """`limit` pictures of each model in any minute; None: no limit, and nothing is told of one.

    What is refused does not count. A request for more than the limit is served when nothing else was in the
    minute before it; what OpenAI does with one is documented nowhere.
    """

    def __init__(self, limit: int | None, clock: Callable[[], float]) -> None:
        self._limit, self._clock = limit, clock
        self._admitted: dict[str, deque[tuple[float, int]]] = {}

    def admit(self, model: str, count: int) -> dict[str, str]:
        """Count a request's pictures; the headers of its answer.

        Raises:
            ApiError: 429, with those headers and the wait in words.
        """
        if self._limit is None:
            return {}
        now, admitted = self._clock(), self._admitted.setdefault(model, deque())
        while admitted and admitted[0][0] <= now - MINUTE_S:
            admitted.popleft()
        used = sum(pictures for _, pictures in admitted)
        if used and used + count > self._limit:
            raise _refusal(model, self._limit, used, count, _until(admitted, now, used + count - self._limit))
        admitted.append((now, count))
        return _headers(self._limit, used + count, MINUTE_S)


def _until(admitted: deque[tuple[float, int]], now: float, too_many: int) -> float:
    """Seconds until so many pictures are a minute old, or all are."""
    for at, pictures in admitted:
        too_many -= pictures
        if too_many <= 0:
            return at + MINUTE_S - now
    return admitted[-1][0] + MINUTE_S - now


def _headers(limit: int, used: int, reset_s: float) -> dict[str, str]:
    return {
        "x-ratelimit-limit-images": str(limit),
        "x-ratelimit-remaining-images": str(max(limit - used, 0)),
        "x-ratelimit-reset-images": _span(reset_s),
    }


def _span(seconds: float) -> str:
    """As in recorded answers: `120ms`, `58.891s`; rounded up, so that who waits so long has waited enough."""
    milliseconds = math.ceil(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds < 1000 else f"{milliseconds / 1000:g}s"


def _refusal(model: str, limit: int, used: int, count: int, wait_s: float) -> ApiError:
    """Worded as clients' test fixtures have it; the wait stands in words and headers of its own alone."""
    return ApiError(
        429,
        f"Rate limit reached for {model} in organization org-sandbox on images per minute (IPM): "
        f"Limit {limit}, Used {used}, Requested {count}. Please try again in {_span(wait_s)}.",
        kind="requests",
        code="rate_limit_exceeded",
        headers=_headers(limit, used, wait_s),
    )
