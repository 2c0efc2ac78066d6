"""The error tree: complete, documented, safe to print."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from gpt_image_2_mcp import errors
from gpt_image_2_mcp.errors import (
    ImageServerError,
    InvalidRequest,
    ModerationBlocked,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unreachable,
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


def test_only_what_was_proven_unsent_or_limited_may_be_sent_again() -> None:
    assert {cls for cls in ALL if cls.retryable} == {Unreachable, RateLimited}
    assert not any(cls.retryable for cls in tree(OutcomeUnknown))


def test_upstream_errors_carry_the_request_id() -> None:
    assert Rejected("No.", request_id="req_1").request_id == "req_1"
    assert UpstreamError("No.").request_id is None
    assert RateLimited("No.", request_id="req_2").request_id == "req_2"


def test_a_moderation_error_carries_stage_and_categories() -> None:
    error = ModerationBlocked("No.", stage="output", categories=("violence",), request_id="req_3")

    assert (error.stage, error.categories, error.request_id) == ("output", ("violence",), "req_3")


@pytest.mark.parametrize(("wait", "said"), [(12.4, "12 s"), (None, "about a minute"), (0.0, "0 s")])
def test_a_rate_limit_names_the_wait(wait: float | None, said: str) -> None:
    assert f"Wait {said}, then" in str(RateLimited("Slow down.", retry_after=wait))
