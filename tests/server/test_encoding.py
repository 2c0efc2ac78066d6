"""A message's line is the same JSON whether its pictures are lifted out or not."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from mcp.types import JSONRPCMessage, JSONRPCNotification, JSONRPCResponse, jsonrpc_message_adapter

from gpt_image_2_mcp.server.encoding import LONG, encoded

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "A" * LONG,
            "QUJD" * LONG,
            "B" * (LONG - 1),
            'A"' * LONG,
            "A\\" * LONG,
            "A\n" * LONG,
            "\u00e9" * LONG,
        ]
    ),
)
ENTRIES = st.one_of(
    TEXTS,
    st.integers(),
    st.dictionaries(st.sampled_from(["type", "data", "blob", "text", "mimeType"]), TEXTS, max_size=4),
)
RESULTS = st.dictionaries(
    st.sampled_from(["content", "contents", "structuredContent", "data", "_meta"]),
    st.one_of(st.lists(ENTRIES, max_size=4), ENTRIES),
    max_size=4,
)


def line(message: JSONRPCMessage) -> bytes:
    return b"".join(encoded(message))


def response(result: dict[str, Any]) -> JSONRPCResponse:
    return JSONRPCResponse(jsonrpc="2.0", id=1, result=result)


@given(RESULTS)
def test_a_line_is_what_the_sdk_would_have_written(result: dict[str, Any]) -> None:
    message = response(result)
    assert (
        line(message) == jsonrpc_message_adapter.dump_json(message, by_alias=True, exclude_unset=True) + b"\n"
    )


def test_pictures_are_written_apart_from_the_json_around_them_and_in_their_order() -> None:
    first, second = "QUJD" * LONG, "REVG" * LONG
    blocks = [{"type": "image", "data": text, "mimeType": "image/png"} for text in (first, second)]
    pieces = list(encoded(response({"content": [*blocks, {"type": "text", "text": "two"}]})))
    assert [len(piece) for piece in pieces[1::2]] == [len(first), len(second)]
    read = json.loads(b"".join(pieces))["result"]["content"]
    assert [block.get("data") for block in read] == [first, second, None]


def test_the_message_itself_stays_as_it_is() -> None:
    message = response({"content": [{"type": "image", "data": "QUJD" * LONG}]})
    line(message)
    assert message.result["content"][0]["data"] == "QUJD" * LONG


def test_other_messages_are_one_piece() -> None:
    assert len(list(encoded(JSONRPCNotification(jsonrpc="2.0", method="ping")))) == 1


def test_a_name_that_is_no_utf_8_is_told_as_far_as_it_is() -> None:
    picture = {"type": "image", "data": "QUJD" * LONG}
    said = line(response({"content": [picture, {"type": "text", "text": "/home/\udcff\u00e9.png"}]}))
    assert json.loads(said)["result"]["content"] == [picture, {"type": "text", "text": "/home/?\u00e9.png"}]
    assert said.endswith(b"}\n")
