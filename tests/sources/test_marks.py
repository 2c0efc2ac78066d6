"""Marks: never equal for other contents, equal for those that are read once more."""

from __future__ import annotations

import hashlib
import os
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpt_image_2_mcp.roots import Roots
from gpt_image_2_mcp.sources.local import read_below
from gpt_image_2_mcp.sources.marks import HASHED_WHOLE, content_mark, file_mark

LARGE = os.urandom(HASHED_WHOLE + 1000)
SAVED_NS = 1_795_000_000_123_456_789


def saved(path: Path, data: bytes = LARGE) -> Path:
    """A file that was last written at one and the same time."""
    path.write_bytes(data)
    os.utime(path, ns=(SAVED_NS, SAVED_NS))
    return path


def mark(path: Path) -> str:
    return read_below(Roots.of(path.parent), path).mark


def test_a_large_file_that_is_read_once_more_has_the_same_mark(tmp_path: Path) -> None:
    path = saved(tmp_path / "a")

    assert mark(path) == mark(path)
    assert mark(path) != content_mark(LARGE), "its content is not hashed"


def test_what_indexers_and_synchronisers_do_to_a_file_leaves_its_mark(tmp_path: Path) -> None:
    first = mark(path := saved(tmp_path / "a"))

    (tmp_path / "b").hardlink_to(path)
    path.chmod(0o600)
    os.utime(path, ns=(SAVED_NS + 10**9, SAVED_NS))

    assert mark(path) == first


def test_a_file_that_was_written_since_or_is_another_has_another_mark(tmp_path: Path) -> None:
    first = mark(path := saved(tmp_path / "a"))
    second = mark(saved(tmp_path / "b"))
    os.utime(path, ns=(SAVED_NS, SAVED_NS + 1))

    assert len({first, second, mark(path)}) == 3


def test_a_small_file_is_known_by_its_content_wherever_it_stands(tmp_path: Path) -> None:
    small = LARGE[:HASHED_WHOLE]

    assert mark(saved(tmp_path / "a", small)) == mark(saved(tmp_path / "b", small)) == content_mark(small)
    assert content_mark(small) == f"sha256:{hashlib.sha256(small).hexdigest()}"


def test_a_large_file_on_a_disk_that_tells_no_place_or_time_is_known_by_its_content(tmp_path: Path) -> None:
    status = list(saved(tmp_path / "a").stat())
    for untold in (1, 8):  # inode, time of the last writing
        lying = os.stat_result([0 if field == untold else value for field, value in enumerate(status)])
        assert file_mark(LARGE, lying) == content_mark(LARGE)


def test_a_file_that_is_written_while_it_is_read_is_known_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a")
    fstat = os.fstat

    def touched(handle: int) -> os.stat_result:
        found = fstat(handle)
        os.utime(path)
        return found

    monkeypatch.setattr(os, "fstat", touched)
    assert mark(path) == content_mark(LARGE)


def changed(at: int) -> bytes:
    """A large PNG with one pixel of another colour; it is as many bytes as without."""
    pixels = bytearray(3 * 700 * 700)
    pixels[at] ^= 0xFF
    buffer = BytesIO()
    Image.frombytes("RGB", (700, 700), bytes(pixels)).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 3 * 700 * 700 - 1), st.integers(0, 3 * 700 * 700 - 1))
def test_one_pixel_tells_two_pictures_apart_on_a_disk_whose_times_stand_still(one: int, other: int) -> None:
    status = os.stat(__file__)  # noqa: PTH116 - for a path that is text
    first, second = changed(one), changed(other)

    assert len(first) == len(second) > HASHED_WHOLE
    assert (file_mark(first, status) == file_mark(second, status)) == (one == other)


def test_a_stretch_of_other_bytes_anywhere_tells_two_files_apart(tmp_path: Path) -> None:
    status = saved(tmp_path / "a").stat()
    stretch = len(LARGE) // 16
    for start in range(0, len(LARGE) - stretch, stretch // 2):
        other = LARGE[:start] + os.urandom(stretch) + LARGE[start + stretch :]
        assert file_mark(other, status) != file_mark(LARGE, status)
