from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.stores.token_file import kept_token


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "http-token"


def test_a_token_is_made_once_and_long_enough_that_nobody_guesses_it(path: Path) -> None:
    token = kept_token(path).reveal()
    assert len(token) >= 43
    assert kept_token(path).reveal() == token
    assert [entry.name for entry in path.parent.iterdir()] == ["http-token"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_its_owner_can_read_it(path: Path) -> None:
    kept_token(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_servers_that_start_at_once_agree_on_one_token(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = {token.reveal() for token in pool.map(kept_token, [path] * 32)}
    assert len(tokens) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    kept_token(path)
    path.chmod(mode)
    with pytest.raises(StorageError, match=r"is not its owner's alone\. Delete it"):
        kept_token(path)


@pytest.mark.parametrize("text", ["", "short\n", "x" * 42, f"{'x' * 43}\nAuthorization: more"])
def test_a_file_with_anything_else_in_it_is_refused(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(StorageError, match="holds no token") as caught:
        kept_token(path)
    assert "more" not in str(caught.value)


def test_a_folder_that_cannot_be_is_told_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot be written or read .* GPT_IMAGE_2_STATE_DIR"):
        kept_token(tmp_path / "file" / "http-token")
