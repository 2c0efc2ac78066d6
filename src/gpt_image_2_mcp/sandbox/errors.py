"""The refusals of the Images API, word for word where the words are known."""

from collections.abc import Iterable, Mapping
from typing import Final

INVALID_REQUEST: Final = "invalid_request_error"
USER_ERROR: Final = "image_generation_user_error"

KEYS_PAGE: Final = "https://platform.openai.com/account/api-keys"
VERIFY_PAGE: Final = "https://platform.openai.com/settings/organization/general"


class ApiError(Exception):
    """One refusal: an HTTP status and the members of OpenAI's error envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID_REQUEST,
        param: str | None = None,
        code: str | None = None,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.details = details
        self.headers = dict(headers or {})

    def error(self) -> dict[str, object]:
        """The inner error object, as it also appears in streams and in Responses items."""
        error: dict[str, object] = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        if self.details is not None:
            error["moderation_details"] = self.details
        return error

    def body(self) -> dict[str, object]:
        """The whole JSON body."""
        return {"error": self.error()}


def quoted_list(values: Iterable[str]) -> str:
    """'a', 'b', and 'c', in OpenAI's punctuation."""
    *rest, last = [f"'{value}'" for value in values]
    return f"{', '.join(rest)}, and {last}" if rest else last


def missing_key() -> ApiError:
    return ApiError(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using "
        "Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) "
        "if you're accessing the API from your browser and are prompted for a username and password. You "
        f"can obtain an API key from {KEYS_PAGE}.",
    )


def incorrect_key(key: str) -> ApiError:
    masked = f"{key[:3]}...{key[-4:]}"
    return ApiError(
        401,
        f"Incorrect API key provided: {masked}. You can find your API key at {KEYS_PAGE}.",
        code="invalid_api_key",
    )


def unknown_url(method: str, path: str) -> ApiError:
    return ApiError(404, f"Invalid URL ({method} {path})")


def method_not_allowed(method: str, path: str) -> ApiError:
    return ApiError(405, f"Not allowed to {method} on {path}.", code="method_not_supported")


def unsupported_content_type(found: str, wanted: str) -> ApiError:
    return ApiError(
        400,
        f"Unsupported content type: '{found}'. This API method only accepts {wanted} requests.",
        code="unsupported_content_type",
    )


def unreadable_json() -> ApiError:
    return ApiError(
        400,
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your "
        "HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid "
        "JSON.)",
    )


def body_too_large(limit: int) -> ApiError:
    return ApiError(413, f"Request body too large. The limit is {limit} bytes.")


def missing(param: str) -> ApiError:
    return ApiError(
        400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def unknown_parameter(param: str) -> ApiError:
    return ApiError(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def duplicate_parameter(param: str) -> ApiError:
    return ApiError(
        400,
        f"Duplicate parameter: '{param}'. You provided multiple values for this parameter, whereas only one "
        "is allowed. If you are trying to provide a list of values, use the array syntax instead e.g. "
        f"'{param}[]=<value>'.",
        param=param,
        code="duplicate_parameter",
    )


def invalid_type(param: str, wanted: str, found: str) -> ApiError:
    return ApiError(
        400,
        f"Invalid type for '{param}': expected {wanted}, but got {found} instead.",
        param=param,
        code="invalid_type",
    )


def invalid_choice(param: str, found: str, choices: Iterable[str]) -> ApiError:
    return ApiError(
        400,
        f"Invalid value: '{found}'. Supported values are: {quoted_list(choices)}.",
        param=param,
        code="invalid_value",
    )


def invalid_value(param: str, message: str, kind: str = INVALID_REQUEST) -> ApiError:
    return ApiError(400, message, kind=kind, param=param, code="invalid_value")


def out_of_range(param: str, found: int, low: int, high: int) -> ApiError:
    above = found > high
    word, sign, bound = ("above maximum", "<=", high) if above else ("below minimum", ">=", low)
    return ApiError(
        400,
        f"Invalid '{param}': integer {word} value. Expected a value {sign} {bound}, but got {found} instead.",
        param=param,
        code="integer_above_max_value" if above else "integer_below_min_value",
    )


def text_too_long(param: str, limit: int, found: int) -> ApiError:
    return ApiError(
        400,
        f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, but got a "
        f"string with length {found} instead.",
        param=param,
        code="string_above_max_length",
    )


def text_empty(param: str) -> ApiError:
    return ApiError(
        400,
        f"Invalid '{param}': empty string. Expected a string with minimum length 1, but got an empty string "
        "instead.",
        param=param,
        code="empty_string",
    )


def too_many_images(limit: int, found: int) -> ApiError:
    return ApiError(
        400,
        f"Invalid 'image': array too long. Expected an array with maximum length {limit}, but got an array "
        f"with length {found} instead.",
        param="image",
        code="array_above_max_length",
    )


def model_not_found(model: str) -> ApiError:
    return ApiError(
        404,
        f"The model '{model}' does not exist or you do not have access to it",
        code="model_not_found",
    )


def model_retired(model: str) -> ApiError:
    return ApiError(
        404,
        f"The model `{model}` has been deprecated, learn more here: "
        "https://platform.openai.com/docs/deprecations",
        code="model_not_found",
    )


def unsupported_mimetype(param: str, found: str, supported: Iterable[str]) -> ApiError:
    return ApiError(
        400,
        f"Invalid file '{param}': unsupported mimetype ('{found}'). Supported file formats are "
        f"{quoted_list(supported)}.",
        param=param,
        code="unsupported_file_mimetype",
    )


def invalid_image(number: int) -> ApiError:
    """`number` counts the images of the request from 1."""
    return ApiError(
        400,
        f"Invalid image file or mode for image {number}, please check your image file.",
        kind=USER_ERROR,
        code="invalid_image_file",
    )


def image_too_large(param: str, limit: int) -> ApiError:
    return ApiError(
        400,
        f"Invalid file '{param}': file size must be less than {limit // 1_000_000} MB.",
        kind=USER_ERROR,
        param=param,
        code="image_file_too_large",
    )


def invalid_mask(reason: str, param: str = "mask") -> ApiError:
    return ApiError(
        400,
        f"Invalid {param} image format - {reason}",
        kind=USER_ERROR,
        param=param,
        code=f"invalid_{param}_image_format",
    )


def download_failed(param: str, url: str) -> ApiError:
    return ApiError(
        400,
        f"Failed to download image from {url}. Check that the URL is reachable and names an image.",
        kind=USER_ERROR,
        param=param,
        code="failed_to_download_image",
    )


def invalid_image_url(param: str) -> ApiError:
    return ApiError(
        400,
        f"Invalid '{param}'. Expected a valid URL or a base64-encoded data URL with an image MIME type.",
        param=param,
        code="invalid_image_url",
    )


def image_file_not_found(param: str, file_id: str) -> ApiError:
    return ApiError(400, f"No such file: '{file_id}'.", param=param, code="image_file_not_found")


def no_such_file(file_id: str) -> ApiError:
    return ApiError(404, f"No such File object: {file_id}", param="id")


def moderation_blocked(request_id: str, stage: str, categories: tuple[str, ...]) -> ApiError:
    return ApiError(
        400,
        "Your request was rejected by the safety system. If you believe this is an error, contact us at "
        f"help.openai.com and include the request ID {request_id}. "
        f"safety_violations=[{', '.join(categories)}].",
        kind=USER_ERROR,
        code="moderation_blocked",
        details={"moderation_stage": stage, "categories": list(categories)},
    )


def unverified(model: str) -> ApiError:
    return ApiError(
        403,
        f"Your organization must be verified to use the model `{model}`. Please go to: {VERIFY_PAGE} and "
        "click on Verify Organization. If you just verified, it can take up to 15 minutes for access to "
        "propagate.",
    )


def generation_failed() -> ApiError:
    return ApiError(
        500,
        "Image generation failed",
        kind="image_generation_server_error",
        code="image_generation_failed",
    )


def sandbox_refusal(message: str, param: str | None = None) -> ApiError:
    """Something the real service may do and the sandbox does not."""
    return ApiError(400, f"The sandbox does not support this: {message}", param=param, code="unsupported")
