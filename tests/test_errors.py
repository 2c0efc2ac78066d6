"""The error tree: complete, documented, safe to print."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from gpt_image_2_mcp import errors
from gpt_image_2_mcp.errors import (
    Busy,
    ImageServerError,
    InvalidRequest,
    ModerationBlocked,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    SessionBusy,
    Unreachable,
    Unsendable,
    UpstreamError,
)


def tree(top: type[ImageServerError]) -> Iterator[type[ImageServerError]]:
    yield top
    for child in top.__subclasses__():
        yield from tree(child)


ALL = sorted(set(tree(ImageServerError)), key=lambda cls: cls.__name__)


def test_the_docstring_draws_every_class_and_no_other() -> None:
    drawing = (errors.__doc__ or "").split("\n\n")[2]
    drawn = {
        name
        for line in drawing.splitlines()
        for name in re.findall(r"\b[A-Z]\w+", re.split(r" {2,}(?=[a-z0-9])", line.strip())[0])
    }

    assert drawn - {"API"} == {cls.__name__ for cls in ALL}


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_class_has_a_code_of_its_own(cls: type[ImageServerError]) -> None:
    assert re.fullmatch(r"[a-z_]+", cls.code)
    assert [other for other in ALL if other.code == cls.code] == [cls]


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_error_prints_as_its_message_and_its_hint(cls: type[ImageServerError]) -> None:
    error = cls("It broke.")

    assert error.message == "It broke."
    assert str(error) == f"It broke. {error.hint}".strip()


@pytest.mark.parametrize("message", ["It broke.", "It broke!", "Did it break?"])
def test_a_sentence_that_ends_is_left_as_it_is(message: str) -> None:
    assert str(InvalidRequest(message, hint="Do this.")) == f"{message} Do this."


def test_a_message_without_an_end_gets_one_before_the_hint() -> None:
    assert str(InvalidRequest("It broke", hint="Do this.")) == "It broke. Do this."


def test_a_given_hint_replaces_the_default_one_even_when_it_is_empty() -> None:
    assert str(InvalidRequest("No.", hint="Do this.")) == "No. Do this."
    assert str(InvalidRequest("No.", hint="")) == "No."
    assert InvalidRequest("No.").hint == InvalidRequest.default_hint


def test_only_what_was_proven_unsent_or_limited_or_waits_its_turn_invites_another_call() -> None:
    assert {cls for cls in ALL if cls.retryable} == {Unreachable, RateLimited, SessionBusy, Busy}
    assert not Unsendable.retryable
    assert not any(cls.retryable for cls in tree(OutcomeUnknown))


def test_a_busy_server_says_how_long_to_wait_where_it_knows() -> None:
    assert str(Busy("Full.", wait_s=11.2)) == "Full. Wait about 12 s, then call again; nothing was sent."
    assert str(Busy("Full.")) == "Full. Wait a while, then call again; nothing was sent."


def test_upstream_errors_carry_the_request_id() -> None:
    assert Rejected("No.", request_id="req_1").request_id == "req_1"
    assert UpstreamError("No.").request_id is None
    assert RateLimited("No.", request_id="req_2").request_id == "req_2"


def test_a_moderation_error_carries_stage_and_categories() -> None:
    error = ModerationBlocked("No.", stage="output", categories=("violence",), request_id="req_3")

    assert (error.stage, error.categories, error.request_id) == ("output", ("violence",), "req_3")


def test_upstream_errors_say_nothing_of_trying_again_unless_the_api_did() -> None:
    for error in (cls("No.") for cls in tree(UpstreamError)):
        assert isinstance(error, UpstreamError)
        assert (error.retry_after, error.should_retry) == (None, None)
    assert RateLimited("No.", retry_after=7).retry_after == 7


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_error_comes_back_from_the_journal_as_what_it_was(cls: type[ImageServerError]) -> None:
    error = cls("It broke.")

    revived = ImageServerError.revived(error.code, error.message, error.hint)

    assert type(revived) is cls
    assert (revived.message, revived.hint, str(revived)) == (error.message, error.hint, str(error))
    assert revived.args == error.args
    assert revived.retryable == error.retryable


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_an_error_comes_back_with_its_own_hint_and_with_no_detail_that_was_not_kept(
    cls: type[ImageServerError],
) -> None:
    revived = ImageServerError.revived(cls.code, "It broke.", "")

    assert revived.hint == ""
    if isinstance(revived, UpstreamError):
        assert (revived.request_id, revived.retry_after, revived.should_retry) == (None, None, None)
    if isinstance(revived, ModerationBlocked):
        assert (revived.stage, revived.categories) == (None, ())


@pytest.mark.parametrize("code", ["", "of_a_newer_version", "Rejected", "REJECTED"])
def test_an_error_of_a_code_there_is_not_comes_back_as_one_of_ours(code: str) -> None:
    revived = ImageServerError.revived(code, "It broke.", "Do this.")

    assert type(revived) is ImageServerError
    assert str(revived) == "It broke. Do this."


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        (12.0, "12 s"),
        (12.4, "13 s"),
        (12.6, "13 s"),
        (None, "about a minute"),
        (0.0, "1 s"),
        (0.2, "1 s"),
        (86_400, "86400 s"),
    ],
)
def test_a_rate_limit_names_the_wait(wait: float | None, said: str) -> None:
    assert f"Wait {said}, then" in str(RateLimited("Slow down.", retry_after=wait))
