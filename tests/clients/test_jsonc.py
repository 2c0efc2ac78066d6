"""JSON files, with comments and without, in which everything stays but what is put there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.clients import jsonc
from gpt_image_2_mcp.clients.edits import Put, carried_out
from gpt_image_2_mcp.errors import UnreadableSetup

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6)
SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | NAMES
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS, lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(NAMES, deeper, max_size=3)
    ),
    max_size=5,
)
ENTRY = {"command": "/opt/bin/it", "args": [], "env": {"KEY": "sk-..."}}
BLANKS = ("", " ", "\n", "\r\n", "\t", "\n  ")
COMMENTS = (*BLANKS, '// a, "b": {\n', "/* } ] , */", " // é\r\n", "/**/ ")


@st.composite
def texts(draw: st.DrawFn, *, comments: bool) -> tuple[str, dict[str, Any]]:
    """A document as a person, or many programs, may have written it."""
    gaps = st.sampled_from(COMMENTS if comments else BLANKS)
    document = draw(DOCUMENTS)

    def render(value: Any) -> str:
        if not isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=draw(st.booleans()))
        items = value.items() if isinstance(value, dict) else ((None, each) for each in value)
        parts = [f"{'' if k is None else named(k)}{draw(gaps)}{render(v)}{draw(gaps)}" for k, v in items]
        trailing = "," if comments and parts and draw(st.booleans()) else ""
        inside = f",{draw(gaps)}".join(parts)
        ends = "{}" if isinstance(value, dict) else "[]"
        return f"{ends[0]}{draw(gaps)}{inside}{trailing}{draw(gaps)}{ends[1]}"

    def named(key: str) -> str:
        return f"{json.dumps(key)}{draw(gaps)}:"

    return f"{draw(gaps)}{render(document)}{draw(gaps)}", document


def is_kept(before: str, after: str) -> bool:
    """Whether `after` is `before` with something put in between, and nothing taken away."""
    rest = iter(after)
    return all(any(character == other for other in rest) for character in before)


@given(st.data(), st.booleans())
def test_what_is_put_in_stands_there_and_everything_else_stays(data: st.DataObject, comments: bool) -> None:
    text, document = data.draw(texts(comments=comments))
    assert jsonc.read(text, comments=comments).value == document
    puts = [Put(("servers", "it"), ENTRY), Put(("inputs",), {"id": 1}, append=True)]
    try:
        wanted = carried_out(document, puts)
    except UnreadableSetup:
        with pytest.raises(UnreadableSetup):
            jsonc.written(text, puts, comments=comments)
        return
    after = jsonc.written(text, puts, comments=comments)
    assert jsonc.read(after, comments=comments).value == wanted
    if "it" not in (document.get("servers") or {}):
        assert is_kept(text, after)
    once_more = [put for put in puts if not put.append]
    assert jsonc.written(after, once_more, comments=comments) == after


def test_a_file_with_comments_is_changed_as_a_person_would() -> None:
    before = """\
// mine
{
    "servers": {
        "other": { "command": "x" }, // do not touch
    },
    "last": [1,2 , 3] /* odd */
}
"""
    after = jsonc.written(
        before,
        [Put(("servers", "it"), {"command": "y"}), Put(("last",), 4, append=True), Put(("new",), {})],
        comments=True,
    )
    wanted = """\
// mine
{
    "servers": {
        "other": { "command": "x" }, // do not touch
        "it": {
            "command": "y"
        }
    },
    "last": [1,2 , 3,
        4
    ], /* odd */
    "new": {}
}
"""
    assert after == wanted


def test_a_value_that_differs_is_replaced_where_it_stands() -> None:
    before = '{"a":{"command" : "old" , "n":1}}'
    assert jsonc.written(before, [Put(("a", "command"), "new")]) == '{"a":{"command" : "new" , "n":1}}'


@pytest.mark.parametrize("blank", ["", " \r\n"])
def test_an_empty_file_becomes_a_document(blank: str) -> None:
    after = jsonc.written(blank, [Put(("a", "b"), 1), Put(("c",), 2, append=True)])
    assert json.loads(after) == {"a": {"b": 1}, "c": [2]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1} x', "behind its end"),
        ('{"a": 1,}', "a comma stands before the end"),
        ('{"a": 1 // no\n}', "a comma or } is expected"),
        ('{\n"a": 1,\n"a": 2}', 'line 3, "a" stands there twice'),
        ('{"a" 1}', "a colon is expected"),
        ('{"a": NaN}', "a value is expected"),
        ('{"a": "x}', "a text has no end"),
        ("{a: 1}", "a name in quotes is expected"),
        ('{"a": 1', "a comma or } is expected"),
        ("[1]", "no JSON object"),
        ('{"a":' + "[" * 300, "nested too deep"),
    ],
)
def test_what_is_no_json_is_said_with_its_line_and_left_alone(text: str, said: str) -> None:
    with pytest.raises(UnreadableSetup, match=said.replace("[", r"\[")):
        jsonc.written(text, [Put(("a",), 1)])


def test_a_path_through_something_else_is_refused() -> None:
    for text, put in (
        ('{"a": 1}', Put(("a", "b"), 1)),
        ('{"a": [1]}', Put(("a", "b"), 1)),
        ('{"a": {}}', Put(("a",), 1, append=True)),
    ):
        with pytest.raises(UnreadableSetup):
            jsonc.written(text, [put])
