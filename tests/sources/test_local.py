"""Files of this machine."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.roots import Roots
from gpt_image_2_mcp.sources import local
from gpt_image_2_mcp.sources.local import local_path, path_of_file_url, read_below, read_own


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///tmp/a.png", "/tmp/a.png"),
        ("file:/tmp/a.png", "/tmp/a.png"),
        ("file://localhost/tmp/a.png", "/tmp/a.png"),
        ("FILE://LOCALHOST/tmp/a.png", "/tmp/a.png"),
        ("file:///tmp/my%20cat%23%3F.png", "/tmp/my cat#?.png"),
        ("file:///tmp/%C3%A9t%C3%A9.png", "/tmp/\u00e9t\u00e9.png"),
        ("file:///tmp/100%25.png", "/tmp/100%.png"),
    ],
)
def test_a_file_url_is_a_path(url: str, path: str) -> None:
    assert path_of_file_url(url) == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "file://server/share/a.png",
        "file://127.0.0.1/a.png",
        "file://localhost:80/a.png",
        "file:a.png",
        "file:",
        "file://",
        "file:///tmp/a%00.png",
        "file://[::1/a.png",
    ],
)
def test_a_file_url_of_elsewhere_or_nowhere_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="is not a file on this machine"):
        path_of_file_url(url)


def test_a_source_is_a_path_or_a_url_of_another_kind(tmp_path: Path, home: Path) -> None:
    for source, path in {
        "a b.png": tmp_path / "a b.png",
        "../a.png": tmp_path / ".." / "a.png",
        "/x/a.png": Path("/x/a.png"),
        "~/a.png": home / "a.png",
        "~nobody-of-this-name": tmp_path / "~nobody-of-this-name",
        "File:///x/a%20b.png": Path("/x/a b.png"),
        "c:x": tmp_path / "c:x",
        "javascript:x": tmp_path / "javascript:x",
        "%2e%2e/a.png": tmp_path / "%2e%2e" / "a.png",
    }.items():
        assert local_path(source, tmp_path) == path
    for source in ("https://x/a.png", "HTTPS:x", "data:,x", "http://x", "ftp://x/a.png", "s3://a/b"):
        assert local_path(source, tmp_path) is None


def read_local(path: Path) -> bytes:
    """As a caller may whose root is the file's folder."""
    return read_below(Roots.of(path.parent), path).data


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 100)

    assert read_local(tmp_path / "a") == bytes(range(256)) * 100


def test_a_file_over_the_limit_is_refused_by_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MAX_INPUT_BYTES", 10)
    (tmp_path / "a").write_bytes(bytes(10))
    assert read_local(tmp_path / "a") == bytes(10)

    (tmp_path / "a").write_bytes(bytes(11))
    with pytest.raises(InputError, match=r"/a is larger than 50 MB\."):
        read_local(tmp_path / "a")


def test_a_file_of_holes_is_refused_without_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(1 << 40)

    class Unread(io.FileIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise AssertionError

    monkeypatch.setattr(os, "fdopen", Unread)
    with pytest.raises(InputError, match="is larger than 50 MB"):
        read_own(tmp_path / "a.png")


def whenever_measured(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> None:
    """Have something happen to a file right behind each look at its status."""
    fstat = os.fstat

    def measured(handle: int) -> os.stat_result:
        found = fstat(handle)
        do()
        return found

    monkeypatch.setattr(os, "fstat", measured)


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_file_that_grows_while_it_is_read_is_refused_once_it_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MAX_INPUT_BYTES", 10)
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    whenever_measured(monkeypatch, lambda: add(path, bytes(5)))
    with pytest.raises(InputError, match="is larger than 50 MB"):
        read_own(path)


def test_a_file_that_grows_while_it_is_read_is_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    whenever_measured(monkeypatch, lambda: add(path, b"more"))
    assert read_own(path) == bytes(10) + b"more" * 2  # once when it was opened, once when it was measured


def test_a_file_that_shrinks_while_it_is_read_is_what_is_left_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(10))
    whenever_measured(monkeypatch, lambda: os.truncate(path, 4))
    assert read_own(path) == bytes(4)


def test_a_link_to_a_file_is_followed_where_it_stays_below_a_root(tmp_path: Path) -> None:
    (tmp_path / "root" / "deep").mkdir(parents=True)
    (tmp_path / "root" / "deep" / "a").write_bytes(b"x")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "root" / "deep" / "a")
    (tmp_path / "root" / "way").symlink_to("deep", target_is_directory=True)
    roots = Roots.of(tmp_path / "root")

    for name in ("link", "way/a", "deep/../way/../deep/a"):
        assert read_below(roots, tmp_path / "root" / name).data == b"x"


def test_what_lies_outside_is_refused_in_the_same_words_whether_or_not_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "there").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "there")
    (tmp_path / "root" / "dangling").symlink_to(tmp_path / "gone")
    monkeypatch.setattr(local, "open_file", None)
    said = set()
    for name in ("there", "gone", "folder", "there/below", "root/link", "root/dangling"):
        with pytest.raises(InputError) as caught:
            read_below(Roots.of(tmp_path / "root"), tmp_path / name)
        said.add(str(caught.value).replace(str(tmp_path / name), "IT"))
    (sentence,) = said
    assert sentence == (
        f"IT is in no folder that pictures are read from ({tmp_path.resolve() / 'root'}; never folders of "
        "credentials or of the system). Copy the picture into one of these, or name its folder in "
        "GPT_IMAGE_2_INPUT_ROOTS and restart the server; nothing was sent."
    )


def test_a_link_that_is_taken_away_while_it_is_followed_is_an_unreadable_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: str) -> str:
        os.unlink(path)  # noqa: PTH108 - for a path that is text
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    roots = Roots.of(tmp_path)
    monkeypatch.setattr(os, "readlink", gone)
    for read in (partial(read_below, roots), read_own):
        (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
        with pytest.raises(InputError, match=r"cannot be read \(No such file or directory\)"):
            read(tmp_path / "a.png")


def test_a_folder_is_no_file_and_leaves_no_handle_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208

    for _ in range(10):
        with pytest.raises(InputError, match=r"cannot be read \(not a file\)"):
            read_local(tmp_path)

    after = len(os.listdir("/proc/self/fd")) if before else 0  # noqa: PTH208
    assert after == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="FIFOs are of POSIX")
def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(InputError, match="not a file"):
        read_local(tmp_path / "fifo")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="devices are of POSIX")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused(device: str) -> None:
    with pytest.raises(InputError, match="not a file"):
        read_own(Path(device))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="/proc is of Linux")
def test_a_file_that_fails_while_it_is_read_is_refused() -> None:
    with pytest.raises(InputError, match=r"^/proc/self/mem cannot be read \(Input/output error\)"):
        read_own(Path("/proc/self/mem"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.png", "No such file or directory"),
        ("a\0b.png", "not a valid path"),
        ("\ud800.png", "not a valid path"),
        ("x" * 300, "File name too long"),
    ],
)
def test_what_cannot_be_opened_is_said_with_the_reason(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(InputError, match=rf"cannot be read \({why}\)") as caught:
        read_local(tmp_path / name)
    assert "absolute path" in caught.value.hint


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0)

    with pytest.raises(InputError, match="Permission denied"):
        read_local(tmp_path / "a")
