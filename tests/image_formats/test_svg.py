"""What counts as an SVG drawing, by its beginning."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.image_formats.svg import is_svg

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
DOCTYPE = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"'
ILLUSTRATOR = DOCTYPE + b' [\n\t<!ENTITY ns_svg "http://www.w3.org/2000/svg">\n\t<!ENTITY more "a>b">\n]>\n'


@pytest.mark.parametrize(
    "data",
    [
        b"<svg/>",
        b"<svg>",
        b'<svg xmlns="http://www.w3.org/2000/svg">',
        b"\n\t <svg\n width='1'>",
        b"\xef\xbb\xbf<svg/>",
        DECLARATION + b"<svg/>",
        DECLARATION + b"\r\n<!-- Generator: a - program --->\n<!--> another <svg> --><svg/>",
        DECLARATION + DOCTYPE + b"><svg/>",
        DECLARATION + ILLUSTRATOR + b'<svg version="1.1">',
        b'<?xml-stylesheet href="a.css"?><svg/>',
        b'<svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>',
        "\ufeff<svg/>".encode("utf-16-le"),
        "\ufeff<?xml version='1.0'?><svg/>".encode("utf-16-be"),
    ],
)
def test_a_document_whose_root_is_svg_is_a_drawing(data: bytes) -> None:
    assert is_svg(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"svg",
        b"<svg",
        b"<svgx/>",
        b"<SVG/>",
        b"<html><svg/></html>",
        b"<!DOCTYPE html><svg/>",
        b"<!DOCTYPE svgx><svg/>",
        b"<!-- <svg/> -->",
        b"<!-- <svg/>",
        b"<?xml <svg/>",
        b"Here it is: <svg/>",
        b"```svg\n<svg/>\n```",
        b"\x89PNG\r\n\x1a\n<svg/>",
        b"\0<svg/>",
        b"<!-- " + b"x" * 100_000 + b" --><svg/>",
    ],
)
def test_any_other_beginning_is_none(data: bytes) -> None:
    assert not is_svg(data)


@given(
    st.lists(st.sampled_from([b" ", b"\n", b"<!-- c -->", b"<?p i?>", b"<!--", b"-->", b"<?", b"-", b">"])),
    st.binary(max_size=50),
)
def test_what_stands_before_the_root_must_be_whole(before: list[bytes], after: bytes) -> None:
    whole = all(part in (b" ", b"\n", b"<!-- c -->", b"<?p i?>") for part in before)
    assert is_svg(b"".join(before) + b"<svg>" + after) or not whole


@pytest.mark.parametrize(
    "piece", [b"<!--", b"<!---", b"<!----", b"<?", b"<!DOCTYPE svg [", b"<!-- -->", b" "]
)
def test_a_beginning_that_goes_on_for_ever_is_given_up(piece: bytes) -> None:
    assert not is_svg(piece * 1_000_000)
