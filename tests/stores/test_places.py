from __future__ import annotations

from pathlib import Path

import pytest

from gpt_image_2_mcp.stores import places
from gpt_image_2_mcp.stores.places import left_over, second_spool, spool_folders


@pytest.fixture(autouse=True)
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(places, "second_spool", lambda: tmp_path / "second")
    return tmp_path / "second"


def test_nothing_is_left_where_nothing_was_ever_made(tmp_path: Path) -> None:
    assert left_over(tmp_path / "state") == frozenset()


def test_what_is_left_in_either_folder_is_found(tmp_path: Path, second: Path) -> None:
    spool, other = spool_folders(tmp_path / "state")
    assert other == second
    for path in (spool / "1.job", second / "2.images.0.resp"):
        path.parent.mkdir(parents=True)
        path.touch()
    assert left_over(tmp_path / "state") == {"1.job", "2.images.0.resp"}


def test_a_folder_that_cannot_be_read_is_worth_a_closer_look(tmp_path: Path) -> None:
    spool, _ = spool_folders(tmp_path)
    spool.touch()
    assert left_over(tmp_path) == {str(spool)}


def test_the_second_folder_is_one_users() -> None:
    assert second_spool() == second_spool()
    assert second_spool().name.removeprefix("gpt-image-2-mcp-")
