"""Text from outside, made safe to show."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.redaction import ERROR_TEXT_LIMIT, SHORTEST_KEY, clean, one_line, redact, redactor
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
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-DEF_123", "token {} was refused"),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjM0In0.", "token {} was refused"),
        ("0123456789abcdef0123456789abcdef", "api-key: {}"),
        ("0123456789abcdef", "x-api-key={}"),
        ("abc-123-def", '{{"api_key": "{}"}}'),
        ("local-key-of-mine", "OPENAI_API_KEY={}"),
        ("AKIAIOSFODNN7EXAMPLE", "id {} here"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = {}"),
        ("ghp_" + "aB3" * 12, "with {}"),
        ("xoxb-1234567890-abcdefghij", "with {}"),
        ("AIza" + "Sy_4" * 9, "with {}"),
        ("user:pa55word", "https://{}@host.example/v1"),
        ("u:p", "postgres://{}@db"),
        ("ab%2Bcd12345", "https://host.example/a.png?sig={}&se=1"),
        ("hunter2000", "password={}&x=1"),
        (" RSA PRIVATE KEY-----\nMIIEow\nAQ==\n", "-----BEGIN{}-----END RSA PRIVATE KEY-----"),
    ],
)
def test_keys_tokens_and_base64_are_taken_out(secret: str, around: str) -> None:
    assert redact(around.format(secret)).rstrip(".") == around.format("[redacted]").rstrip(".")


@pytest.mark.parametrize(
    "text",
    [
        *("a task-list", "sk-1", "Bearer of news", "A" * 63, "data: none", ""),
        "Set OPENAI_API_KEY or OPENAI_API_KEY_FILE in this server's configuration",
        "input_tokens=196, output_tokens=107, token: must be given",
        "https://host.example:8443/a@b.png",
        "an eyJ and a sig= of nothing",
        "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
    ],
)
def test_plain_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


def test_a_long_path_is_left_alone() -> None:
    path = "/home/alexander/Projects/marketing/campaign/assets/images/renderings/hero.png"

    assert clean(f"{path} cannot be read") == f"{path} cannot be read"


def test_a_long_run_of_slashes_is_looked_through_in_one_pass() -> None:
    # Quadratic, this takes minutes.
    assert redact("x/" * 200_000) == "x/" * 200_000


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "sk-",
            "Bearer ",
            "://",
            "://a:",
            "a:",
            "eyJ",
            "eyJaaaaaa.",
            "AKIA",
            "ghp_",
            "xoxb-",
            "data:",
            "data:a;",
        ),
        *(
            "-----BEGIN",
            " PRIVATE KEY-----",
            "api-key",
            "api_",
            "a_token",
            "password ",
            "password:",
            "sig=a",
            "=",
        ),
    ],
)
def test_whatever_is_repeated_a_text_is_looked_through_in_one_pass(piece: str) -> None:
    # Quadratic, this takes minutes.
    assert len(redact(piece * 50_000)) <= len(piece) * 50_000 + 11 * 50_000


KEY = "my own/server+key=of any shape"


@pytest.mark.parametrize("form", [KEY, "my%20own%2Fserver%2Bkey%3Dof%20any%20shape"])
def test_a_key_of_any_shape_is_taken_out_where_it_is_known(form: str) -> None:
    strike = redactor(KEY)

    assert redact(f"refused {form}.") == f"refused {form}."
    assert strike(f"refused {form}, and {CANARY}") == "refused [redacted], and [redacted]"
    assert strike("refused my own key") == "refused my own key"


def test_a_word_that_stands_for_a_key_is_left_alone() -> None:
    assert redactor("none", "")("none of them") == "none of them"


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=SHORTEST_KEY, max_size=60), st.text(max_size=200), st.text(max_size=200))
def test_a_known_key_is_never_left_in_a_text(key: str, before: str, after: str) -> None:
    assert key not in redactor(key)(before + key + after).replace("[redacted]", "")


def test_what_could_end_a_line_or_disguise_it_is_escaped() -> None:
    assert one_line("a\nb\u2028c\x1b[0m\u202ed\u200b\ud800") == (r"a\nb\u2028c\x1b[0m\u202ed\u200b\ud800")
    assert one_line("Grüße, 画像 ♥") == "Grüße, 画像 ♥"


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec=None)))
def test_any_text_is_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()


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
