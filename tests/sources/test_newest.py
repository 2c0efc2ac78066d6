from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.sources import newest as module
from gpt_image_2_mcp.sources.newest import download_folders, newest_picture, screenshot_folders
from tests.support.pictures import picture


def put(path: Path, changed: float, data: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture() if data is None else data)
    os.utime(path, (changed, changed))
    return path


@pytest.mark.parametrize("name", ["Screenshot 2.png", "b.JPG", "b.jpeg", "b.WebP"])
def test_the_picture_that_was_changed_last_is_found(tmp_path: Path, name: str) -> None:
    put(tmp_path / "a.png", 100)
    put(tmp_path / "z.png", 50)
    last = put(tmp_path / name, 200)
    assert newest_picture([tmp_path], "download") == last


def test_the_newest_of_several_folders_is_found_though_one_is_missing(tmp_path: Path) -> None:
    put(tmp_path / "desktop" / "a.png", 100)
    last = put(tmp_path / "shots" / "b.png", 200)
    folders = [tmp_path / "nowhere", tmp_path / "desktop", tmp_path / "shots"]
    assert newest_picture(folders, "screenshot") == last


def test_what_is_no_finished_picture_is_passed_over(tmp_path: Path) -> None:
    older = put(tmp_path / "a.png", 100)
    put(tmp_path / "notes.txt", 300)
    put(tmp_path / "cat.png.crdownload", 300)
    put(tmp_path / ".hidden.png", 300)
    put(tmp_path / "empty.png", 300, b"")
    put(tmp_path / "below" / "b.png", 300)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to(put(tmp_path / "elsewhere" / "c.png", 300))
    assert newest_picture([tmp_path], "download") == older


def test_where_there_is_none_the_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        newest_picture([tmp_path, tmp_path / "shots"], "screenshot")
    assert (
        caught.value.message == f"There is no screenshot: no picture is in {tmp_path}, {tmp_path / 'shots'}."
    )


def test_a_folder_without_end_is_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_ENTRIES", 3)
    for number in range(9):
        put(tmp_path / f"{number}.png", number)
    assert len(list(module._pictures(tmp_path))) == 3


def test_the_folders_are_the_persons_own(home: Path) -> None:
    assert home / "Desktop" in screenshot_folders()
    assert home / "Pictures" / "Screenshots" in screenshot_folders()
    assert home / "Downloads" in download_folders()


def test_the_folders_are_those_that_the_desktop_calls_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_pictures_path", lambda: home / "Bilder")
    monkeypatch.setattr("platformdirs.user_downloads_path", lambda: home / "Letöltések")
    assert home / "Bilder" / "Screenshots" in screenshot_folders()
    assert download_folders()[0] == home / "Letöltések"
