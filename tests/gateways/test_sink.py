"""Answers on their way to disk: flushed, named last, and carried to another folder when one fails."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp import walking
from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.gateways import _sink
from gpt_image_2_mcp.gateways._sink import Sink
from tests.gateways.disks import STEPS, broken, disks

posix = pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")
PIECES = [b"0123", b"", b"45678", b"9" * 20]
WHOLE = b"".join(PIECES)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [tmp_path / name for name in ("state", "second", "third")]


def targets(folders: list[Path]) -> list[Path]:
    return [folder / "op.images.0.resp" for folder in folders]


def written(sink: Sink, pieces: list[bytes] = PIECES) -> Path:
    try:
        for piece in pieces:
            sink.write(piece)
        return sink.finish()
    finally:
        sink.close()


def left(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_an_answer_is_written_to_the_first_folder_alone(folders: list[Path]) -> None:
    assert written(Sink(targets(folders))) == folders[0] / "op.images.0.resp"
    assert [left(folder) for folder in folders] == [{"op.images.0.resp": WHOLE}, {}, {}]


def test_an_answer_has_its_final_name_only_when_it_is_flushed(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, bytes]] = []
    flush = os.fsync

    def watched(handle: int) -> None:
        seen.append(left(folders[0]))
        flush(handle)

    monkeypatch.setattr(os, "fsync", watched)
    written(Sink(targets(folders)))
    assert seen == [{"op.images.0.part": WHOLE}, {"op.images.0.resp": WHOLE}]


def test_an_empty_answer_is_an_answer(folders: list[Path]) -> None:
    assert written(Sink(targets(folders)), []).read_bytes() == b""


def test_what_an_earlier_attempt_left_is_written_over(folders: list[Path]) -> None:
    folders[0].mkdir()
    (folders[0] / "op.images.0.part").write_bytes(b"x" * 1000)
    assert written(Sink(targets(folders))).read_bytes() == WHOLE


@posix
def test_answers_and_their_folders_are_for_their_owner_alone(folders: list[Path]) -> None:
    before = os.umask(0)
    try:
        path = written(Sink(targets(folders)))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_writes_that_come_back_short_are_carried_on(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disks(monkeypatch, {}, step=1)
    assert written(Sink(targets(folders))).read_bytes() == WHOLE


@pytest.mark.parametrize("room", range(len(WHOLE) + 1))
def test_a_disk_that_fills_up_anywhere_sends_the_whole_answer_on(
    room: int, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disks(monkeypatch, {folders[0]: room})
    monkeypatch.setattr(_sink, "_COPY_BYTES", 4)
    path = written(Sink(targets(folders)))
    number = 0 if room >= len(WHOLE) else 1
    assert path == targets(folders)[number]
    assert [left(folder) for folder in folders] == [
        {path.name: WHOLE} if n == number else {} for n in range(3)
    ]


@pytest.mark.parametrize("room", range(len(WHOLE)))
def test_a_second_disk_that_fills_up_sends_it_on_to_the_third(
    room: int, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disks(monkeypatch, {folders[0]: 6, folders[1]: room})
    path = written(Sink(targets(folders)))
    assert [left(folder) for folder in folders] == [{}, {}, {path.name: WHOLE}]


@pytest.mark.parametrize("rooms", [(11, 3, 7), (11, 11, 11), (11, 0, 10), (5, 4, 0)])
def test_when_no_disk_has_room_what_was_written_is_kept_once(
    rooms: tuple[int, int, int], folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disks(monkeypatch, dict(zip(folders, rooms, strict=True)))
    sink = Sink(targets(folders))
    with pytest.raises(StorageError, match="No space left on device") as raised:
        written(sink)
    assert "may have been billed" in raised.value.hint
    assert [left(folder) for folder in folders] == [{"op.images.0.part": WHOLE[: rooms[0]]}, {}, {}]


def test_a_disk_that_has_room_again_goes_on_where_it_stopped(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Sink(targets(folders[:1]))
    sink.write(b"0123")
    with monkeypatch.context() as full:
        full.setattr(_sink, "_write", lambda *_args: _raise(errno.ENOSPC))
        with pytest.raises(StorageError):
            sink.write(b"4567")
    assert written(sink, [b"4567"]).read_bytes() == b"01234567"


def _raise(number: int) -> None:
    raise OSError(number, os.strerror(number))


@pytest.mark.parametrize("step", STEPS)
def test_whatever_breaks_in_one_folder_the_next_has_the_answer_and_the_first_nothing(
    step: str, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, step, folders[0])
    path = written(Sink(targets(folders)))
    assert [left(folder) for folder in folders] == [{}, {path.name: WHOLE}, {}]


@pytest.mark.parametrize("step", STEPS)
def test_whatever_breaks_in_two_folders_the_third_has_the_answer_and_they_nothing(
    step: str, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, step, *folders[:2])
    path = written(Sink(targets(folders)))
    assert [left(folder) for folder in folders] == [{}, {}, {path.name: WHOLE}]


@pytest.mark.parametrize("step", ["flush", "rename", "flush the folder"])
def test_whatever_breaks_in_every_folder_the_bytes_stand_in_one(
    step: str, folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, step, *folders)
    with pytest.raises(StorageError, match="Input/output error"):
        written(Sink(targets(folders)))
    kept = [data for folder in folders for data in left(folder).values()]
    assert kept == [WHOLE]


def test_a_folder_that_cannot_be_made_is_passed_over(folders: list[Path]) -> None:
    folders[0].write_bytes(b"a file")
    assert written(Sink(targets(folders))) == targets(folders)[1]
    assert folders[0].read_bytes() == b"a file"


def test_a_first_part_that_cannot_be_removed_does_not_cost_the_answer(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disks(monkeypatch, {folders[0]: 6})
    monkeypatch.setattr(Path, "unlink", lambda _path, **_options: _raise(errno.EROFS))
    assert written(Sink(targets(folders))).read_bytes() == WHOLE


def test_where_folders_cannot_be_flushed_an_answer_needs_none(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows a folder cannot be opened."""
    opened = os.open

    def as_on_windows(path: Path, flags: int, mode: int = 0o777) -> int:
        if path.is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, mode)

    monkeypatch.setattr(os, "open", as_on_windows)
    monkeypatch.setattr(walking, "os", SimpleNamespace(**{**vars(os), "name": "nt"}))
    assert written(Sink(targets(folders))).read_bytes() == WHOLE


def test_a_part_that_vanished_is_an_error_and_no_file_of_zeros(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Sink(targets(folders))
    sink.write(b"0123")
    sink.close()
    (folders[0] / "op.images.0.part").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _handle: _raise(errno.EIO))
        with pytest.raises(StorageError, match="gone"):
            sink.finish()
    sink.close()
    assert left(folders[1]) == {}


@settings(max_examples=100, deadline=None)
@given(
    pieces=st.lists(st.binary(max_size=9), max_size=9),
    rooms=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    step=st.integers(1, 5),
    copied=st.integers(1, 7),
)
def test_any_answer_ends_whole_in_one_folder_whatever_the_disks(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[bytes],
    rooms: tuple[int, int],
    step: int,
    copied: int,
) -> None:
    folders = [tmp_path_factory.mktemp("disk") for _ in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        disks(patch, dict(zip(folders, rooms, strict=False)), step)
        patch.setattr(_sink, "_COPY_BYTES", copied)
        path = written(Sink(targets(folders)), pieces)
    assert path.read_bytes() == b"".join(pieces)
    assert [file for folder in folders for file in folder.iterdir()] == [path]


def test_several_pieces_are_written_as_one_would_be(folders: list[Path]) -> None:
    sink = Sink(targets(folders))
    sink.write(b"01", memoryview(b"23"), b"")
    assert sink.finish(b"45", b"67").read_bytes() == b"01234567"


def test_an_answer_that_is_left_is_there_to_its_last_piece_and_has_no_final_name(folders: list[Path]) -> None:
    sink = Sink(targets(folders))
    sink.write(b"01")
    sink.leave(b"23")
    assert left(folders[0]) == {"op.images.0.part": b"0123"}


def test_of_pieces_that_fill_the_disk_all_are_in_the_next_folder(
    folders: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disks(monkeypatch, {folders[0]: 5})
    sink = Sink(targets(folders))
    assert sink.finish(b"01", b"23", b"45", b"67").read_bytes() == b"01234567"
    assert left(folders[0]) == {}
    assert list(left(folders[1])) == ["op.images.0.resp"]
