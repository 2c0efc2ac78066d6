"""The one error tree.

Every failure that can reach a person or a model is one of these; each outside library's errors are
translated into it in one place (`gateways/_upstream.py`, `sources/`, `stores/`, `requests.py`) and out of it
in one place per face (`server/tools.py`, `cli.py`).

    ImageServerError                 code, message, hint, retryable
    |-- ConfigurationError           a setting is wrong; the start stops here
    |   `-- MissingKey               no API key: refused before anything is sent
    |-- InvalidRequest               arguments that cannot be carried out: refused before anything is sent
    |-- InputError                   an input image cannot be read or is not a picture the API takes
    |-- UndecodablePicture           a picture whose pixels cannot be had; its file is as it was
    |-- StorageError                 a folder or file cannot be written
    |   |-- PictureChanged           a picture we wrote is gone or is not what we wrote
    |   `-- UnreadableSetup          a client's configuration cannot be read, or not be changed safely
    |-- SessionNotFound              no such edit session (ended, expired, evicted or never there)
    |-- SessionBusy                  another turn of the session is still under way
    |-- OperationNotFound            no such operation
    |-- Busy                         as many calls are under way as are taken on; nothing was done
    |-- TooDear                      the call can cost more than its caller said it may
    |-- ConsentNeeded                it costs so much that a person must agree, and none could be asked
    |-- ConsentDeclined              a person was asked and does not want it
    |-- BudgetExceeded               a budget leaves no room for the call: refused before anything is sent
    |-- PartialNotFound              no such picture in the making (not come yet, or not kept any more)
    |-- ImageNotFound                no picture of ours has that id, or more than one begins so
    |-- ImageTooLarge                the client cannot be sent a picture of that size
    `-- UpstreamError                the API, or the way to it
        |-- Unreachable              proven unsent: nothing was billed
        |   `-- Unsendable           and trying again cannot help: TLS, a wrong address
        |-- Rejected                 a definitive refusal: nothing was made
        |   |-- AuthenticationFailed, AccessDenied, OrganizationNotVerified, ModelNotFound
        |   |-- ModerationBlocked    with stage and categories
        |   |-- QuotaExhausted       billing; never retried
        |   |-- RateLimited          with the wait
        |   `-- EditsRejectModel     the launch-era refusal that opens the fallback route
        |-- OutcomeUnknown           the request left and no whole answer came back: it may have been billed
        |   |-- UpstreamTimeout
        |   `-- UpstreamFailure      5xx
        |-- PictureAway              an answer names its picture by an address that cannot be read (yet)
        `-- InvalidAnswer            an answer came that holds no picture
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar


class ImageServerError(Exception):
    """Base of the tree.

    `message` is one sentence of what happened, `hint` one of what to do next; both are safe to show to a
    model and to a person: no key, no traceback, no prompt. `may_be_billed` says that money may have gone
    though there is no picture (yet).
    """

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""
    may_be_billed: bool = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint

    @classmethod
    def revived(cls, code: str, message: str, hint: str) -> ImageServerError:
        """The error that was journalled under `code`, or one of the base class where no class has it."""
        kind = next((k for k in cls._tree() if k.code == code), ImageServerError)
        error = kind.__new__(kind)
        ImageServerError.__init__(error, message, hint=hint)
        return error

    @classmethod
    def _tree(cls) -> Iterator[type[ImageServerError]]:
        yield cls
        for child in cls.__subclasses__():
            yield from child._tree()

    def __str__(self) -> str:
        end = "" if self.message.endswith((".", "!", "?")) else "."
        return f"{self.message}{end} {self.hint}".strip()


class ConfigurationError(ImageServerError):
    code = "configuration"


class MissingKey(ConfigurationError):
    code = "missing_key"
    default_hint = (
        "Add OPENAI_API_KEY to the env block of this server in the client's configuration (or point "
        "OPENAI_API_KEY_FILE at a file that holds the key) and restart it; GPT_IMAGE_2_SANDBOX=1 tries "
        "everything without a key."
    )


class InvalidRequest(ImageServerError):
    code = "invalid_request"
    default_hint = "Correct the argument and call again; nothing was sent."


class InputError(ImageServerError):
    code = "invalid_input"
    default_hint = (
        "Give a PNG, JPEG or WebP as a path, file:// URL, https:// URL or data: URL; nothing was sent."
    )


class UndecodablePicture(ImageServerError):
    code = "undecodable_picture"
    default_hint = "The file is as it was; open it where it is."


class StorageError(ImageServerError):
    code = "storage"


class PictureChanged(StorageError):
    code = "picture_changed"


class UnreadableSetup(StorageError):
    code = "unreadable_setup"
    default_hint = "Nothing was changed: correct the file, or put the snippet in by hand."


class SessionNotFound(ImageServerError):
    code = "session_not_found"
    default_hint = (
        "Call list_edit_sessions for the active ones, or start_edit_session with the last picture's path."
    )


class SessionBusy(ImageServerError):
    code = "session_busy"
    retryable = True
    default_hint = "Wait for its result, or collect it with get_result, then call again; nothing was sent."


class OperationNotFound(ImageServerError):
    code = "operation_not_found"
    default_hint = "Give the operation_id exactly as a tool returned it."


class PartialNotFound(ImageServerError):
    code = "partial_not_found"
    default_hint = (
        "Partial pictures come only to calls with `partial_images`, and are kept for an hour; get_result "
        "gives the finished picture."
    )


class ImageNotFound(ImageServerError):
    code = "image_not_found"
    default_hint = "Give the picture's id exactly as a result has it, or the path of its file."


class ImageTooLarge(ImageServerError):
    code = "image_too_large"


class Busy(ImageServerError):
    """`wait_s` is about how long it takes until a call ends."""

    code = "busy"
    retryable = True
    default_hint = "Wait a while, then call again; nothing was sent."

    def __init__(self, message: str, *, hint: str | None = None, wait_s: float | None = None) -> None:
        if hint is None and wait_s is not None:
            hint = f"Wait about {math.ceil(wait_s)} s, then call again; nothing was sent."
        super().__init__(message, hint=hint)


class TooDear(ImageServerError):
    code = "too_dear"


class ConsentNeeded(ImageServerError):
    code = "consent_needed"


class ConsentDeclined(ImageServerError):
    code = "consent_declined"
    default_hint = "Do not call again unless the user asks for it; nothing was sent."


class BudgetExceeded(ImageServerError):
    """`room` is what the budgets leave for a call, in micro-dollars, None where its price is not known;
    `remedy` is what helps beside a cheaper call, as a clause.
    """

    code = "budget_exceeded"
    room: int | None = None
    default_hint = "Ask for something cheaper, or have the budget raised; nothing was sent."

    def __init__(
        self, message: str, *, hint: str | None = None, room: int | None = None, remedy: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.room, self.remedy = room, remedy

    def advise(self, cheaper: str) -> None:
        """Say what to do: `cheaper` is a clause about this call, from somebody who knows it."""
        self.hint = f"{cheaper}, or {self.remedy}; nothing was sent."


class UpstreamError(ImageServerError):
    """Anything the API or the network did.

    `request_id` is OpenAI's, for their support; `retry_after` the seconds it asks to wait, if it does;
    `should_retry` what its `x-should-retry` header says; `partly_made` that partial pictures had come, so
    that a refusal too may have been billed.
    """

    code = "upstream"
    request_id: str | None = None
    retry_after: float | None = None
    should_retry: bool | None = None
    partly_made: bool = False

    def __init__(self, message: str, *, hint: str | None = None, request_id: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.request_id = request_id


class Unreachable(UpstreamError):
    code = "unreachable"
    retryable = True
    default_hint = (
        "Nothing was sent, so nothing was billed: check the network and OPENAI_BASE_URL, then call again."
    )


class Unsendable(Unreachable):
    """Unreachable for a reason that will still be there the next time."""

    code = "unsendable"
    retryable = False


class Rejected(UpstreamError):
    code = "rejected"
    default_hint = "Nothing was made; change the named argument and call again."


class AuthenticationFailed(Rejected):
    code = "authentication_failed"
    default_hint = "Check OPENAI_API_KEY in this server's configuration and restart it."


class AccessDenied(Rejected):
    code = "access_denied"
    default_hint = "Check what the key's organization and project may use at platform.openai.com."


class OrganizationNotVerified(Rejected):
    code = "organization_not_verified"
    default_hint = (
        "Verify it at https://platform.openai.com/settings/organization/general; it can take 15 minutes to "
        "take effect."
    )


class ModelNotFound(Rejected):
    code = "model_not_found"
    default_hint = "Leave `model` out for the default, or name one that the key's project may use."


class ModerationBlocked(Rejected):
    """`stage` is input, output or None; `categories` as the API names them."""

    code = "moderation_blocked"
    stage: str | None = None
    categories: tuple[str, ...] = ()
    default_hint = "Reword the prompt or change the input pictures; the same request will be refused again."

    def __init__(
        self,
        message: str,
        *,
        stage: str | None = None,
        categories: tuple[str, ...] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.stage = stage
        self.categories = categories


class QuotaExhausted(Rejected):
    code = "quota_exhausted"
    default_hint = (
        "Add credit or raise the limit at https://platform.openai.com/settings/organization/billing; calling "
        "again before that cannot work."
    )


class RateLimited(Rejected):
    """`images_per_minute` is the account's limit of pictures, where the answer names it."""

    code = "rate_limited"
    retryable = True
    images_per_minute: int | None = None

    def __init__(
        self, message: str, *, retry_after: float | None = None, request_id: str | None = None
    ) -> None:
        wait = "about a minute" if retry_after is None else f"{max(math.ceil(retry_after), 1)} s"
        super().__init__(
            message, hint=f"Wait {wait}, then call again, or ask for fewer pictures.", request_id=request_id
        )
        self.retry_after = retry_after


class EditsRejectModel(Rejected):
    code = "edits_reject_model"
    default_hint = (
        "The request did not pass as a GPT Image edit; usual causes are a prompt over 32,000 characters or "
        "an option the model does not take."
    )


class OutcomeUnknown(UpstreamError):
    code = "outcome_unknown"
    may_be_billed = True
    default_hint = (
        "It may have been made and billed, so it was not sent again: check the usage page before you ask for "
        "the same picture once more."
    )


class UpstreamTimeout(OutcomeUnknown):
    code = "upstream_timeout"


class UpstreamFailure(OutcomeUnknown):
    code = "upstream_failure"


class PictureAway(UpstreamError):
    """Calling again would bill another picture; collecting the call fetches this one."""

    code = "picture_away"
    may_be_billed = True
    default_hint = "The picture was made and waits at its address: call get_result to fetch it from there."


class InvalidAnswer(UpstreamError):
    code = "invalid_answer"
    may_be_billed = True
    default_hint = "The call may have been billed; its raw answer is kept for 7 days in the state folder."
