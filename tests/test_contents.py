"""What inputs hold, in memory or in files of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpt_image_2_mcp.contents import PIECE_BYTES, KeptFile, whole


@pytest.mark.parametrize("length", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_the_pieces_of_a_file_are_its_bytes(tmp_path: Path, length: int) -> None:
    data = (bytes(range(256)) * (length // 256 + 1))[:length]
    (tmp_path / "a").write_bytes(data)
    file = KeptFile(tmp_path / "a", length)

    pieces = list(file.pieces())

    assert b"".join(pieces) == whole(file) == whole(data) == data
    assert len(pieces) == -(-length // PIECE_BYTES)
    assert len(file) == length


def test_a_file_of_which_no_more_is_wanted_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (PIECE_BYTES + 1))
    pieces = KeptFile(tmp_path / "a", PIECE_BYTES + 1).pieces()

    next(pieces)
    del pieces  # a file that were left open would warn, and warnings are errors
