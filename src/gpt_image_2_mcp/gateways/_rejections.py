"""Translates an API error body into the error tree.

The bodies are those of openai-images.md's error table as OpenAI sent them in 2026; other servers send a bare
string or `{"detail": ...}`, so nothing beyond the status is relied upon.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
_REQUEST_IDS: Final = ("x-request-id", "apim-request-id", "x-ms-request-id")  # OpenAI's; Azure's two
SERVER_TYPES: Final = frozenset(
    {"server_error", "image_generation_server_error", "service_unavailable_error"}
)
# The whole message, so that a prompt which contains the sentence cannot pass for it.
_LAUNCH_ERA = re.compile(r"Invalid value: '[\w.-]{1,100}'\. Value must be 'dall-e-2'\.")
_SPAN = r"(?:(\d{1,2})h)?(?:(\d{1,4})m(?!s))?(\d{1,6}(?:\.\d+)?)(ms|s)"
_WAIT = re.compile(f"try again in {_SPAN}", re.ASCII)
_RESET = re.compile(_SPAN, re.ASCII)
# "on input-images per min" is another limit, of what is sent up.
_PER_MINUTE = re.compile(r"\bon images per min(?:ute)?\b(?: \(IPM\))?: Limit (\d{1,6})\b", re.ASCII)
_RESOURCES: Final = ("images", "input-images", "requests", "tokens")
_LONGEST_WAIT_S: Final = 86_400.0
_TRANSPARENCY_HINT = (
    "Nothing was made: use background opaque or auto, or model gpt-image-2.5-flare, which makes real "
    "transparency."
)

_DEPLOYMENT_HINT: Final = (
    "Name the deployment in GPT_IMAGE_2_DEPLOYMENTS, such as my-images=gpt-image-2, and restart the server."
)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error answer of `server` says of itself; empty strings where it says nothing."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str = ""
    stage: str | None = None
    categories: tuple[str, ...] = ()
    server: str = "OpenAI"

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
        error = document.get("error") or document.get("detail")
        if not isinstance(error, Mapping):
            said = filter(None, (_complaints(error), _text(document.get("message"))))
            return cls(message=clean(": ".join(said)))
        details = error.get("moderation_details")
        details = details if isinstance(details, Mapping) else {}
        return cls(
            message=clean(_text(error.get("message"))),
            type=clean(_text(error.get("type")), 100),
            code=clean(_text(error.get("code")), 100),
            param=clean(_text(error.get("param")), 100),
            stage=clean(_text(details.get("moderation_stage")), 40) or None,
            categories=_categories(details.get("categories"), _text(error.get("message"))),
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _complaints(error: object) -> str:
    """An error that is no object: a sentence, or the list of a validating server without what it was sent."""
    if not isinstance(error, list):
        return _text(error)
    found = [_complaint(item) if isinstance(item, Mapping) else _text(item) for item in error]
    return "; ".join(filter(None, found))


def _complaint(item: Mapping[str, Any]) -> str:
    message, place = _text(item.get("msg")), item.get("loc")
    if not message or not isinstance(place, list):
        return message
    return f"{'.'.join(str(step) for step in place if isinstance(step, str | int))}: {message}"


def _categories(listed: object, message: str) -> tuple[str, ...]:
    if isinstance(listed, list):
        return tuple(clean(item, 40) for item in listed if isinstance(item, str))[:12]
    named = re.search(r"safety_violations=\[([\w/, -]{1,200})\]", message)
    return tuple(name.strip() for name in named[1].split(",")) if named else ()


def rejection(status: int, headers: Mapping[str, str], body: bytes, server: str = "OpenAI") -> UpstreamError:
    """The error for an answer with a status other than 200, with what it says of trying again."""
    error = error_for(status, replace(ErrorBody.parse(body), server=server), headers)
    error.should_retry = {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())
    if error.retry_after is None:
        error.retry_after = retry_after(headers)
    return error


def error_for(status: int, error: ErrorBody, headers: Mapping[str, str]) -> UpstreamError:
    """The error for a parsed body."""
    named = (headers.get(name) for name in _REQUEST_IDS)
    request_id = clean(next(filter(None, named), ""), 100) or None
    by_code = _by_code(status, error, request_id)
    if by_code:
        return by_code
    said = f": {error.message or error.code}" if error.message or error.code else "."
    if status == 429:
        return _rate_limited(
            f"{error.server}'s rate limit was reached{said}", error.message, headers, request_id
        )
    if status == 408:
        return UpstreamTimeout(f"{error.server} gave up on the call (408){said}", request_id=request_id)
    if status >= 500:
        return UpstreamFailure(f"{error.server} failed with status {status}{said}", request_id=request_id)
    if status == 409:
        return OutcomeUnknown(f"{error.server} reported a conflict (409){said}", request_id=request_id)
    return _refusal(status, error, said, request_id)


def _by_code(status: int, error: ErrorBody, request_id: str | None) -> UpstreamError | None:
    launch_era = (status, error.code, error.param) == (400, "invalid_value", "model")
    if launch_era and _LAUNCH_ERA.fullmatch(error.message):
        return EditsRejectModel(f"{error.server} refused the edit: {error.message}", request_id=request_id)
    if error.code in MODERATION_CODES:
        return _moderation(error, request_id)
    if status in (400, 403) and "organization must be verified" in error.message.lower():
        message = f"{error.server} refused the call because the organization is not verified for this model."
        return OrganizationNotVerified(message, request_id=request_id)
    if error.code in BILLING_CODES or error.type == "insufficient_quota":
        message = f"The {error.server} account has no budget left ({error.code or error.type})."
        return QuotaExhausted(message, hint=_elsewhere(error), request_id=request_id)
    if status == 404 and error.code in ("model_not_found", "DeploymentNotFound"):
        message = f"{error.server} does not offer that model to this key: {error.message}"
        hint = _DEPLOYMENT_HINT if error.code == "DeploymentNotFound" else None
        return ModelNotFound(message, hint=hint, request_id=request_id)
    return None


def _rate_limited(told: str, message: str, headers: Mapping[str, str], request_id: str | None) -> RateLimited:
    error = RateLimited(told, retry_after=retry_after(headers, message), request_id=request_id)
    error.images_per_minute = images_per_minute(headers, message)
    return error


def _moderation(error: ErrorBody, request_id: str | None) -> ModerationBlocked:
    where = {"input": "the prompt or input pictures", "output": "the picture that was made"}
    what = where.get(error.stage or "", "the request")
    categories = f" ({', '.join(error.categories)})" if error.categories else ""
    stage = f", stage {error.stage}" if error.stage else ""
    message = f"{error.server}'s moderation blocked {what}{categories}{stage}."
    return ModerationBlocked(message, stage=error.stage, categories=error.categories, request_id=request_id)


def _refusal(status: int, error: ErrorBody, said: str, request_id: str | None) -> Rejected:
    if status == 401:
        return AuthenticationFailed(f"{error.server} did not accept the API key.", request_id=request_id)
    if status == 403:
        message = f"{error.server} denied access{said}"
        return AccessDenied(message, hint=_elsewhere(error), request_id=request_id)
    if status == 404:
        hint = "Check OPENAI_BASE_URL: it should end in /v1 and lead to an OpenAI-compatible API."
        return Rejected(f"The API address was not found{said}", hint=hint, request_id=request_id)
    if 300 <= status < 400:
        hint = "Set OPENAI_BASE_URL to the final address; redirects are not followed."
        return Rejected(f"The API answered with a redirect ({status}).", hint=hint, request_id=request_id)
    message = f"{error.server} refused the request ({status}){said}"
    return Rejected(message, hint=_advice(error), request_id=request_id)


def _elsewhere(error: ErrorBody) -> str | None:
    """Where to look if not at OpenAI."""
    return None if error.server == "OpenAI" else f"Check what the key may use and spend at {error.server}."


def _advice(error: ErrorBody) -> str | None:
    return _TRANSPARENCY_HINT if "transparent background" in error.message.lower() else None


def error_in_answer(document: Mapping[str, Any], server: str = "OpenAI") -> UpstreamError:
    """The error for a 200 whose body holds an error instead of pictures."""
    error = replace(ErrorBody.from_document(document), server=server)
    if not (error.message or error.code):
        return InvalidAnswer(f"{server}'s answer holds an error without a message.")
    said = f"{server} answered with an error: {error.message or error.code}"
    if error.type in SERVER_TYPES or error.code == "server_error":
        return UpstreamFailure(said)
    if error.code == "rate_limit_exceeded":
        return _rate_limited(said, error.message, {}, None)
    return _by_code(200, error, None) or Rejected(said, hint=_advice(error))


def error_in_stream(document: Mapping[str, Any], partials: int) -> UpstreamError:
    """The error for an answer that holds one behind so many partial pictures."""
    error = error_in_answer(document)
    if partials:
        error.partly_made = True
        error.message = f"{error.message} {partials} partial picture(s) had come, which may have been billed."
        if error.hint == Rejected.default_hint:
            error.hint = "Change the named argument and call again."
    return error


def retry_after(headers: Mapping[str, str], message: str = "") -> float | None:
    """Seconds to wait, at most a day: by `retry-after-ms`, `retry-after` (seconds or date), the message, or
    the reset of what is used up.
    """
    stated = headers.get("retry-after", "")
    milliseconds = _number(headers.get("retry-after-ms", ""))
    said = (_seconds(_WAIT.search(message)), _reset(headers))
    for wait in (milliseconds / 1000, _number(stated), _until(stated), *said):
        if 0 <= wait < math.inf:
            return min(wait, _LONGEST_WAIT_S)
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _until(text: str) -> float:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _reset(headers: Mapping[str, str]) -> float:
    """The longest wait of the limits that have nothing left: `120ms`, `58.891s`, `6m0s`."""
    used_up = [name for name in _RESOURCES if headers.get(f"x-ratelimit-remaining-{name}") == "0"]
    resets = [_RESET.fullmatch(headers.get(f"x-ratelimit-reset-{name}", "")) for name in used_up]
    return max((_seconds(found) for found in resets if found), default=math.nan)


def images_per_minute(headers: Mapping[str, str], message: str = "") -> int | None:
    """The account's limit, by the header or a refusal's words; None where neither names it.

    What is left of it is not read: it is as old as the answer, and other programs use it up too.
    """
    stated = headers.get("x-ratelimit-limit-images", "")
    said = re.fullmatch(r"(\d{1,6})", stated, re.ASCII) or _PER_MINUTE.search(message)
    return (int(said[1]) or None) if said else None


def _seconds(found: re.Match[str] | None) -> float:
    if not found:
        return math.nan
    seconds = float(found[3]) / (1000 if found[4] == "ms" else 1)
    return int(found[1] or 0) * 3600 + int(found[2] or 0) * 60 + seconds
