"""Files and folders opened by their real paths: what a link points to is not reached by way of the link."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp import walking
from gpt_image_2_mcp.walking import Folder, open_file, opened_folder, sync_folder

posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX")


@pytest.fixture(params=[True, False], ids=["by steps", "whole and compared"])
def by_steps(request: pytest.FixtureRequest) -> bool:
    if request.param and not walking.BY_STEPS:
        pytest.skip("this system has no calls for it")
    return bool(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "outside"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"secret")
    return folder


def read(path: Path, by_steps: bool) -> bytes:
    with os.fdopen(open_file(path, by_steps=by_steps), "rb") as file:
        return file.read()


def handles() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208


@pytest.fixture(autouse=True)
def no_handle_is_left_open() -> Iterator[None]:
    before = handles()
    yield
    assert handles() == before


def test_a_file_is_opened(root: Path, by_steps: bool) -> None:
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "a.png").write_bytes(b"picture")

    assert read(root / "deep" / "er" / "a.png", by_steps) == b"picture"


def test_a_link_in_the_place_of_the_file_is_not_followed(root: Path, outside: Path, by_steps: bool) -> None:
    (root / "a.png").symlink_to(outside / "a.png")

    with pytest.raises(OSError, match=r"link|Too many levels") as caught:
        open_file(root / "a.png", by_steps=by_steps)
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize("depth", [1, 2])
def test_a_link_in_the_place_of_a_folder_on_the_way_is_not_followed(
    root: Path, outside: Path, by_steps: bool, depth: int
) -> None:
    (outside / "deep").mkdir()
    (outside / "deep" / "a.png").write_bytes(b"secret")
    (root / "way").symlink_to(outside, target_is_directory=True)
    path = root / "way" / Path(*["deep"] * (depth - 1)) / "a.png"

    with pytest.raises(OSError, match=r"link|Not a directory"):
        open_file(path, by_steps=by_steps)


def test_even_the_way_to_the_root_is_walked(tmp_path: Path, outside: Path, by_steps: bool) -> None:
    """A root below a folder that others can write must not be led elsewhere either."""
    (tmp_path / "shared").symlink_to(outside, target_is_directory=True)

    with pytest.raises(OSError, match=r"link|Not a directory"):
        open_file(tmp_path.resolve() / "shared" / "a.png", by_steps=by_steps)


def test_a_way_with_dots_is_no_real_path(root: Path, outside: Path) -> None:
    with pytest.raises(OSError, match="not a real path"):
        open_file(root / ".." / "outside" / "a.png")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        os.chdir(path.parent)  # the path of a socket may have a hundred characters
        end.bind(path.name)


@posix
@pytest.mark.parametrize("make", [_fifo, _socket, Path.mkdir], ids=["fifo", "socket", "folder"])
def test_what_is_no_file_is_refused_without_waiting(
    root: Path, by_steps: bool, make: Callable[[Path], object]
) -> None:
    make(root / "odd.png")

    with pytest.raises(OSError, match=r"not a file|No such device"):
        open_file(root / "odd.png", by_steps=by_steps)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="devices are of POSIX")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_refused(device: str, by_steps: bool) -> None:
    with pytest.raises(OSError, match=r"not a file|No such device"):
        open_file(Path(device), by_steps=by_steps)


@pytest.mark.parametrize("name", ["missing.png", "missing/a.png", "x" * 300])
def test_what_is_not_there_is_an_error(root: Path, by_steps: bool, name: str) -> None:
    with pytest.raises(OSError, match=r"No such file|name too long"):
        open_file(root / name, by_steps=by_steps)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may search everything")
def test_a_folder_that_may_be_searched_and_not_listed_is_passed_through(root: Path) -> None:
    (root / "shut" / "in").mkdir(parents=True)
    (root / "shut" / "in" / "a.png").write_bytes(b"picture")
    (root / "shut").chmod(0o100)
    try:
        assert read(root / "shut" / "in" / "a.png", by_steps=True) == b"picture"
    finally:
        (root / "shut").chmod(0o700)


# Folders


def test_a_folder_is_made_with_all_that_is_missing(root: Path, by_steps: bool) -> None:
    for _ in range(2):
        with opened_folder(root / "a" / "b" / "c", by_steps=by_steps) as folder:
            folder.sync()
    assert (root / "a" / "b" / "c").is_dir()


def test_a_folder_that_another_process_makes_at_the_same_time_is_taken(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdir = os.mkdir

    def twice(name: str, **options: Any) -> None:
        mkdir(name, **options)
        mkdir(name, **options)

    monkeypatch.setattr(os, "mkdir", twice)
    with opened_folder(root / "a" / "b"):
        pass
    assert (root / "a" / "b").is_dir()


def test_a_link_in_the_place_of_a_folder_is_neither_entered_nor_written_through(
    root: Path, outside: Path, by_steps: bool
) -> None:
    (root / "out").symlink_to(outside, target_is_directory=True)

    for path in (root / "out", root / "out" / "new"):
        with (
            pytest.raises(OSError, match=r"link|Not a directory"),
            opened_folder(path, by_steps=by_steps) as folder,
        ):
            os.close(folder.open("a.part", os.O_WRONLY | os.O_CREAT))
    assert [path.name for path in outside.iterdir()] == ["a.png"]


def test_a_file_in_the_place_of_a_folder_is_an_error(root: Path, by_steps: bool) -> None:
    (root / "out").write_text("in the way")

    refused = pytest.raises(OSError, match=r"Not a directory|File exists")
    with refused, opened_folder(root / "out", by_steps=by_steps):
        raise AssertionError


def filled(folder: Folder, name: str, data: bytes = b"x") -> None:
    with os.fdopen(folder.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(data)


def test_names_of_an_open_folder_are_made_linked_moved_and_removed(root: Path, by_steps: bool) -> None:
    with opened_folder(root / "out", by_steps=by_steps) as folder:
        filled(folder, "part", b"abc")
        folder.link("part", "one")
        with pytest.raises(FileExistsError):
            folder.link("part", "one")
        folder.move("part", "two")
        folder.remove("part")
        assert folder.status("one").st_size == 3
        assert stat.S_ISREG(folder.status("two").st_mode)
        assert folder.free_bytes() > 0
        folder.remove("two")
    assert [path.name for path in (root / "out").iterdir()] == ["one"]


@pytest.mark.skipif(not walking.BY_STEPS, reason="this system has no calls for it")
def test_an_open_folder_stays_the_one_that_was_opened(root: Path, outside: Path) -> None:
    with opened_folder(root / "out") as folder:
        (root / "out").rename(root / "moved")
        (root / "out").symlink_to(outside, target_is_directory=True)
        filled(folder, "part")
        folder.link("part", "picture.png")
        folder.remove("a.png")
    assert sorted(path.name for path in (root / "moved").iterdir()) == ["part", "picture.png"]
    assert [path.name for path in outside.iterdir()] == ["a.png"]


def test_where_steps_cannot_be_taken_a_link_that_came_later_is_seen(root: Path, outside: Path) -> None:
    with opened_folder(root / "out", by_steps=False) as folder:
        filled(folder, "part")
        (root / "out").rename(root / "moved")
        (root / "out").symlink_to(outside, target_is_directory=True)
        for act in (
            lambda: folder.open("new", os.O_WRONLY | os.O_CREAT),
            lambda: folder.link("part", "new"),
            lambda: folder.move("a.png", "new"),
            lambda: folder.remove("a.png"),
            lambda: folder.status("a.png"),
            folder.open_nameless,
        ):
            with pytest.raises(OSError, match="a link stands in the way"):
                act()
    assert [path.name for path in outside.iterdir()] == ["a.png"]


def test_where_steps_cannot_be_taken_a_file_that_was_exchanged_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a.png").write_bytes(b"picture")
    (root / "b.png").write_bytes(b"another")
    opened = os.open
    monkeypatch.setattr(os, "open", lambda _path, flags: opened(root / "b.png", flags))

    with pytest.raises(OSError, match="it was exchanged meanwhile"):
        open_file(root / "a.png", by_steps=False)


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="of POSIX")
def test_a_link_is_not_written_through(root: Path, outside: Path, by_steps: bool) -> None:
    with opened_folder(root, by_steps=by_steps) as folder:
        (root / "part").symlink_to(outside / "a.png")
        with pytest.raises(OSError, match=r"Too many levels|link"):
            folder.open("part", os.O_WRONLY)
        folder.link("part", "second")
    assert (root / "second").is_symlink()
    assert (outside / "a.png").read_bytes() == b"secret"


@pytest.mark.parametrize("nameless", [True, False])
def test_a_file_without_a_name_leaves_no_trace(
    root: Path, by_steps: bool, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    with opened_folder(root, by_steps=by_steps) as folder:
        handle = folder.open_nameless()
        assert os.write(handle, b"x" * 4096) == 4096
        os.close(handle)
    assert list(root.iterdir()) == []


def test_the_names_of_a_folder_are_flushed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[os.stat_result] = []
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle)))
    sync_folder(root)

    assert [os.path.samestat(status, root.stat()) for status in flushed] == [True]
