"""The lines of a batch's file, and what the rows of its manifest say of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.batches import History, Row, parse_lines
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest


def lines(*objects: dict[str, Any]) -> list[str]:
    return [json.dumps(each) for each in objects]


def row(**facts: Any) -> Row:
    known = {"id": "a", "line": 1, "digest": "d", "state": "done", "operation_id": "1"}
    return Row.model_validate({**known, "at": datetime(2026, 11, 27, tzinfo=UTC), **facts})


def test_a_line_with_images_is_an_edit_and_one_without_makes_a_picture() -> None:
    made, edited = parse_lines(lines({"prompt": "a fox"}, {"prompt": "add snow", "images": ["a.png"]}))
    assert isinstance(made.request, GenerateRequest)
    assert isinstance(edited.request, EditRequest)


def test_empty_lines_are_passed_over_and_counted() -> None:
    assert [line.number for line in parse_lines(["", *lines({"prompt": "a fox"}), "  "])] == [2]


def test_a_line_is_known_by_its_own_id_in_text_or_number() -> None:
    found = parse_lines(lines({"id": "fox", "prompt": "x"}, {"id": 7, "prompt": "x"}))
    assert [line.id for line in found] == ["fox", "7"]


def test_a_line_without_an_id_is_known_by_what_it_asks_for_wherever_it_stands() -> None:
    (first,) = parse_lines(lines({"prompt": "a fox", "size": "1024x640"}))
    _, moved = parse_lines(lines({"prompt": "a hen"}, {"size": "1024x640", "prompt": "a fox"}))
    assert moved.id == first.id


def test_lines_that_ask_for_the_same_are_lines_of_their_own() -> None:
    first, second = parse_lines(lines({"prompt": "a fox"}, {"prompt": "a fox"}))
    assert first.digest == second.digest
    assert first.id != second.id


def test_what_a_line_may_cost_is_no_part_of_what_it_asks_for() -> None:
    cheap, dear = parse_lines(lines({"prompt": "x"}, {"prompt": "x", "max_cost_usd": 1}))
    assert cheap.digest == dear.digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Line 1: It is not JSON."),
        ("[1]", "Line 1: It is no JSON object of arguments."),
        ('{"size": "auto"}', "Line 1: `prompt` is required."),
        ('{"prompt": "x", "colour": "red"}', "Line 1: There is no argument `colour`"),
        ('{"prompt": "x", "dry_run": true}', "`dry_run` is for the whole batch"),
        ('{"prompt": "x", "id": ""}', "`id` must be a text of 1 to 100 characters"),
        ('{"prompt": "x", "id": true}', "`id` must be a text of 1 to 100 characters"),
        ("", "The file has no lines."),
    ],
)
def test_a_wrong_line_is_named_with_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_lines([text])
    assert said in caught.value.message


def test_of_many_wrong_lines_the_first_four_are_told() -> None:
    with pytest.raises(InvalidRequest, match=r"^Line 1: .* Line 4: It is not JSON\. And 2 more\.") as caught:
        parse_lines(["{"] * 6)
    assert "nothing was sent" in caught.value.hint


def test_two_lines_of_one_id_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"Line 2: Its `id` is that of a line before it\."):
        parse_lines(lines({"id": "fox", "prompt": "x"}, {"id": "fox", "prompt": "y"}))


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12))
def test_ids_are_never_shared_and_are_the_same_in_every_run(prompts: list[str]) -> None:
    texts = lines(*({"prompt": prompt} for prompt in prompts))
    ids = [line.id for line in parse_lines(texts)]
    assert len(set(ids)) == len(ids)
    assert ids == [line.id for line in parse_lines(texts)]


def test_the_last_row_of_a_line_counts() -> None:
    (line,) = parse_lines(lines({"id": "a", "prompt": "x"}))
    sending, done = (row(digest=line.digest, state=state) for state in ("sending", "done"))
    assert History([sending, done]).of(line) == done
    assert History().of(line) is None


def test_a_changed_line_under_an_old_id_is_refused() -> None:
    (line,) = parse_lines(lines({"id": "a", "prompt": "another"}))
    with pytest.raises(InvalidRequest, match="Line 1: the manifest has its `id` a for another call"):
        History([row(digest="of the first")]).of(line)


def test_what_is_charged_is_the_cost_and_the_most_where_that_is_not_known() -> None:
    history = History(
        [
            row(operation_id="1", state="sending", most_usd=9),
            row(operation_id="1", cost_usd=0.25, most_usd=9),
            row(operation_id="2", state="unknown", most_usd=0.5),
            row(operation_id="3", state="failed", most_usd=9),
            row(operation_id="4", state="sending", most_usd=1),
            row(operation_id="5", state="done"),
        ]
    )
    assert history.charged_usd() == 1.75
    assert history.charged_usd(but=frozenset({"4"})) == 0.75
