"""Files of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.sources import local
from gpt_image_2_mcp.sources.local import path_of_file_url, read_local


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


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 100)

    assert read_local(tmp_path / "a") == bytes(range(256)) * 100


def test_a_large_file_is_read_one_byte_over_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "MAX_INPUT_BYTES", 10)
    (tmp_path / "a").write_bytes(bytes(100))

    assert len(read_local(tmp_path / "a")) == 11


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "a")

    assert read_local(tmp_path / "link") == b"x"


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
        read_local(Path(device))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="/proc is of Linux")
def test_a_file_that_fails_while_it_is_read_is_refused() -> None:
    with pytest.raises(InputError, match=r"^/proc/self/mem cannot be read \(Input/output error\)"):
        read_local(Path("/proc/self/mem"))


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
