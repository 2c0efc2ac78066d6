"""Reading of parameters from JSON and from forms."""

from typing import Any

import pytest

from gpt_image_2_mcp.sandbox.errors import ApiError, quoted_list
from gpt_image_2_mcp.sandbox.fields import Fields


def _refused(fields: Fields, name: str = "svg") -> tuple[str | None, str | None]:
    with pytest.raises(ApiError) as raised:
        fields.mapping(name)
    return raised.value.param, raised.value.code


def test_a_forms_brackets_make_nested_objects() -> None:
    fields = Fields({"svg[a]": "1", "svg[b][c]": "2", "svg[b][d]": "3", "other": "4"}, form=True)
    svg = fields.mapping("svg")
    assert svg is not None
    assert svg.values == {"a": "1", "b": {"c": "2", "d": "3"}}
    inner = svg.mapping("b")
    assert inner is not None
    assert inner.path("c") == "svg.b.c"
    assert inner.integer("d", 0, 9) == 3


def test_a_form_that_uses_one_name_for_a_value_and_an_object_is_refused() -> None:
    assert _refused(Fields({"svg[a]": "1", "svg[a][b]": "2"}, form=True)) == ("svg.a", "invalid_type")


def test_a_broken_bracket_is_a_member_without_a_name() -> None:
    svg = Fields({"svg[a": "1"}, form=True).mapping("svg")
    assert svg is not None
    assert svg.values == {"": "1"}


@pytest.mark.parametrize("value", ["text", 1, [], True])
def test_what_is_no_object_is_refused(value: Any) -> None:
    assert _refused(Fields({"svg": value})) == ("svg", "invalid_type")


def test_json_is_not_read_as_a_form_is() -> None:
    fields = Fields({"n": "3", "stream": "true"})
    with pytest.raises(ApiError, match="expected an integer"):
        fields.integer("n", 1, 10)
    with pytest.raises(ApiError, match="expected a boolean"):
        fields.boolean("stream")


def test_a_list_of_values_is_punctuated_as_openai_does() -> None:
    assert quoted_list(["a"]) == "'a'"
    assert quoted_list(["a", "b"]) == "'a', and 'b'"
    assert quoted_list(["a", "b", "c"]) == "'a', 'b', and 'c'"
