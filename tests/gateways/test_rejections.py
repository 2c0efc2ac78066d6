"""Error bodies as OpenAI and others send them, and the class, sentence and hint that each becomes."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from gpt_image_2_mcp.gateways._rejections import (
    BILLING_CODES,
    ErrorBody,
    error_for,
    error_in_answer,
    images_per_minute,
    rejection,
    retry_after,
)
from tests.support.upstreams import CANARY

PROMPT = "a portrait of Ada Lovelace in a red dress"


def error_body(
    message: str, type_: str | None, code: str | None, param: str | None = None, **more: Any
) -> Any:
    return {"error": {"message": message, "type": type_, "param": param, "code": code, **more}}


def rejected(status: int, body: Any, headers: dict[str, str] | None = None) -> UpstreamError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return rejection(status, httpx2.Headers(headers or {}), content)


USER_ERROR = "image_generation_user_error"
INVALID = "invalid_request_error"
KEYS_PAGE = "You can find your API key at https://platform.openai.com/account/api-keys."

# status, body as OpenAI sent it in 2026, class, what its text must say and what its hint must say
TABLE: dict[str, tuple[int, Any, type[UpstreamError], str, str]] = {
    "wrong key": (
        401,
        error_body(
            f"Incorrect API key provided: {CANARY[:12]}***mnop. {KEYS_PAGE}", INVALID, "invalid_api_key"
        ),
        AuthenticationFailed,
        "API key",
        "OPENAI_API_KEY",
    ),
    "organization not verified": (
        403,
        error_body(
            "Your organization must be verified to use the model `gpt-image-2`. Please go to: "
            "https://platform.openai.com/settings/organization/general and click on Verify Organization. If "
            "you just verified, it can take up to 15 minutes for access to propagate.",
            INVALID,
            None,
        ),
        OrganizationNotVerified,
        "not verified",
        "settings/organization/general",
    ),
    "organization not verified, as some got it": (
        400,
        error_body("Your organization must be verified to use the model `x`.", INVALID, "unsupported_model"),
        OrganizationNotVerified,
        "not verified",
        "15 minutes",
    ),
    "country": (
        403,
        error_body("Country, region, or territory not supported", "request_forbidden", None),
        AccessDenied,
        "Country, region, or territory not supported",
        "organization and project",
    ),
    "no such model": (
        404,
        error_body(
            "The model 'x' does not exist or you do not have access to it", INVALID, "model_not_found"
        ),
        ModelNotFound,
        "The model 'x' does not exist",
        "Leave `model` out",
    ),
    "no such deployment at Azure": (
        404,
        error_body("The API deployment for this resource does not exist.", None, "DeploymentNotFound"),
        ModelNotFound,
        "deployment",
        "GPT_IMAGE_2_DEPLOYMENTS",
    ),
    "longest edge": (
        400,
        error_body(
            "Invalid size '4096x4096'. The longest edge must be less than or equal to 3840.",
            USER_ERROR,
            "invalid_value",
            "size",
        ),
        Rejected,
        "The longest edge must be less than or equal to 3840.",
        "change the named argument",
    ),
    "too few pixels": (
        400,
        error_body(
            "Invalid size '576x1024'. Requested resolution is below the current minimum pixel budget.",
            USER_ERROR,
            "invalid_value",
            "size",
        ),
        Rejected,
        "below the current minimum pixel budget",
        "Nothing was made",
    ),
    "not divisible": (
        400,
        error_body(
            "Invalid size '1000x1000'. Width and height must be divisible by 16.",
            INVALID,
            "invalid_value",
            "size",
        ),
        Rejected,
        "divisible by 16",
        "Nothing was made",
    ),
    "moderation": (
        400,
        error_body(
            "Your request was rejected by the safety system. If you believe this is an error, contact us at "
            f"help.openai.com and include the request ID req_1. safety_violations=[sexual]. {PROMPT}",
            USER_ERROR,
            "moderation_blocked",
        ),
        ModerationBlocked,
        "moderation blocked the request (sexual)",
        "Reword",
    ),
    "moderation of the prompt": (
        400,
        error_body(
            "Your request was rejected by the safety system.",
            USER_ERROR,
            "moderation_blocked",
            moderation_details={"moderation_stage": "input", "categories": ["harassment", "self-harm"]},
        ),
        ModerationBlocked,
        "blocked the prompt or input pictures (harassment, self-harm), stage input",
        "Reword",
    ),
    "moderation of the picture": (
        400,
        error_body(
            "Your request was rejected by the safety system.",
            USER_ERROR,
            "moderation_blocked",
            moderation_details={"moderation_stage": "output", "categories": ["violence"]},
        ),
        ModerationBlocked,
        "blocked the picture that was made (violence), stage output",
        "refused again",
    ),
    "moderation, older spelling": (
        400,
        error_body("Rejected by the safety system.", USER_ERROR, "content_policy_violation"),
        ModerationBlocked,
        "moderation blocked the request",
        "Reword",
    ),
    "moderation at Azure": (
        400,
        error_body("Your task failed as a result of our safety system.", None, "contentFilter"),
        ModerationBlocked,
        "moderation blocked the request",
        "Reword",
    ),
    "broken picture": (
        400,
        error_body(
            "Invalid image file or mode for image 3, please check your image file.",
            USER_ERROR,
            "invalid_image_file",
        ),
        Rejected,
        "for image 3",
        "Nothing was made",
    ),
    "MIME type": (
        400,
        error_body(
            "Invalid file 'image[0]': unsupported mimetype ('application/octet-stream'). Supported file "
            "formats are 'image/jpeg', 'image/png', and 'image/webp'.",
            INVALID,
            "unsupported_file_mimetype",
            "image[0]",
        ),
        Rejected,
        "unsupported mimetype",
        "Nothing was made",
    ),
    "fidelity": (
        400,
        error_body(
            "The model 'gpt-image-2' does not support the 'input_fidelity' parameter.",
            USER_ERROR,
            "invalid_input_fidelity_model",
            "input_fidelity",
        ),
        Rejected,
        "input_fidelity",
        "Nothing was made",
    ),
    "transparency": (
        400,
        error_body("Transparent background is not supported for this model.", None, None),
        Rejected,
        "Transparent background is not supported",
        "gpt-image-2.5-flare",
    ),
    "quality": (
        400,
        error_body("The model 'gpt-image-2' does not support quality 'xhigh'", None, None),
        Rejected,
        "does not support quality 'xhigh'",
        "Nothing was made",
    ),
    "unknown parameter": (
        400,
        error_body("Unknown parameter: 'response_format'.", INVALID, "unknown_parameter", "response_format"),
        Rejected,
        "'response_format'",
        "change the named argument",
    ),
    "hard limit": (
        400,
        error_body("Billing hard limit has been reached.", INVALID, "billing_hard_limit_reached"),
        QuotaExhausted,
        "billing_hard_limit_reached",
        "organization/billing",
    ),
    "hard limit under 429": (
        429,
        error_body(
            "Billing hard limit has been reached.", "billing_limit_user_error", "billing_hard_limit_reached"
        ),
        QuotaExhausted,
        "no budget left",
        "cannot work",
    ),
    "quota": (
        429,
        error_body(
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        QuotaExhausted,
        "no budget left",
        "cannot work",
    ),
    "quota without a code": (
        429,
        error_body("You exceeded your current quota.", "insufficient_quota", None),
        QuotaExhausted,
        "insufficient_quota",
        "Add credit",
    ),
    "images per minute": (
        429,
        error_body(
            "Rate limit reached for gpt-image-2 in organization org-x on images per minute (IPM): Limit 5, "
            "Used 5, Requested 1. Please try again in 12s.",
            "requests",
            "rate_limit_exceeded",
        ),
        RateLimited,
        "Limit 5, Used 5",
        "Wait 12 s",
    ),
    "input images per minute": (
        429,
        error_body(
            "Rate limit reached for gpt-image-2-codex (for limit gpt-image) in organization o on "
            "input-images per min: Limit 4000, Used 4000, Requested 3. Please try again in 7.5s.",
            "input-images",
            "rate_limit_exceeded",
        ),
        RateLimited,
        "input-images per min",
        "Wait 8 s",
    ),
    "slow down": (
        429,
        error_body("Slow down.", "rate_limit_error", "slow_down"),
        RateLimited,
        "Slow down.",
        "about a minute",
    ),
    "server error": (
        500,
        error_body("The server had an error while processing your request. Sorry!", "server_error", None),
        UpstreamFailure,
        "500",
        "not sent again",
    ),
    "generation failed": (
        500,
        error_body("Image generation failed", "image_generation_server_error", "image_generation_failed"),
        UpstreamFailure,
        "Image generation failed",
        "billed",
    ),
    "overloaded": (
        503,
        error_body("Overloaded.", "service_unavailable_error", "server_is_overloaded"),
        UpstreamFailure,
        "503",
        "billed",
    ),
    "gateway page": (
        502,
        b"<html><body>502 Bad Gateway</body></html>",
        UpstreamFailure,
        "status 502.",
        "usage page",
    ),
    "gateway time-out page": (
        504,
        b"<html><body>504</body></html>",
        UpstreamFailure,
        "status 504.",
        "usage page",
    ),
    "request time-out": (408, b"", UpstreamTimeout, "(408).", "not sent again"),
    "conflict": (409, b"", OutcomeUnknown, "(409).", "not sent again"),
    "the launch-era refusal of edits": (
        400,
        error_body(
            "Invalid value: 'gpt-image-2'. Value must be 'dall-e-2'.", INVALID, "invalid_value", "model"
        ),
        EditsRejectModel,
        "Value must be 'dall-e-2'",
        "32,000 characters",
    ),
    "no such address": (404, b"404 page not found", Rejected, "address was not found", "OPENAI_BASE_URL"),
    "redirect": (307, b"", Rejected, "redirect (307)", "OPENAI_BASE_URL"),
    "refused without a word": (400, b"", Rejected, "refused the request (400).", "Nothing was made"),
    "too large": (413, b"<h1>413</h1>", Rejected, "(413).", "Nothing was made"),
}


@pytest.mark.parametrize("row", TABLE)
def test_every_known_error_has_its_class_sentence_and_hint(row: str) -> None:
    status, body, expected, says, hints = TABLE[row]
    error = rejected(status, body, {"x-request-id": "req_42"})
    assert type(error) is expected
    assert says in error.message
    assert hints in error.hint
    assert error.request_id == "req_42"


@pytest.mark.parametrize("row", TABLE)
def test_no_known_errors_text_holds_the_key_or_the_prompt(row: str) -> None:
    status, body, *_ = TABLE[row]
    text = str(rejected(status, body))
    assert CANARY[:12] not in text
    assert PROMPT not in text


@pytest.mark.parametrize("row", TABLE)
def test_only_rate_limits_invite_another_call(row: str) -> None:
    status, body, expected, *_ = TABLE[row]
    assert rejected(status, body).retryable == (expected is RateLimited)


@pytest.mark.parametrize("code", sorted(BILLING_CODES))
@pytest.mark.parametrize("status", [400, 402, 403, 429])
def test_a_billing_code_is_never_a_rate_limit(status: int, code: str) -> None:
    error = rejected(status, error_body("Limit.", "insufficient_quota", code), {"retry-after": "1"})
    assert type(error) is QuotaExhausted
    assert not error.retryable


def test_the_newer_billing_codes_are_known() -> None:
    newer = {
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
    assert newer <= BILLING_CODES


def test_a_moderation_error_carries_stage_and_categories() -> None:
    status, body, *_ = TABLE["moderation of the picture"]
    error = rejected(status, body)
    assert isinstance(error, ModerationBlocked)
    assert (error.stage, error.categories) == ("output", ("violence",))


def test_several_categories_are_read_from_the_message() -> None:
    error = rejected(
        400,
        error_body(
            "Rejected. safety_violations=[sexual, self-harm/intent].", USER_ERROR, "moderation_blocked"
        ),
    )
    assert isinstance(error, ModerationBlocked)
    assert (error.stage, error.categories) == (None, ("sexual", "self-harm/intent"))


@pytest.mark.parametrize(
    "details", ["text", [], 7, {"categories": "x", "moderation_stage": 3}, {"categories": [None, 1, {}]}]
)
def test_misshapen_moderation_details_are_left_out(details: Any) -> None:
    error = rejected(400, error_body("No.", USER_ERROR, "moderation_blocked", moderation_details=details))
    assert isinstance(error, ModerationBlocked)
    assert (error.stage, error.categories) == (None, ())


# The launch-era refusal opens another paid route, so nothing else may pass for it


LAUNCH_ERA = "Invalid value: 'gpt-image-2'. Value must be 'dall-e-2'."


@pytest.mark.parametrize("model", ["gpt-image-2", "gpt-image-1.5", "gpt-image-2-2026-04-21"])
def test_the_launch_era_refusal_is_known_for_any_model(model: str) -> None:
    message = f"Invalid value: '{model}'. Value must be 'dall-e-2'."
    assert type(rejected(400, error_body(message, INVALID, "invalid_value", "model"))) is EditsRejectModel


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, error_body(LAUNCH_ERA, INVALID, "invalid_value", "prompt")),
        (400, error_body(LAUNCH_ERA, INVALID, "invalid_value", None)),
        (400, error_body(LAUNCH_ERA, INVALID, "unknown_parameter", "model")),
        (400, error_body(LAUNCH_ERA, INVALID, None, "model")),
        (400, error_body(f"Your prompt was: {LAUNCH_ERA}", INVALID, "invalid_value", "model")),
        (400, error_body(f"{LAUNCH_ERA} And more.", INVALID, "invalid_value", "model")),
        (400, error_body(f"Invalid value: 'x' {LAUNCH_ERA}", INVALID, "invalid_value", "model")),
        (400, error_body("Invalid value: 'a'. Value must be 'dall-e-3'.", INVALID, "invalid_value", "model")),
        (400, error_body("Bad.", INVALID, LAUNCH_ERA, "model")),
        (400, {"error": LAUNCH_ERA}),
        (400, {"detail": LAUNCH_ERA}),
        (400, {"message": LAUNCH_ERA, "code": "invalid_value", "param": "model"}),
        (400, LAUNCH_ERA.encode()),
        *(
            (status, error_body(LAUNCH_ERA, INVALID, "invalid_value", "model"))
            for status in (401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504)
        ),
    ],
)
def test_nothing_but_the_whole_launch_era_400_passes_for_it(status: int, body: Any) -> None:
    assert not isinstance(rejected(status, body), EditsRejectModel)


@pytest.mark.parametrize("status", [408, 409, 500, 502, 503, 504])
def test_a_sentence_from_the_prompt_does_not_make_an_unknown_outcome_a_definitive_one(status: int) -> None:
    echo = "Could not finish 'a sign: your organization must be verified'."
    assert isinstance(rejected(status, error_body(echo, "server_error", None)), OutcomeUnknown)


# Bodies of other servers


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"error": "model is busy"}, "model is busy"),
        ({"detail": "Model not loaded"}, "Model not loaded"),
        ({"error": None, "detail": "Model not loaded"}, "Model not loaded"),
        ({"detail": {"message": "inner"}}, "inner"),
        ({"error": {"message": "a message", "code": 400}}, "a message"),
        (
            {"detail": [{"loc": ["body", "size"], "msg": "field required", "type": "missing"}]},
            "field required",
        ),
        ({"detail": [{"loc": ["body", "size"], "msg": "field required", "type": "missing"}]}, "size"),
    ],
)
def test_what_other_servers_say_is_passed_on(body: Any, says: str) -> None:
    error = rejected(422, body)
    assert type(error) is Rejected
    assert says in error.message


def test_the_input_that_a_validating_server_echoes_is_not_passed_on() -> None:
    detail = [{"loc": ["body", "prompt"], "msg": "too long", "type": "string_too_long", "input": PROMPT}]
    error = rejected(422, {"detail": detail})
    assert "too long" in error.message
    assert PROMPT not in str(error)


NO_WORD: list[Any] = [
    b"",
    b"null",
    b"{}",
    b"[]",
    b"\xff\xfe\x00",
    b"<html>" + b"x" * 100_000,
    b"[" * 100_000,
    {"error": None},
    {"error": {}},
    {"error": []},
    {"error": ""},
    {"error": {"message": None, "type": 5, "code": [], "param": {}}},
    {"detail": []},
    {"detail": [None, 5, "", {"msg": 7}]},
]


@pytest.mark.parametrize("body", NO_WORD, ids=range(len(NO_WORD)))
def test_a_body_that_says_nothing_leaves_a_whole_sentence(body: Any) -> None:
    assert rejected(400, body).message == "OpenAI refused the request (400)."
    assert rejected(500, body).message == "OpenAI failed with status 500."


def test_an_error_body_nested_to_any_depth_is_no_crash() -> None:
    for depth in (*range(1, 1200, 7), *range(900, 1010)):
        rejected(400, b'{"error":' + b"[" * depth + b"]" * depth + b"}")
        rejected(400, b'{"detail":' + b'{"message":' * depth + b"1" + b"}" * depth + b"}")


def test_an_upstream_text_cannot_disguise_itself() -> None:
    message = "\x1b[31mred\x1b[0m \u202eback\u200bward\nsecond \ud800 line" + "x" * 5000
    error = rejected(400, error_body(message, INVALID, None))
    assert not set(error.message) & set("\x1b\u202e\u200b\n\ud800")
    assert len(error.message) < 600


def test_the_request_id_of_azure_is_kept_too() -> None:
    assert rejected(500, b"", {"apim-request-id": "azure-1"}).request_id == "azure-1"
    assert rejected(500, b"", {"x-ms-request-id": "azure-2"}).request_id == "azure-2"


@pytest.mark.parametrize("status", [400, 401, 403, 408, 409, 429, 500])
def test_another_server_is_called_by_its_name(status: int) -> None:
    error = rejection(status, {}, b'{"error":"no"}', "LocalAI")
    assert "LocalAI" in error.message
    assert "OpenAI" not in error.message
    assert "platform.openai.com" not in error.hint


def test_the_budget_of_another_server_is_looked_after_there() -> None:
    error = rejection(
        429, {}, json.dumps(error_body("No money.", None, "insufficient_quota")).encode(), "Azure OpenAI"
    )
    assert type(error) is QuotaExhausted
    assert "platform.openai.com" not in error.hint
    assert error.hint.endswith("at Azure OpenAI.")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "prompt required"}, "prompt required"),
        ({"error": "server_error", "message": "out of memory"}, "server_error: out of memory"),
        ({"message": "Bad Request"}, "Bad Request"),
        ({"detail": "Model mismatch"}, "Model mismatch"),
        ({"detail": [{"loc": ["body", "size"], "msg": "no", "input": "secret"}]}, "body.size: no"),
        ({"error": {"code": 500, "message": "could not load model", "type": ""}}, "could not load model"),
    ],
)
def test_what_other_servers_say_is_told_in_whatever_form(body: Any, said: str) -> None:
    error = rejected(400, json.dumps(body).encode())
    assert error.message == f"OpenAI refused the request (400): {said}"


def test_a_request_id_is_cleaned_as_any_text_from_outside() -> None:
    error = rejected(500, b"", {"x-request-id": f"req_1\x1b[31m {CANARY} " + "x-" * 500})
    assert error.request_id is not None
    assert error.request_id.startswith("req_1[31m [redacted] x-x")
    assert len(error.request_id) == 100


def test_without_a_request_id_there_is_none() -> None:
    assert rejected(500, b"").request_id is None


PLACES = ("message", "type", "code", "param")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 422, 429, 500, 503])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("real", ["insufficient_quota", "moderation_blocked", "model_not_found", None])
def test_the_key_is_never_in_an_errors_text(status: int, place: str, real: str | None) -> None:
    fields = {"message": "x", "type": real, "code": real, "param": "p"} | {place: f"your key {CANARY} here"}
    details = {"moderation_stage": CANARY, "categories": [CANARY]}
    error = rejected(status, {"error": {**fields, "moderation_details": details}})
    assert "CANARY" not in str(error)
    if isinstance(error, ModerationBlocked):
        assert "CANARY" not in f"{error.stage}{error.categories}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "detail", "message", "type", "code", "param", "moderation_details", "msg", "loc"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(300, 599), JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
def test_any_error_body_becomes_one_of_ours_and_says_whether_it_may_have_been_billed(
    status: int, body: bytes
) -> None:
    error = rejected(status, body)
    assert isinstance(error, Rejected | OutcomeUnknown)
    assert error.message
    assert error.message.isprintable()
    if status < 500 and status not in (408, 409):
        assert isinstance(error, Rejected)


# An error inside an answer with status 200


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"message": "Rejected.", "code": "moderation_blocked", "type": USER_ERROR}, ModerationBlocked),
        ({"message": "No.", "code": "image_content_policy_violation"}, ModerationBlocked),
        ({"message": "Quota.", "code": "insufficient_quota", "type": "insufficient_quota"}, QuotaExhausted),
        ({"message": "Image generation failed", "type": "image_generation_server_error"}, UpstreamFailure),
        ({"message": "The server had an error.", "code": "server_error"}, UpstreamFailure),
        ({"message": "Overloaded.", "type": "service_unavailable_error"}, UpstreamFailure),
        ({"message": "Slow down.", "code": "rate_limit_exceeded"}, RateLimited),
        ({"message": "The picture is too small.", "code": "image_too_small"}, Rejected),
        ({"code": "image_too_small"}, Rejected),
        ("a text", Rejected),
        ({"type": "odd"}, InvalidAnswer),
        ({"message": None}, InvalidAnswer),
        (True, InvalidAnswer),
        ([[]], InvalidAnswer),
    ],
)
def test_an_error_inside_an_answer_has_its_class(error: Any, expected: type[UpstreamError]) -> None:
    assert type(error_in_answer({"error": error})) is expected


def test_an_error_inside_an_answer_names_no_status_that_was_not_sent() -> None:
    for type_ in ("image_generation_server_error", USER_ERROR):
        error = error_in_answer({"error": {"message": "It failed.", "type": type_}})
        assert "It failed." in error.message
        assert not any(status in error.message for status in ("400", "500"))


# How long to wait


def waited(message: str = "", **headers: str) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return retry_after(httpx2.Headers(named), message)


@pytest.mark.parametrize(
    ("headers", "message", "seconds"),
    [
        ({"retry_after": "7"}, "", 7),
        ({"retry_after": "0"}, "", 0),
        ({"retry_after": "1.5"}, "", 1.5),
        ({"retry_after_ms": "250"}, "", 0.25),
        ({"retry_after_ms": "250", "retry_after": "9"}, "", 0.25),
        ({"retry_after_ms": "soon", "retry_after": "9"}, "", 9),
        ({"retry_after_ms": "-1", "retry_after": "9"}, "", 9),
        ({}, "Please try again in 12s.", 12),
        ({}, "Please try again in 7.5s.", 7.5),
        ({}, "Please try again in 120ms.", 0.12),
        ({}, "Please try again in 1m30s.", 90),
        ({}, "Please try again in 6m0s.", 360),
        ({}, "Please try again in 8h24m0s.", 30_240),
        ({}, "Please try again in 99h0m0s.", 86_400),
        ({"retry_after": "3"}, "Please try again in 12s.", 3),
        ({"retry_after": "-5"}, "Please try again in 12s.", 12),
        ({"retry_after": "inf"}, "Please try again in 12s.", 12),
        ({"retry_after": "nan"}, "Please try again in 12s.", 12),
        ({"retry_after": "1000000000"}, "Please try again in 12s.", 86_400),
        ({"retry_after": "-5"}, "", None),
        ({"retry_after": "inf"}, "", None),
        ({"retry_after": "1e9"}, "", 86_400),
        ({"retry_after": "soon"}, "", None),
        ({"retry_after": ""}, "", None),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT"}, "", 86_400),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT"}, "Please try again in 12s.", 86_400),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 -9999"}, "", None),
        ({"retry_after": "Mon, 01 Jan 2024 00:00:00 +99999999999999"}, "", None),
        ({"retry_after": "Mon, 01 Jan 99999 00:00:00 GMT"}, "", None),
        ({"retry_after": "Mon, 01 Jan 2024 00:00:00 GMT"}, "", 0),
        ({"retry_after": "Mon, 01 Jan 2024 00:00:00"}, "", 0),
        ({}, "", None),
        ({}, "Please try again in a while.", None),
        ({}, "Please try again in ...s", None),
        ({}, "Please try again in 1.2.3s", None),
        ({}, f"Please try again in {'9' * 400}s", None),
        ({}, f"Please try again in {'9' * 400}m1s", None),
        ({}, "Please try again in 99999m0s", None),
    ],
)
def test_the_wait_is_read_from_header_or_message(
    headers: dict[str, str], message: str, seconds: float | None
) -> None:
    assert waited(message, **headers) == seconds


def test_a_date_counts_from_now() -> None:
    wait = waited(retry_after=format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True))
    assert wait is not None
    assert 7100 < wait <= 7200


@pytest.mark.parametrize(("header", "hint"), [("20", "Wait 20 s"), ("inf", "about a minute")])
def test_the_wait_of_a_rate_limit_stands_in_its_hint(header: str, hint: str) -> None:
    error = rejected(429, b"", {"retry-after": header})
    assert isinstance(error, RateLimited)
    assert hint in error.hint


HEADERS = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\x00"), max_size=40)
DATES = st.from_regex(r"\w{3}, \d{1,3} (Jan|Dec) \d{1,6} \d{1,3}:\d{1,3}:\d{1,3} ([+-]\d{1,12}|GMT|XYZ)?")
MESSAGES = st.from_regex(r"try again in (\d{0,60}m)?[\d.]{0,60}(ms|s)")


@settings(max_examples=300, deadline=None)
@given(
    HEADERS | DATES.map(lambda text: text.encode("ascii", "ignore").decode()),
    HEADERS,
    MESSAGES | st.text(max_size=40),
)
def test_no_header_or_message_makes_the_wait_absurd(header: str, milliseconds: str, message: str) -> None:
    headers = {"retry-after": header, "retry-after-ms": milliseconds}
    wait = retry_after(headers, message)
    assert wait is None or (math.isfinite(wait) and 0 <= wait <= 86_400)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("true", True),
        ("True", True),
        ("false", False),
        ("FALSE", False),
        ("", None),
        ("1", None),
        ("yes", None),
        ("true, false", None),
        (None, None),
    ],
)
@pytest.mark.parametrize("status", [307, 400, 401, 404, 408, 409, 429, 500, 503])
def test_the_apis_word_on_trying_again_is_kept_with_any_error(
    status: int, said: str | None, meant: bool | None
) -> None:
    headers = {} if said is None else {"X-Should-Retry": said}
    assert rejected(status, {"error": {"message": "No."}}, headers).should_retry is meant


@pytest.mark.parametrize("status", [400, 408, 409, 429, 500, 503, 529])
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "1000000000"}, 86_400),
        ({}, None),
    ],
)
def test_the_wait_that_headers_name_is_kept_with_any_error(
    status: int, headers: dict[str, str], wait: float | None
) -> None:
    assert rejected(status, {"error": {"message": "No."}}, headers).retry_after == wait


def test_the_wait_in_a_rate_limits_sentence_is_kept_with_it() -> None:
    body = error_body("Please try again in 12s.", None, "rate_limit_exceeded")
    assert rejected(429, body).retry_after == 12


def left(resource: str, remaining: str, reset: str) -> dict[str, str]:
    return {f"x-ratelimit-remaining-{resource}": remaining, f"x-ratelimit-reset-{resource}": reset}


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        (left("images", "0", "12s"), 12.0),
        (left("input-images", "0", "120ms"), 0.12),
        (left("requests", "0", "6m0s"), 360.0),
        ({**left("images", "0", "12s"), **left("tokens", "0", "58.891s")}, 58.891),
        ({**left("images", "3", "12s"), **left("tokens", "0", "1h2m3s")}, 3723.0),
        ({**left("images", "0", "12s"), "retry-after": "3"}, 3.0),
        (left("images", "1", "12s"), None),
        (left("images", "0", "soon"), None),
        (left("images", "0", ""), None),
        (left("images", "0", "-5s"), None),
    ],
)
def test_the_reset_of_what_is_used_up_is_a_wait_where_no_other_is_named(
    headers: dict[str, str], wait: float | None
) -> None:
    assert rejected(429, b"", headers).retry_after == wait


IPM = "Rate limit reached for gpt-image-2 in organization o on images per"


@pytest.mark.parametrize(
    ("headers", "message", "limit"),
    [
        ({}, f"{IPM} minute (IPM): Limit 5, Used 5, Requested 1. Please try again in 12s.", 5),
        ({}, f"{IPM} min: Limit 250, Used 250, Requested 4. Please try again in 0.9s.", 250),
        ({"x-ratelimit-limit-images": "20"}, f"{IPM} minute (IPM): Limit 5, Used 5.", 20),
        ({"x-ratelimit-limit-images": "20"}, "Slow down.", 20),
        ({"x-ratelimit-limit-images": "many"}, "Slow down.", None),
        ({"x-ratelimit-limit-images": "0"}, "Slow down.", None),
        ({"x-ratelimit-limit-input-images": "4000", "x-ratelimit-limit-requests": "9"}, "", None),
        ({}, "Rate limit reached on input-images per min: Limit 4000, Used 4000, Requested 3.", None),
        ({}, "Rate limit reached on requests per min (RPM): Limit 7, Used 7, Requested 1.", None),
        ({}, "", None),
    ],
)
def test_a_rate_limit_says_how_many_images_a_minute_there_are_and_of_other_limits_nothing(
    headers: dict[str, str], message: str, limit: int | None
) -> None:
    error = rejected(429, error_body(message, "requests", "rate_limit_exceeded"), headers)
    assert isinstance(error, RateLimited)
    assert error.images_per_minute == limit


@given(HEADERS, st.text(max_size=60))
def test_no_header_or_message_makes_a_limit_that_is_none(header: str, message: str) -> None:
    limit = images_per_minute({"x-ratelimit-limit-images": header}, message)
    assert limit is None or 0 < limit < 1_000_000


@pytest.mark.parametrize("row", [400, 429, 500])
def test_an_error_in_an_answer_says_nothing_of_trying_again(row: int) -> None:
    error = error_in_answer({"error": {"message": "No.", "type": "server_error"}})
    assert (error.should_retry, error.retry_after) == (None, None)


def test_a_parsed_body_keeps_what_other_code_branches_on() -> None:
    body = ErrorBody.parse(json.dumps(error_body("m", "t", "c", "p")).encode())
    assert (body.message, body.type, body.code, body.param) == ("m", "t", "c", "p")
    assert type(error_for(400, body, {})) is Rejected
