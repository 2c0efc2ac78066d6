"""Spooled bodies: pictures found where they stand, everything else as json.loads gives it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.errors import InvalidAnswer
from gpt_image_2_mcp.gateways import _cutting
from gpt_image_2_mcp.gateways._bodies import Body, read_body
from tests.gateways.samples import text_of, written

WHOLE = b'{"data":[{"b64_json":"QUJD"}]}'


def read(folder: Path, body: Any) -> Body:
    return read_body(written(folder / "0.resp", body))


def restored(body: Body, value: Any) -> Any:
    """`value` of the document with the pictures' texts put back."""
    if isinstance(value, dict):
        return {name: restored(body, each) for name, each in value.items()}
    if isinstance(value, list):
        return [restored(body, each) for each in value]
    picture = body.picture(value)
    return json.loads(f'"{text_of(picture)}"') if picture else value


def test_a_picture_is_found_where_it_stands(tmp_path: Path) -> None:
    body = read(tmp_path, b'{"data":[{"b64_json":"QUJD"}],"size":"1x1"}')
    assert [text_of(picture) for picture in body.pictures.values()] == ["QUJD"]
    assert body.picture(body.document["data"][0]["b64_json"]) in body.pictures.values()
    assert body.document["size"] == "1x1"


def test_several_pictures_keep_their_order(tmp_path: Path) -> None:
    texts = [f"{n:04}" for n in range(12)]
    body = read(tmp_path, {"data": [{"b64_json": text} for text in texts]})
    assert restored(body, body.document) == {"data": [{"b64_json": text} for text in texts]}


@pytest.mark.parametrize("space", ["", " ", "\n\t\r "])
def test_white_space_around_the_colon_hides_no_picture(space: str, tmp_path: Path) -> None:
    body = read(tmp_path, f'{{"b64_json"{space}:{space}"QUJD"}}'.encode())
    assert [text_of(picture) for picture in body.pictures.values()] == ["QUJD"]


def test_escaped_slashes_stay_inside_the_picture(tmp_path: Path) -> None:
    body = read(tmp_path, rb'{"data":[{"b64_json":"AB\/C"},{"b64_json":"\/\/"}]}')
    assert [text_of(picture) for picture in body.pictures.values()] == [r"AB\/C", r"\/\/"]


def test_a_picture_key_inside_a_text_is_text(tmp_path: Path) -> None:
    prompt = 'say {"b64_json": "AAAA"} and "result":"BBBB" and \\"b64_json\\":\\"'
    body = read(tmp_path, {"revised_prompt": prompt, "b64_json": "CCCC"})
    assert body.document["revised_prompt"] == prompt
    assert [text_of(picture) for picture in body.pictures.values()] == ["CCCC"]


def test_a_key_that_ends_like_a_picture_key_is_another_key(tmp_path: Path) -> None:
    document = {'"b64_json': "not a picture", 'x"result': "nor this"}
    body = read(tmp_path, document)
    assert body.document == document
    assert not body.pictures


def test_a_result_that_is_prose_with_quotes_does_not_break_the_answer(tmp_path: Path) -> None:
    document = {"result": 'he said "hi"', "more": ['\\"', {"result": "ends in \\"}]}
    body = read(tmp_path, document)
    assert restored(body, body.document) == document


def test_a_number_in_place_of_a_picture_is_not_taken_for_one(tmp_path: Path) -> None:
    body = read(tmp_path, {"data": [{"b64_json": "AAAA"}, {"b64_json": 0}]})
    assert body.picture(body.document["data"][0]["b64_json"])
    assert body.picture(body.document["data"][1]["b64_json"]) is None


@pytest.mark.parametrize("value", [None, True, False, 0, -1, 7, 0.0, "", "0", [], {}, "b64_json"])
def test_no_value_but_a_pictures_own_stands_for_a_picture(value: object, tmp_path: Path) -> None:
    assert read(tmp_path, {"b64_json": "AAAA"}).picture(value) is None


def test_an_empty_text_is_no_picture(tmp_path: Path) -> None:
    body = read(tmp_path, {"data": [{"b64_json": ""}, {"b64_json": "AAAA"}]})
    assert restored(body, body.document) == {"data": [{"b64_json": ""}, {"b64_json": "AAAA"}]}
    assert len(body.pictures) == 1


def test_the_last_of_two_equal_keys_counts_as_in_json_loads(tmp_path: Path) -> None:
    body = read(tmp_path, b'{"b64_json":"AAAA","b64_json":"BBBB","x":1,"x":2}')
    assert restored(body, body.document) == {"b64_json": "BBBB", "x": 2}


def test_lone_surrogates_are_kept_as_json_loads_keeps_them(tmp_path: Path) -> None:
    body = read(tmp_path, b'{"size":"\\ud800","b64_json":"AAAA"}')
    assert body.document["size"] == "\ud800"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le"])
def test_an_answer_in_another_unicode_encoding_is_read_as_json_loads_reads_it(
    encoding: str, tmp_path: Path
) -> None:
    document = {"size": "\u00fc", "data": []}
    assert read(tmp_path, json.dumps(document, ensure_ascii=False).encode(encoding)).document == document


def test_an_empty_answer_says_that_it_is_empty(tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer, match="empty"):
        read(tmp_path, b"")


def test_a_web_page_is_named_by_its_beginning(tmp_path: Path) -> None:
    page = b"<!doctype html>\n<title>Sign in to \x1b[31mHotel\x1b[0m WLAN</title>" + b"x" * 5000
    with pytest.raises(InvalidAnswer, match="not JSON") as raised:
        read(tmp_path, page)
    assert "Hotel" in str(raised.value)
    assert "\x1b" not in str(raised.value)
    assert len(raised.value.message) < 300


def test_a_page_that_shows_a_key_does_not_bring_it_into_the_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer) as raised:
        read(tmp_path, b"<pre>Authorization: Bearer sk-proj-SOMEBODYS-0123456789</pre>")
    assert "SOMEBODYS" not in str(raised.value)


def test_an_answer_that_breaks_off_inside_a_picture_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer, match="breaks off inside a picture"):
        read(tmp_path, b'{"data":[{"b64_json":"AAAA"},{"b64_json":"BBB')


def test_an_answer_that_breaks_off_after_an_escaped_quote_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer, match="breaks off inside a picture"):
        read(tmp_path, b'{"result":"BBB\\"')


ANSWER = b'{"created":1,"data":[{"b64_json":"QUJD"},{"b64_json":"\\/\\/8="}],"usage":{"n":1}}'


@pytest.mark.parametrize("length", range(1, len(ANSWER)))
def test_an_answer_cut_anywhere_is_an_invalid_one(length: int, tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer):
        read(tmp_path, ANSWER[:length])


@pytest.mark.parametrize("text", [b"[]", b"1", b'"text"', b"null", b'[{"b64_json":"AAAA"}]'])
def test_an_answer_that_is_no_object_is_an_invalid_one(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer, match="not a JSON object"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        b'{"a":' + b"9" * 100_000 + b"}",
        b'{"a":"\xff\xfe"}',
        b'{"a":1}{"b":2}',
        b'{"a":"\x00"}',
        b"\x1f\x8b\x08\x00gzip",
        b"data: {}\n\n",
        b" \n ",
    ],
    ids=["deep list", "deep object", "huge number", "not UTF-8", "two", "control", "gzip", "events", "blank"],
)
def test_what_json_loads_refuses_is_an_invalid_answer(text: bytes, tmp_path: Path) -> None:
    with pytest.raises(InvalidAnswer):
        read(tmp_path, text)


def test_an_answer_far_larger_than_its_pictures_is_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_cutting, "MAX_REST", 200)
    assert read(tmp_path, {"b64_json": "A" * 10_000}).pictures
    with pytest.raises(InvalidAnswer, match="far larger than its pictures"):
        read(tmp_path, {"b64_json": "A" * 10_000, "padding": "x" * 200})


KEYS = st.sampled_from(["b64_json", "result", "data", "text", '"b64_json', "b64_json\\", "\\", ""]) | st.text(
    max_size=5
)
TEXTS = st.text(max_size=12) | st.text('"\\/:b64_json result', max_size=20)
SURROGATES = st.text(st.characters(categories=["Cs"]), max_size=2)
DOCUMENTS = st.dictionaries(
    KEYS,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | SURROGATES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), ("\n,\t", " \r\n: ")])


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, SEPARATORS)
def test_any_document_is_read_as_json_loads_reads_it(
    document: dict[str, Any], separators: tuple[str, str]
) -> None:
    raw = json.dumps(document, separators=separators).encode()
    with tempfile.TemporaryDirectory() as folder:
        body = read(Path(folder), raw)
        assert restored(body, body.document) == json.loads(raw)


PIECES = st.sampled_from(
    [b'"', b"\\", b"{", b"}", b"[", b"]", b":", b",", b"b64_json", b"result", b"\xff", b"A", b"1"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map(b"".join) | st.binary(max_size=60))
def test_no_bytes_whatever_bring_another_error(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            body = read(Path(folder), raw)
        except InvalidAnswer:
            return
        assert isinstance(body.document, dict)
