"""data: URLs."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.limits import Limits
from gpt_image_2_mcp.sources.data_urls import decode_data_url


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["data:image/png;base64,", "DATA:;BASE64,", "data:;base64,"]))
def test_base64_comes_back(data: bytes, head: str) -> None:
    text = base64.b64encode(data).decode()

    assert decode_data_url(head + text) == data
    assert decode_data_url(head + quote(text, safe="")) == data


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=100))
def test_percent_encoded_bytes_come_back(data: bytes) -> None:
    assert decode_data_url(f"data:image/png,{quote(data)}") == data


def test_parameters_before_the_encoding_are_passed_over() -> None:
    assert decode_data_url("data:image/png;name=a.png;base64,AAEC") == b"\0\1\2"


@pytest.mark.parametrize("body", ["AAA", "A===", "AA=A", "AA A", "AAAA\n", "AA-_", "\u00e9AAA", "%zz"])
def test_bad_base64_is_refused(body: str) -> None:
    with pytest.raises(InputError, match="not valid"):
        decode_data_url(f"data:image/png;base64,{body}")


def test_a_url_without_a_comma_is_refused() -> None:
    with pytest.raises(InputError, match="no comma"):
        decode_data_url("data:image/png;base64")


def test_a_url_that_is_too_long_is_refused_before_it_is_decoded() -> None:
    head = "data:;base64,"
    assert decode_data_url(head + "A" * 16, len(head) + 16) == bytes(12)

    with pytest.raises(InputError, match="larger than 12 MB") as caught:
        decode_data_url(head + "!" * Limits().data_url)
    assert "give the path" in caught.value.hint


@pytest.mark.parametrize("shift", range(3))
def test_a_long_url_is_decoded_in_pieces_that_part_no_escape(shift: int) -> None:
    data = b"\0" * shift + bytes(range(256)) * 300

    assert decode_data_url("data:," + "".join(f"%{byte:02x}" for byte in data)) == data
    assert decode_data_url("data:," + "a" * shift + "%" * 200_000) == b"a" * shift + b"%" * 200_000


def test_half_a_character_is_no_data() -> None:
    with pytest.raises(InputError, match="not valid"):
        decode_data_url("data:image/png,\ud800")
    with pytest.raises(InputError, match="not valid"):
        decode_data_url("data:image/png;base64,\ud800")
