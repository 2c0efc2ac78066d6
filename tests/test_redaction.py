"""Text from outside, made safe to show."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.redaction import ERROR_TEXT_LIMIT, clean, redact
from tests.support.upstreams import CANARY


@pytest.mark.parametrize(
    ("secret", "around"),
    [
        (CANARY, "key {} here"),
        ("sk-proj-****************abcd", "Incorrect API key provided: {}."),
        ("sk-ABCDEF", "{}"),
        ("Bearer abc.def-123", "header {}"),
        ("bearer eyJhbGciOi", "header {}"),
        ("Basic dXNlcjpwYXNz", "Authorization: {}"),
        ("data:image/png;base64,iVBORw0KGgo=", "loading {}"),
        ("DATA:image/svg+xml;base64,AAAA", "loading {}"),
        ("A" * 64, "bytes {}"),
        ("Qm9v" * 40 + "==", "bytes {}"),
        ("a/b/" + "Qm9v" * 10 + "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBD", "bytes {}"),
    ],
)
def test_keys_tokens_and_base64_are_taken_out(secret: str, around: str) -> None:
    assert redact(around.format(secret)).rstrip(".") == around.format("[redacted]").rstrip(".")


@pytest.mark.parametrize("text", ["a task-list", "sk-1", "Bearer of news", "A" * 63, "data: none", ""])
def test_plain_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_a_long_path_is_left_alone() -> None:
    path = "/home/alexander/Projects/marketing/campaign/assets/images/renderings/hero.png"

    assert clean(f"{path} cannot be read") == f"{path} cannot be read"


def test_a_long_run_of_slashes_is_looked_through_in_one_pass() -> None:
    # Quadratic, this takes minutes.
    assert redact("x/" * 200_000) == "x/" * 200_000


def test_a_key_cannot_hide_behind_invisible_characters() -> None:
    hidden = "\u200b".join(CANARY)

    assert clean(f"the key {hidden} leaked") == "the key [redacted] leaked"


def test_cleaned_text_is_one_line() -> None:
    assert clean("first\n\tsecond\r\n third") == "first second third"


def test_cleaned_text_carries_no_terminal_or_bidirectional_controls() -> None:
    assert clean("a\x1b[31mb\u202ec\U000e0041d\ud800e\ufefff") == "a[31mbcdef"


@pytest.mark.parametrize("limit", [3, 10, ERROR_TEXT_LIMIT])
def test_long_text_is_cut_and_says_so(limit: int) -> None:
    text = "word " * 1000

    assert len(clean(text, limit)) == limit
    assert clean(text, limit).endswith("...")


def test_text_at_the_limit_is_whole() -> None:
    assert clean("abcde", 5) == "abcde"


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec=None), max_size=200), st.integers(3, 50))
def test_cleaning_bounds_any_text_and_leaves_no_invisible_character(text: str, limit: int) -> None:
    cleaned = clean(text, limit)

    assert len(cleaned) <= limit
    assert not [c for c in cleaned if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co"}]


@pytest.mark.parametrize(
    "name", ["mask-foreground.png", "/home/me/flask-project/in.png", "a desk-mounted lamp"]
)
def test_words_that_end_in_sk_are_no_keys(name: str) -> None:
    assert clean(name) == name
