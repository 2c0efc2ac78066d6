from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gpt_image_2_mcp.batches import Head, Row
from gpt_image_2_mcp.errors import InvalidRequest, StorageError
from gpt_image_2_mcp.stores.manifest import FileManifest, exclusively

pytestmark = pytest.mark.anyio
HEAD = Head(state_dir="/state", sandbox=False)


def row(id_: str, text: str = "") -> Row:
    at = datetime(2026, 11, 27, tzinfo=UTC)
    return Row(id=id_, line=1, digest="d", state="failed", operation_id=id_, at=at, error=text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch.manifest.jsonl"


async def test_rows_are_read_as_they_were_added(path: Path) -> None:
    assert await FileManifest(path, HEAD).read() == ()
    rows = row("a", "line\nbreak \u2028 and \u00e4"), row("b")
    for each in rows:
        await FileManifest(path, HEAD).add(each)
    assert await FileManifest(path, HEAD).read() == rows


async def test_rows_that_are_added_at_once_do_not_mix(path: Path) -> None:
    manifest = FileManifest(path, HEAD)
    await asyncio.gather(*(manifest.add(row(str(number))) for number in range(20)))
    assert {each.id for each in await manifest.read()} == {str(number) for number in range(20)}


@pytest.mark.parametrize("cut", [1, 2, 40])
async def test_a_line_that_a_death_cut_off_is_no_row_and_is_taken_away(path: Path, cut: int) -> None:
    manifest = FileManifest(path, HEAD)
    for id_ in ("a", "b"):
        await manifest.add(row(id_))
    path.write_bytes(path.read_bytes()[:-cut])
    assert await manifest.read() == (row("a"),)
    await manifest.add(row("c"))
    assert await manifest.read() == (row("a"), row("c"))


async def test_a_head_that_was_cut_off_is_written_again(path: Path) -> None:
    path.write_text('{"manif')
    manifest = FileManifest(path, HEAD)
    assert await manifest.read() == ()
    await manifest.add(row("a"))
    assert await manifest.read() == (row("a"),)


@pytest.mark.parametrize(
    "text", ["a shopping list\n", '{"prompt": "x"}\n', HEAD.model_dump_json() + "\n{}\n"]
)
async def test_a_file_that_is_no_manifest_is_refused(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(StorageError, match="is no manifest of a batch, or is damaged"):
        await FileManifest(path, HEAD).read()


@pytest.mark.parametrize(
    "other", [Head(state_dir="/state", sandbox=True), Head(state_dir="/b", sandbox=False)]
)
async def test_a_manifest_of_another_journal_is_refused(path: Path, other: Head) -> None:
    await FileManifest(path, other).add(row("a"))
    with pytest.raises(InvalidRequest, match="and this run would use another journal"):
        await FileManifest(path, HEAD).read()


async def test_a_manifest_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        await FileManifest(tmp_path, HEAD).read()
    with pytest.raises(StorageError, match="cannot be written"):
        await FileManifest(tmp_path / "none" / "m", HEAD).add(row("a"))


async def test_a_second_run_is_kept_away_until_the_first_has_ended(path: Path) -> None:
    with exclusively(path), pytest.raises(InvalidRequest, match="Another run is at work"), exclusively(path):
        pass
    with exclusively(path):
        pass
    assert list(path.parent.glob("batch*")) == []


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"), exclusively(tmp_path / "file" / "m.jsonl"):
        pass
