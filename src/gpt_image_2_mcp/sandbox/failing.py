"""The answers of each fault mode that replaces an answer whole."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from starlette.responses import HTMLResponse, JSONResponse, Response

from gpt_image_2_mcp.sandbox.errors import ApiError, generation_failed, invalid_value, unverified

_MODEL: Final = "gpt-image-2"
_PLAN: Final = "please check your plan and billing details."
_DOCS: Final = "https://platform.openai.com/docs/guides/error-codes/api-errors"
_GATEWAY_PAGE: Final = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


def _server_error() -> ApiError:
    return ApiError(
        500,
        "The server had an error while processing your request. Sorry about that! You can retry your "
        "request, or contact us through our help center at help.openai.com if the error persists.",
        kind="server_error",
        code="server_error",
    )


def _quota(code: str, message: str) -> ApiError:
    return ApiError(429, message, kind="insufficient_quota", code=code)


_REFUSALS: Final[Mapping[str, Callable[[], ApiError]]] = MappingProxyType(
    {
        "unverified": lambda: unverified(_MODEL),
        "country": lambda: ApiError(
            403,
            "Country, region, or territory not supported",
            kind="request_forbidden",
            code="unsupported_country_region_territory",
        ),
        "quota": lambda: _quota(
            "insufficient_quota",
            f"You exceeded your current quota, {_PLAN} For more information on this error, read the docs: "
            f"{_DOCS}.",
        ),
        "spend_limit": lambda: _quota(
            "project_spend_limit_exceeded", f"Your project has reached its spend limit, {_PLAN}"
        ),
        "hard_limit": lambda: ApiError(
            400, "Billing hard limit has been reached.", code="billing_hard_limit_reached"
        ),
        "slow_down": lambda: ApiError(
            429,
            "Your request rate rose too quickly. Please slow down.",
            kind="rate_limit_error",
            code="slow_down",
        ),
        "server_error": _server_error,
        "generation_failed": generation_failed,
        "overloaded": lambda: ApiError(
            503,
            "The server is currently overloaded. Please try again later.",
            kind="service_unavailable_error",
            code="server_is_overloaded",
        ),
        "dalle2": lambda: invalid_value("model", f"Invalid value: '{_MODEL}'. Value must be 'dall-e-2'."),
    }
)


def _rate_limited(retry_after: int) -> ApiError:
    return ApiError(
        429,
        f"Rate limit reached for {_MODEL} in organization org-sandbox on images per minute (IPM): Limit 5, "
        f"Used 5, Requested 1. Please try again in {retry_after}s.",
        kind="requests",
        code="rate_limit_exceeded",
        headers={
            "retry-after": str(retry_after),
            "x-ratelimit-limit-requests": "5",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{retry_after}s",
        },
    )


def failure(mode: str, retry_after: int) -> Response:
    """The answer of a fault mode; `retry_after` is in seconds."""
    if mode == "html":
        return HTMLResponse(_GATEWAY_PAGE, 502)
    if mode == "error200":
        return JSONResponse(_server_error().body())
    error = _rate_limited(retry_after) if mode == "rate_limit" else _REFUSALS[mode]()
    return JSONResponse(error.body(), error.status, error.headers)
