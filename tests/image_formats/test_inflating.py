"""Packed streams, unpacked in pieces."""

from __future__ import annotations

import random
import zlib

import pytest

from gpt_image_2_mcp.image_formats.inflating import begins_a_stream, inflated_length, pieces
from gpt_image_2_mcp.image_formats.layout import Unfit

NOISE = random.Random(1).randbytes(500_000)


def test_the_pieces_make_up_what_was_packed() -> None:
    data = b"before" + zlib.compress(NOISE) + b"behind"

    assert b"".join(pieces(data, 6, len(data))) == NOISE
    assert inflated_length(data, 6, len(data), 10**9) == len(NOISE)


def test_counting_stops_soon_after_enough() -> None:
    data = zlib.compress(NOISE)

    assert 1000 < inflated_length(data, 0, len(data), 1000) < 200_000


def test_a_damaged_stream_gives_what_comes_before_the_damage() -> None:
    data = zlib.compress(NOISE)

    assert NOISE.startswith(b"".join(pieces(data[:100_000], 0, 100_000)))
    assert list(pieces(b"no stream", 0, 9)) == []


def test_what_unpacks_to_a_thousand_times_its_length_is_refused_at_once() -> None:
    data = zlib.compress(bytes(10**8))

    with pytest.raises(Unfit, match="over 100 times its length"):
        inflated_length(data, 0, len(data), 10**9)
    assert inflated_length(zlib.compress(bytes(60_000)), 0, 1000, 10**9) == 60_000


def test_the_beginning_of_a_stream_is_told_from_text() -> None:
    whole = zlib.compress(NOISE)

    assert all(begins_a_stream(whole[:length]) for length in range(1, 20))
    assert not begins_a_stream(b"")
    assert not begins_a_stream(b"root:x:0:0:root:/root:/bin/bash")
