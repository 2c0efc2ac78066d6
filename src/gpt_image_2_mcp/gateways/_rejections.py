"""Translates an API error body into the error tree.

The bodies are those of openai-images.md's error table as OpenAI sent them in 2026; other servers send a bare
string or `{"detail": ...}`, so nothing beyond the status is relied upon.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from gpt_image_2_mcp.errors import (
    AccessDenied,
    AuthenticationFailed,
    EditsRejectModel,
    InvalidAnswer,
    ModelNotFound,
    ModerationBlocked,
    OrganizationNotVerified,
    OutcomeUnknown,
    QuotaExhausted,
    RateLimited,
    Rejected,
    UpstreamError,
    UpstreamFailure,
    UpstreamTimeout,
)
from gpt_image_2_mcp.redaction import clean

BILLING_CODES: Final = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
)
MODERATION_CODES: Final = frozenset(
    {"moderation_blocked", "content_policy_violation", "image_content_policy_violation", "contentFilter"}
)
SERVER_TYPES: Final = frozenset(
    {"server_error", "image_generation_server_error", "service_unavailable_error"}
)
# The whole message, so that a prompt which contains the sentence cannot pass for it.
_LAUNCH_ERA = re.compile(r"Invalid value: '[\w.-]{1,100}'\. Value must be 'dall-e-2'\.")
_TRANSPARENCY_HINT = (
    "Nothing was made: use background opaque or auto, or model gpt-image-2.5-flare, which makes real "
    "transparency."
)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error answer says of itself; empty strings where it says nothing."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str = ""
    stage: str | None = None
    categories: tuple[str, ...] = ()

    @classmethod
    def parse(cls, body: bytes) -> ErrorBody:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return cls()
        return cls.from_document(document)

    @classmethod
    def from_document(cls, document: Any) -> ErrorBody:
        if not isinstance(document, Mapping):
            return cls()
        error = document.get("error", document.get("detail"))
        if not isinstance(error, Mapping):
            return cls(message=clean(error if isinstance(error, str) else json.dumps(error or "")))
        details = error.get("moderation_details")
        details = details if isinstance(details, Mapping) else {}
        return cls(
            message=clean(_text(error.get("message"))),
            type=_text(error.get("type")),
            code=_text(error.get("code")),
            param=_text(error.get("param")),
            stage=clean(_text(details.get("moderation_stage")), 40) or None,
            categories=_categories(details.get("categories"), _text(error.get("message"))),
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _categories(listed: object, message: str) -> tuple[str, ...]:
    if isinstance(listed, list):
        return tuple(clean(item, 40) for item in listed if isinstance(item, str))[:12]
    named = re.search(r"safety_violations=\[([\w/, -]{1,200})\]", message)
    return tuple(name.strip() for name in named[1].split(",")) if named else ()


def rejection(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error for an answer with a status other than 200."""
    return error_for(status, ErrorBody.parse(body), headers)


def error_for(status: int, error: ErrorBody, headers: Mapping[str, str]) -> UpstreamError:
    """The error for a parsed body; for one inside a 200, `status` is what its type would have had."""
    request_id = headers.get("x-request-id") or headers.get("apim-request-id")
    by_code = _by_code(status, error, request_id)
    if by_code:
        return by_code
    said = f": {error.message}" if error.message else "."
    if status == 429:
        message = f"OpenAI's rate limit was reached{said}"
        return RateLimited(message, retry_after=retry_after(headers, error.message), request_id=request_id)
    if status == 408:
        return UpstreamTimeout(f"OpenAI gave up on the call (408){said}", request_id=request_id)
    if status >= 500:
        return UpstreamFailure(f"OpenAI failed with status {status}{said}", request_id=request_id)
    if status == 409:
        return OutcomeUnknown(f"OpenAI reported a conflict (409){said}", request_id=request_id)
    return _refusal(status, error, said, request_id)


def _by_code(status: int, error: ErrorBody, request_id: str | None) -> UpstreamError | None:
    if error.code == "invalid_value" and error.param == "model" and _LAUNCH_ERA.fullmatch(error.message):
        return EditsRejectModel(f"OpenAI refused the edit: {error.message}", request_id=request_id)
    if error.code in MODERATION_CODES:
        return _moderation(error, request_id)
    if "organization must be verified" in error.message.lower():
        message = "OpenAI refused the call because the organization is not verified for this model."
        return OrganizationNotVerified(message, request_id=request_id)
    if error.code in BILLING_CODES or error.type == "insufficient_quota":
        message = f"The OpenAI account has no budget left ({error.code or error.type})."
        return QuotaExhausted(message, request_id=request_id)
    if status == 404 and error.code in ("model_not_found", "DeploymentNotFound"):
        return ModelNotFound(
            f"OpenAI does not offer that model to this key: {error.message}", request_id=request_id
        )
    return None


def _moderation(error: ErrorBody, request_id: str | None) -> ModerationBlocked:
    where = {"input": "the prompt or input pictures", "output": "the picture that was made"}
    what = where.get(error.stage or "", "the request")
    categories = f" ({', '.join(error.categories)})" if error.categories else ""
    stage = f", stage {error.stage}" if error.stage else ""
    message = f"OpenAI's moderation blocked {what}{categories}{stage}."
    return ModerationBlocked(message, stage=error.stage, categories=error.categories, request_id=request_id)


def _refusal(status: int, error: ErrorBody, said: str, request_id: str | None) -> Rejected:
    if status == 401:
        return AuthenticationFailed("OpenAI did not accept the API key.", request_id=request_id)
    if status == 403:
        return AccessDenied(f"OpenAI denied access{said}", request_id=request_id)
    if status == 404:
        hint = "Check OPENAI_BASE_URL: it should end in /v1 and lead to an OpenAI-compatible API."
        return Rejected(f"The API address was not found{said}", hint=hint, request_id=request_id)
    if 300 <= status < 400:
        hint = "Set OPENAI_BASE_URL to the final address; redirects are not followed."
        return Rejected(f"The API answered with a redirect ({status}).", hint=hint, request_id=request_id)
    advice = _TRANSPARENCY_HINT if "transparent background" in error.message.lower() else None
    return Rejected(f"OpenAI refused the request ({status}){said}", hint=advice, request_id=request_id)


def error_in_answer(document: Mapping[str, Any]) -> UpstreamError:
    """The error for a 200 whose body holds an error instead of pictures."""
    error = ErrorBody.from_document(document)
    if error.type in SERVER_TYPES or error.code == "server_error":
        return error_for(500, error, {})
    if error.message or error.code:
        return error_for(400, error, {})
    return InvalidAnswer("OpenAI's answer holds an error without a message.")


def retry_after(headers: Mapping[str, str], message: str = "") -> float | None:
    """Seconds to wait, by `retry-after-ms`, `retry-after` (seconds or date) or the message; else None."""
    if (wait := _seconds(headers.get("retry-after-ms", ""))) is not None:
        return wait / 1000
    stated = headers.get("retry-after", "")
    if (wait := _seconds(stated)) is not None:
        return wait
    try:
        until = parsedate_to_datetime(stated)
    except (TypeError, ValueError):
        pass
    else:
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max((until - datetime.now(UTC)).total_seconds(), 0.0)
    found = re.search(r"try again in (?:(\d+)m)?([\d.]+)(ms|s)", message)
    if not found:
        return None
    seconds = float(found[2]) / (1000 if found[3] == "ms" else 1)
    return int(found[1] or 0) * 60 + seconds


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= 86_400 else None
