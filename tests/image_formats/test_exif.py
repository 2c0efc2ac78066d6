"""The orientation in an EXIF block, whoever wrote it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpt_image_2_mcp.image_formats import exif


def block(order: str, *entries: tuple[int, int, int, int], first: int = 8, count: int | None = None) -> bytes:
    """A TIFF block of entries of tag, type, how many, and value."""
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, first)
    body = struct.pack(f"{order}H", len(entries) if count is None else count)
    shapes = {3: "HHIHxx", 4: "HHII"}
    return (
        head + body + b"".join(struct.pack(order + shapes.get(e[1], "HHII"), *e) for e in entries) + bytes(4)
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("type_", [3, 4])
@pytest.mark.parametrize("value", range(1, 9))
def test_all_orientations_are_read_in_both_byte_orders(order: str, type_: int, value: int) -> None:
    tiff = block(order, (0x010E, 2, 4, 0), (0x0112, type_, 1, value), (0x0131, 2, 4, 0))

    assert exif.orientation(tiff) == value
    assert exif.orientation(b"Exif\0\0" + tiff) == value


def test_what_is_no_orientation_means_upright() -> None:
    upright = [
        b"",
        b"Exif\0\0",
        b"XX*\0" + bytes(40),
        block("<"),
        block("<", (0x0112, 3, 1, 0)),
        block("<", (0x0112, 3, 1, 9)),
        block("<", (0x0112, 3, 2, 6)),
        block("<", (0x0112, 2, 1, 6)),
        block("<", (0x0111, 3, 1, 6)),
        block("<", (0x0112, 3, 1, 6), first=4000),
        block("<", (0x0112, 3, 1, 6), count=0),
        block("<", (0x0111, 3, 1, 6), count=65_535),
        block("<", *[(0x0111, 3, 1, 6)] * 600, (0x0112, 3, 1, 6)),
    ]

    assert [exif.orientation(tiff) for tiff in upright] == [1] * len(upright)


def test_a_block_that_points_at_itself_is_read_once() -> None:
    assert exif.orientation(block("<", (0x0112, 3, 1, 6), first=0)) == 1


@pytest.mark.parametrize("value", range(2, 9))
def test_the_smallest_block_tells_pillow_the_orientation_and_nothing_else(value: int) -> None:
    data = Image.Exif()
    data.load(exif.minimal(value))

    assert dict(data) == {0x0112: value}
    assert exif.orientation(exif.minimal(value)) == value


def test_an_upright_picture_needs_no_block() -> None:
    assert exif.minimal(1) == b""


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"", b"II*\0", b"MM\0*", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]),
    st.binary(max_size=200),
)
def test_any_block_is_read_without_an_error(head: bytes, rest: bytes) -> None:
    assert exif.orientation(head + rest) in range(1, 9)
