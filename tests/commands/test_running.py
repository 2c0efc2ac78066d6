"""What commands share: the exit code tells what became of the money."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
import pytest

from gpt_image_2_mcp.commands.running import EXIT_CODES, exit_code, fail
from gpt_image_2_mcp.errors import (
    BudgetExceeded,
    ConsentDeclined,
    ConsentNeeded,
    ImageServerError,
    InputError,
    InvalidAnswer,
    InvalidRequest,
    MissingKey,
    ModerationBlocked,
    OutcomeUnknown,
    PictureAway,
    StorageError,
    TooDear,
    Unreachable,
    UpstreamTimeout,
)


def tree(kind: type[ImageServerError] = ImageServerError) -> Iterator[type[ImageServerError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        (1, (ImageServerError, ModerationBlocked, StorageError, Unreachable)),
        (2, (InvalidRequest, InputError, MissingKey)),
        (3, (OutcomeUnknown, UpstreamTimeout, InvalidAnswer, PictureAway)),
        (4, (BudgetExceeded, TooDear, ConsentNeeded, ConsentDeclined)),
    ],
)
def test_an_error_ends_with_the_code_of_its_kind(
    code: int, kinds: tuple[type[ImageServerError], ...]
) -> None:
    assert {exit_code(kind("x")) for kind in kinds} == {code}


def test_what_is_paid_for_and_cannot_be_saved_is_no_mere_failure() -> None:
    error = StorageError("The disk is full.")
    error.may_be_billed = True
    assert exit_code(error) == 3


def test_every_error_has_a_code_that_is_documented() -> None:
    assert {exit_code(kind("x")) for kind in tree()} == set(EXIT_CODES) - {0, 130}


def test_a_failure_is_told_on_stderr_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fail(
            TooDear("It has sk-abc in it.", hint="Ask for less."), lambda text: text.replace("sk-abc", "...")
        )
    assert caught.value.code == 4
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Error: It has ... in it. Ask for less.\n")


def test_a_script_that_asked_for_json_is_told_of_a_failure_in_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    context = click.Context(click.Command("generate"))
    context.params["as_json"] = True
    with context, pytest.raises(SystemExit) as caught:
        fail(UpstreamTimeout("It has sk-abc in it."), lambda text: text.replace("sk-abc", "..."))
    assert caught.value.code == 3
    shown = capsys.readouterr()
    told = json.loads(shown.out)["error"]
    assert told.pop("hint")
    assert told == {
        "code": UpstreamTimeout.code,
        "message": "It has ... in it.",
        "retryable": False,
        "may_be_billed": True,
    }
    assert shown.err.startswith("Error: It has ... in it.")
