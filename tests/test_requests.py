"""Arguments as language models really send them."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.capabilities import PROMPT_MAX_CHARS
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.requests import (
    Arguments,
    ContinueSessionRequest,
    EditRequest,
    EndSessionRequest,
    GenerateRequest,
    GetResultRequest,
    ImportRequest,
    ListSessionsRequest,
    RenderOptions,
    StartSessionRequest,
    TurnOptions,
    parse_arguments,
)

TOOL_REQUESTS: tuple[type[Arguments], ...] = (
    GenerateRequest,
    EditRequest,
    StartSessionRequest,
    ContinueSessionRequest,
    GetResultRequest,
    EndSessionRequest,
    ImportRequest,
    ListSessionsRequest,
)
REQUESTS: tuple[type[Arguments], ...] = (*TOOL_REQUESTS, TurnOptions, RenderOptions)


def generate(**arguments: object) -> GenerateRequest:
    return parse_arguments(GenerateRequest, {"prompt": "a cat", **arguments})


def edit(**arguments: object) -> EditRequest:
    return parse_arguments(EditRequest, {"prompt": "a cat", "images": "a.png", **arguments})


def refusal(request: type[Arguments], arguments: dict[str, object]) -> str:
    with pytest.raises(InvalidRequest) as caught:
        parse_arguments(request, arguments)
    assert caught.value.hint == InvalidRequest.default_hint
    assert caught.value.__cause__ is None
    return caught.value.message


def refused(**arguments: object) -> str:
    return refusal(GenerateRequest, {"prompt": "a cat", **arguments})


@pytest.mark.parametrize("value", [2, "2", 2.0, "2.0", " 2 ", "02"])
def test_a_whole_number_is_taken_in_any_dress(value: object) -> None:
    assert generate(n=value).n == 2


@pytest.mark.parametrize("value", [0, "0", 0.0])
def test_zero_is_a_value_and_not_unset(value: object) -> None:
    assert generate(output_compression=value).output_compression == 0


@pytest.mark.parametrize("value", [True, False])
def test_true_and_false_are_no_numbers(value: bool) -> None:
    assert refused(n=value) == "`n` must be a whole number, not true or false."
    assert refused(output_compression=value) == (
        "`output_compression` must be a whole number, not true or false."
    )


@pytest.mark.parametrize(
    "value",
    [2.5, "2.5", "two", "1e1", [2], {"n": 2}, float("inf"), float("nan"), "true", "9" * 5000, "\ud800"],
)
def test_anything_else_is_no_number(value: object) -> None:
    assert refused(n=value) in {"`n` must be a whole number.", "`n` must be valid Unicode text."}


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("n", 0, "must be at least 1"),
        ("n", -1, "must be at least 1"),
        ("n", 11, "must be at most 10"),
        pytest.param("n", 10**5000, "must be at most 10", id="n-huge"),
        ("n", -(10**30), "must be at least 1"),
        ("partial_images", -1, "must be at least 0"),
        ("partial_images", "4", "must be at most 3"),
        ("output_compression", -1, "must be at least 0"),
        ("output_compression", "101", "must be at most 100"),
        ("frame_duration_ms", 655_351, "must be at most 655350"),
        ("dry_run", "maybe", "must be true or false"),
        ("dry_run", 3, "must be true or false"),
        ("dry_run", [True], "must be true or false"),
        ("max_cost_usd", "five", "must be an amount, such as 0.25"),
        ("max_cost_usd", [1], "must be an amount, such as 0.25"),
        ("max_cost_usd", float("inf"), "must be an amount, such as 0.25"),
        ("max_cost_usd", float("nan"), "must be an amount, such as 0.25"),
        ("max_cost_usd", "-Infinity", "must be an amount, such as 0.25"),
        ("max_cost_usd", True, "must be an amount, not true or false"),
        ("max_cost_usd", -1, "must be at least 0"),
        ("max_cost_usd", 1001, "must be at most 1000"),
        ("filename_prefix", "x" * 61, "must be at most 60 characters long"),
        ("safety_identifier", "x" * 257, "must be at most 256 characters long"),
        ("model", "x" * 101, "must be at most 100 characters long"),
        ("prompt", "x" * (PROMPT_MAX_CHARS + 1), "must be at most 32,000 characters long"),
        ("prompt", " \n\t", "must say something"),
        ("prompt", 5, "must be text"),
        ("prompt", ["a cat"], "must be text"),
        ("output_dir", {"path": "x"}, "must be text"),
        ("output_dir", "\udfff", "must be valid Unicode text"),
        ("size", 1024, "must be text: `auto` or WIDTHxHEIGHT, such as 1536x1024"),
        ("size", [1024, 1024], "must be text: `auto` or WIDTHxHEIGHT, such as 1536x1024"),
        ("size", "big", "must be `auto` or WIDTHxHEIGHT in pixels, such as 1536x1024"),
        ("size", "1024", "must be `auto` or WIDTHxHEIGHT in pixels, such as 1536x1024"),
        ("size", "16:9", "must be `auto` or WIDTHxHEIGHT in pixels, such as 1536x1024"),
        ("size", "0x0", "must be `auto` or WIDTHxHEIGHT in pixels, such as 1536x1024"),
        ("size", "1\u0660\u0662\u0664x1024", "must be `auto` or WIDTHxHEIGHT in pixels, such as 1536x1024"),
    ],
)
def test_a_broken_rule_is_named_and_the_value_is_not(name: str, value: object, rule: str) -> None:
    assert refused(**{name: value}) == f"`{name}` {rule}."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n", 1),
        ("n", 10),
        ("output_compression", 100),
        ("partial_images", 0),
        ("partial_images", 3),
        ("filename_prefix", "x" * 60),
        ("safety_identifier", "x" * 256),
        ("prompt", "x" * PROMPT_MAX_CHARS),
        ("prompt", "  kept as it is \n"),
        ("model", "somebody-elses-model"),
        ("size", "2880x2880"),
    ],
)
def test_values_at_the_limits_are_kept_as_they_are(name: str, value: object) -> None:
    assert getattr(generate(**{name: value}), name) == value


@pytest.mark.parametrize("unset", [None, ""])
@pytest.mark.parametrize("name", sorted(set(EditRequest.model_fields) - {"prompt", "images"}))
def test_null_and_empty_text_mean_not_set(name: str, unset: str | None) -> None:
    request = edit(**{name: unset})

    assert getattr(request, name) is None
    assert name not in request.model_fields_set


@pytest.mark.parametrize("unset", [None, ""])
@pytest.mark.parametrize("name", ["prompt", "images"])
def test_what_is_required_cannot_be_null_or_empty(name: str, unset: str | None) -> None:
    assert refusal(EditRequest, {"prompt": "p", "images": ["a"], name: unset}) == f"`{name}` is required."


@pytest.mark.parametrize(
    "written",
    [
        "1024x1536",
        "1024\u00d71536",
        "1024 X 1536",
        "1024X1536",
        " 1024 x 1536 ",
        "1024*1536",
        "1024 \u00d7 1536",
    ],
)
def test_a_size_is_read_however_it_is_written(written: str) -> None:
    assert generate(size=written).size == "1024x1536"


@pytest.mark.parametrize("written", ["auto", "AUTO", " Auto "])
def test_auto_is_a_size(written: str) -> None:
    assert generate(size=written).size == "auto"


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("quality", "HIGH", "high"),
        ("quality", " xHigh ", "xhigh"),
        ("background", "Transparent", "transparent"),
        ("output_format", "PNG", "png"),
        ("output_format", "jpg", "jpeg"),
        ("output_format", "JPG", "jpeg"),
        ("output_format", "WebP", "webp"),
        ("moderation", "Low", "low"),
    ],
)
def test_words_are_read_in_any_case(name: str, written: str, meant: str) -> None:
    assert getattr(generate(**{name: written}), name) == meant


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("quality", "auto, low, medium, high, xhigh, max"),
        ("background", "auto, opaque, transparent"),
        ("output_format", "png, jpeg, webp, gif, svg"),
        ("moderation", "auto, low"),
    ],
)
def test_a_wrong_word_is_answered_with_the_choices(name: str, choices: str) -> None:
    assert refused(**{name: "best"}) == f"`{name}` must be one of {choices}, not 'best'."
    assert refused(**{name: "w" * 400}) == f"`{name}` must be one of {choices}, not '{'w' * 40}'."
    others: list[object] = [4, True, 1.5, ["low"], {}]
    for other in others:
        assert refused(**{name: other}) == f"`{name}` must be one of {choices}."


def test_a_quoted_word_cannot_carry_control_characters() -> None:
    assert "not 'a\\x1b[2j\\nb'" in refused(quality="a\x1b[2J\nb")


@pytest.mark.parametrize(
    ("images", "meant"),
    [
        (["a.png", "b.png"], ["a.png", "b.png"]),
        ("a.png", ["a.png"]),
        ('["a.png", "b.png"]', ["a.png", "b.png"]),
        (' [ "a.png" ] ', ["a.png"]),
        ("[draft] cat.png", ["[draft] cat.png"]),
        ("[broken.png", ["[broken.png"]),
        ("{a}.png", ["{a}.png"]),
        ("data:image/png;base64,AAAA", ["data:image/png;base64,AAAA"]),
        (["x.png"] * 16, ["x.png"] * 16),
    ],
)
def test_a_list_is_taken_as_text_too(images: object, meant: list[str]) -> None:
    assert edit(images=images).images == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("[Image: source: /tmp/a b.png]", ["/tmp/a b.png"]),
        (" [image:source:/tmp/a.png ] ", ["/tmp/a.png"]),
        ("[Image: source: /tmp/a [1].png]", ["/tmp/a [1].png"]),
        ("[Image: source: C:\\a.png]", ["C:\\a.png"]),
        ("[Image: source: /a.png] [Image: source: /b.png]", ["/a.png", "/b.png"]),
        ("[Image: source: /a.png],\n[Image: source: /b[2].png]\n", ["/a.png", "/b[2].png"]),
        (["[Image: source: /a.png]", "/b.png"], ["/a.png", "/b.png"]),
        ('["[Image: source: /a.png]", "latest"]', ["/a.png", "latest"]),
        ('"/a b.png"', ["/a b.png"]),
        ("'/a.png'", ["/a.png"]),
        ("`/a.png`", ["/a.png"]),
        ("<https://example.org/a.png>", ["https://example.org/a.png"]),
        ('[Image: source: "/a.png"]', ["/a.png"]),
        ("  /a.png\n", ["/a.png"]),
        ("it's.png", ["it's.png"]),
        ("[Image: 1].png", ["[Image: 1].png"]),
        ("see [Image: source: /a.png]", ["see [Image: source: /a.png]"]),
        ("''", ["''"]),
    ],
)
def test_what_clients_and_models_write_around_a_path_is_taken_off(written: object, meant: list[str]) -> None:
    assert edit(images=written).images == meant
    if len(meant) == 1:
        assert edit(images=["x"], mask=written).mask == meant[0]


def test_blanks_are_no_picture() -> None:
    assert "entry 2 must not be empty" in refusal(EditRequest, {"prompt": "p", "images": ["a.png", "  "]})


@given(st.text(max_size=60))
def test_taking_off_what_stands_around_a_path_ends_and_is_final(text: str) -> None:
    try:
        once = edit(images=[text]).images
    except InvalidRequest:
        return
    assert edit(images=once).images == once


@pytest.mark.parametrize(
    ("images", "rule"),
    [
        ([], "needs at least 1 entry"),
        ("[]", "needs at least 1 entry"),
        (["x"] * 17, "takes at most 16 entries, not 17"),
        (json.dumps(["x"] * 20), "takes at most 16 entries, not 20"),
        ({"path": "x"}, "must be a list"),
        (7, "must be a list"),
        (["a", 5], "entry 2 must be text"),
        (["a", None], "entry 2 must be text"),
        (["", "a"], "entry 1 must not be empty"),
        ('["a", {"b": 1}]', "entry 2 must be text"),
        (["\ud800"], "entry 1 must be valid Unicode text"),
        ('["\\ud800"]', "entry 1 must be valid Unicode text"),
    ],
)
def test_a_wrong_list_names_its_entry(images: object, rule: str) -> None:
    message = refusal(EditRequest, {"prompt": "p", "images": images})

    assert message == f"`images` {rule}."


def test_a_list_text_nested_without_end_is_a_path_like_any_other() -> None:
    endless = "[" * 100_000

    assert edit(images=endless).images == [endless]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("sise", "size"),
        ("Quality", "quality"),
        ("format", "output_format"),
        ("outputDir", "output_dir"),
        ("promt", "prompt"),
        ("num", "n"),
    ],
)
def test_an_unknown_argument_is_named_with_the_nearest_known(name: str, near: str) -> None:
    assert refused(**{name: "x"}) == f"There is no argument `{name}` (did you mean `{near}`?)."


def test_an_old_name_beside_the_new_one_is_told_from_an_unknown_one() -> None:
    assert refused(user="u1", safety_identifier="u2") == (
        "`user` is the old name of `safety_identifier`, and both are given."
    )


def test_an_unknown_argument_like_no_other_is_answered_with_all() -> None:
    assert refusal(EndSessionRequest, {"session_id": "s", "zzz": 1}) == (
        "There is no argument `zzz`, only session_id."
    )
    assert refusal(ListSessionsRequest, {"zzz": 1}) == "There is no argument `zzz`: it takes none."


@pytest.mark.parametrize("name", ["a`b\n\x1b[31m", "x" * 300, "https://errors.pydantic.dev", "a b"])
def test_a_hostile_name_is_shown_harmless_and_short(name: str) -> None:
    message = refusal(EndSessionRequest, {"session_id": "s", name: 1})

    shown = message.split("`")[1]
    assert len(shown) <= 40
    assert set(shown) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_?m[31")
    assert message.endswith("`, only session_id.") or "did you mean" in message


def test_a_hundred_thousand_unknown_arguments_are_counted_and_not_looked_at() -> None:
    # Told of by pydantic one by one, they take half a minute.
    names = {f"key{number}": number for number in range(100_000)}
    message = refusal(EndSessionRequest, {"session_id": "s", **names})

    assert message.startswith("There is no argument `key0`, only session_id; there is no argument `key1`")
    assert message.endswith("; and 99997 more.")


@pytest.mark.parametrize("name", ["n" * 1_000_000, "prompt" * 200_000])
def test_a_name_of_a_million_characters_is_compared_by_its_beginning(name: str) -> None:
    assert "There is no argument" in refused(**{name: 1})


@pytest.mark.parametrize("gap", [" ", "\t", "\u2003"])
def test_a_size_full_of_white_space_is_refused_at_once(gap: str) -> None:
    # The pattern that takes `1024 x 1024` would be at it for minutes.
    assert "WIDTHxHEIGHT" in refused(size="1" + gap * 200_000 + "x1")


def test_a_list_text_of_a_million_entries_is_a_path_like_any_other() -> None:
    endless = "[" + "1," * 1_000_000 + "1]"

    assert edit(images=endless).images == [endless]


@pytest.mark.parametrize(
    "piece",
    ['"', "'", "<", " ", "[Image: source: ", "[Image: source:]", "[image: source: a]x", "]", "[Image:"],
)
def test_a_source_wrapped_without_end_is_looked_through_in_one_pass(piece: str) -> None:
    # By recursion or a pattern that goes back and forth it would break, or take for ever.
    for text in (piece * 900, piece * 100_000, "[Image: source: " + piece * 100_000):
        with suppress(InvalidRequest):
            assert len(edit(images=text).images) >= 1


@pytest.mark.parametrize("model", ["a model", "gpt\n-image", "\u202egpt", "gpt;rm", "g\u00fct"])
def test_a_model_is_named_by_an_id(model: str) -> None:
    assert refused(model=model) == "`model` must be a model's id, such as gpt-image-2."


@pytest.mark.parametrize("model", ["gpt-image-2.5-flare", "org/my_model:v1@2", "GPT"])
def test_any_id_can_name_a_model(model: str) -> None:
    assert generate(model=model).model == model


def test_several_problems_stand_in_one_sentence() -> None:
    message = refusal(GenerateRequest, {"n": 99, "quality": "best", "output_dir": 5})

    assert message == (
        "`prompt` is required; `quality` must be one of auto, low, medium, high, xhigh, max, not 'best'; "
        "`n` must be at most 10; `output_dir` must be text."
    )


def test_more_than_four_problems_are_counted() -> None:
    message = refusal(EditRequest, {"prompt": "p", "images": [1, 2, 3, 4, 5, 6]})

    assert message.count(";") == 4
    assert message.endswith("; and 2 more.")


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.__name__)
@pytest.mark.parametrize("arguments", [[], "text", 5, None, {"\ud800": 1}])
def test_what_is_no_object_of_names_is_refused(request_: type[Arguments], arguments: object) -> None:
    with pytest.raises(InvalidRequest, match="The arguments must be an object of names and values"):
        parse_arguments(request_, arguments)


def test_neither_prompt_nor_path_nor_pydantic_shows_in_a_refusal() -> None:
    secret = "a secret wish"
    message = refusal(
        EditRequest,
        {
            "prompt": secret * 3000,
            "images": [secret, 5, ""],
            "size": secret,
            "n": secret,
            "user": secret * 100,
            "filename_prefix": [secret],
        },
    )

    assert secret not in message
    assert "pydantic" not in message
    assert "http" not in message
    assert "Value error" not in message


def test_a_turn_keeps_only_what_it_sets() -> None:
    turn = parse_arguments(TurnOptions, {"quality": "high", "size": None, "user": ""})

    assert turn.model_dump(exclude_none=True) == {"quality": "high"}


@pytest.mark.parametrize(("given", "taken"), [(0, 0), ("0", 0), ("30", 30), (600.0, 600), (None, None)])
def test_how_long_to_wait_for_a_result_is_a_whole_number_and_zero_is_one(
    given: object, taken: int | None
) -> None:
    request = parse_arguments(GetResultRequest, {"operation_id": "op", "wait_seconds": given})
    assert request.wait_seconds == taken


@pytest.mark.parametrize("given", [-1, 601, "soon", 0.5, True, "1e3"])
def test_another_wait_for_a_result_is_refused(given: object) -> None:
    message = refusal(GetResultRequest, {"operation_id": "op", "wait_seconds": given})
    assert message.startswith("`wait_seconds` must be ")


def test_a_result_is_asked_for_by_its_operation_or_as_the_latest() -> None:
    assert parse_arguments(GetResultRequest, {"operation_id": "0f1e"}).operation_id == "0f1e"
    for unset in ({}, {"operation_id": None}, {"operation_id": ""}):
        assert parse_arguments(GetResultRequest, unset).operation_id is None
    assert refusal(GetResultRequest, {"operation_id": "x" * 101}).startswith("`operation_id` must ")


def test_a_session_id_is_required_and_bounded() -> None:
    assert parse_arguments(EndSessionRequest, {"session_id": "s1"}).session_id == "s1"
    assert refusal(EndSessionRequest, {}) == "`session_id` is required."
    assert refusal(EndSessionRequest, {"session_id": "x" * 201}) == (
        "`session_id` must be at most 200 characters long."
    )
    assert refusal(ContinueSessionRequest, {"session_id": "s", "prompt": "p", "n": 2}).startswith(
        "There is no argument `n`"
    )


NAMES = sorted({name for request in REQUESTS for name in request.model_fields})
WORDS = ["auto", "HIGH", "jpg", "1024x1024", "5x", "2", "2.0", "[", '["a"]', "[1]", "\ud800", "", "9" * 40]
text = st.one_of(st.sampled_from(WORDS), st.text(st.characters(codec=None), max_size=20))
junk = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(10**60), 10**60),
        st.floats(),
        text,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=3)),
    max_leaves=8,
)
objects = st.dictionaries(st.one_of(st.sampled_from(NAMES), text), junk, max_size=8)


def parsed_or_refused(request: type[Arguments], arguments: dict[str, object]) -> tuple[Arguments | None, str]:
    try:
        return parse_arguments(request, arguments), ""
    except InvalidRequest as error:
        return None, error.message


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.__name__)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arguments=objects)
@example(arguments={"prompt": "p", "images": "[" * 100_000})
@example(arguments={"prompt": "\ud800", "session_id": "\udfff", "images": ["\ud800"], "\ud800": "\ud800"})
def test_any_json_gives_a_request_or_one_clean_sentence(
    request_: type[Arguments], arguments: dict[str, object]
) -> None:
    parsed, message = parsed_or_refused(request_, arguments)

    if parsed is None:
        assert message.endswith(".")
        assert message[0] in "`TE"
        assert "pydantic" not in message
        assert len(message) < 1500
        message.encode()
    else:
        assert set(parsed.model_fields_set) <= set(request_.model_fields)
        json.dumps(parsed.model_dump(mode="json")).encode()
