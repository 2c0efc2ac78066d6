"""Pictures as files: strict decoding, never partial, never over another file, twice is once."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import random
import re
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pybase64
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from gpt_image_2_mcp.errors import InvalidAnswer, StorageError
from gpt_image_2_mcp.image_formats.gif import Animation
from gpt_image_2_mcp.models import EncodedPicture, Placement, StoredImage
from gpt_image_2_mcp.roots import real_path
from gpt_image_2_mcp.sizes import Size
from gpt_image_2_mcp.stores import _decoding, files
from gpt_image_2_mcp.stores.files import FileImageStore
from gpt_image_2_mcp.walking import Folder
from tests.support.pictures import animation, picture

pytestmark = pytest.mark.anyio
TOKEN = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
PNG = picture()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "pictures" / "project"


@pytest.fixture
def placement(folder: Path, tmp_path: Path) -> Placement:
    return Placement(folder, "image", "20260422-150301", TOKEN, root=real_path(tmp_path))


def spooled(
    tmp_path: Path, text: bytes, before: bytes = b'{"b64_json":"', after: bytes = b'"}'
) -> EncodedPicture:
    body = tmp_path / "answer.0.resp"
    body.write_bytes(before + text + after)
    return EncodedPicture(body, len(before), len(before) + len(text))


def encoded(tmp_path: Path, data: bytes) -> EncodedPicture:
    return spooled(tmp_path, base64.b64encode(data))


async def saved(source: EncodedPicture, placement: Placement, index: int = 0, count: int = 1) -> StoredImage:
    return await FileImageStore().save(source, placement, index, count)


def _no_links(*_paths: Any, **_options: Any) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


async def test_a_picture_is_written_as_it_came(tmp_path: Path, placement: Placement) -> None:
    stored = await saved(encoded(tmp_path, PNG), placement)

    assert stored == StoredImage(
        path=placement.folder / "image-20260422-150301-a1b2c3.png",
        size_bytes=len(PNG),
        mime_type="image/png",
        size=Size(64, 48),
        sha256=hashlib.sha256(PNG).hexdigest(),
    )
    assert stored.path.read_bytes() == PNG
    assert names(placement.folder) == [stored.path.name]


@pytest.mark.parametrize(
    ("format_", "extension", "mime_type"),
    [
        ("PNG", "png", "image/png"),
        ("JPEG", "jpeg", "image/jpeg"),
        ("WEBP", "webp", "image/webp"),
        ("GIF", "gif", "image/gif"),
    ],
)
async def test_the_extension_follows_the_real_bytes(
    tmp_path: Path, placement: Placement, format_: Any, extension: str, mime_type: str
) -> None:
    stored = await saved(encoded(tmp_path, picture(format_=format_)), placement)

    assert stored.path.suffix == f".{extension}"
    assert stored.mime_type == mime_type


SVG = b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- by hand -->\n<svg xmlns="http://www.w3.org/2000/svg"/>\n'


async def test_a_drawing_is_written_byte_for_byte_where_one_was_asked_for(
    tmp_path: Path, placement: Placement
) -> None:
    stored = await FileImageStore().save(encoded(tmp_path, SVG), placement, 0, 1, drawing=True)

    assert stored.path.name == "image-20260422-150301-a1b2c3.svg"
    assert (stored.mime_type, stored.format, stored.size) == ("image/svg+xml", "svg", None)
    assert stored.path.read_bytes() == SVG
    assert names(placement.folder) == [stored.path.name]


async def test_a_drawing_that_nobody_asked_for_is_no_picture(tmp_path: Path, placement: Placement) -> None:
    with pytest.raises(InvalidAnswer, match="no known format"):
        await saved(encoded(tmp_path, SVG), placement)

    assert names(placement.folder) == []


@pytest.mark.parametrize("data", [b"<html><svg></svg></html>", b"Sorry, no <svg> today", b""])
async def test_what_is_no_drawing_is_not_saved_as_one(
    tmp_path: Path, placement: Placement, data: bytes
) -> None:
    with pytest.raises(InvalidAnswer, match="no known format"):
        await FileImageStore().save(encoded(tmp_path, data), placement, 0, 1, drawing=True)

    assert names(placement.folder) == []


async def test_pixels_that_come_instead_of_a_drawing_are_kept_as_what_they_are(
    tmp_path: Path, placement: Placement
) -> None:
    stored = await FileImageStore().save(encoded(tmp_path, PNG), placement, 0, 1, drawing=True)

    assert (stored.path.suffix, stored.mime_type, stored.size) == (".png", "image/png", Size(64, 48))


async def test_of_an_animation_the_frames_are_counted(tmp_path: Path, placement: Placement) -> None:
    data = animation(5, 120)
    stored = await saved(encoded(tmp_path, data), placement)

    assert stored.animation == Animation(5, 600)
    assert stored.path.read_bytes() == data


async def test_a_picture_that_is_there_already_is_written_as_it_is(placement: Placement) -> None:
    taken_in = replace(placement, kind="import")
    stored = await FileImageStore().save(PNG, taken_in, 0, 1)

    assert stored.path.name == "import-20260422-150301-a1b2c3.png"
    assert stored.path.read_bytes() == PNG
    assert stored.sha256 == hashlib.sha256(PNG).hexdigest()
    assert names(placement.folder) == [stored.path.name]


async def test_several_pictures_have_numbered_names(tmp_path: Path, placement: Placement) -> None:
    for index in range(3):
        await saved(encoded(tmp_path, picture(color=("red", "green", "blue")[index])), placement, index, 3)

    assert names(placement.folder) == [f"image-20260422-150301-a1b2c3-{n}.png" for n in (1, 2, 3)]


@pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")
async def test_a_picture_has_the_mode_of_any_new_file(tmp_path: Path, placement: Placement) -> None:
    before = os.umask(0o022)
    try:
        stored = await saved(encoded(tmp_path, PNG), placement)
    finally:
        os.umask(before)

    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o644


GOOD = base64.b64encode(PNG)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GOOD[:-1], "a character short"),
        (GOOD[:8] + b"=" + GOOD[9:], "padding in the middle"),
        (GOOD[:8] + b"QQ==" + GOOD[8:], "two texts in one"),
        (GOOD + b"====", "too much padding"),
        (GOOD + b"=", "one padding too much"),
        (GOOD[:9] + b"!" + GOOD[10:], "a stray character"),
        (GOOD[:76] + b"\n" + GOOD[76:], "a line break"),
        (GOOD[:76] + b" " + GOOD[77:], "a blank"),
        (GOOD[:20] + b"-_" + GOOD[22:], "the alphabet of URLs"),
        (GOOD[:20] + b"\xc3\xa9" + GOOD[22:], "a letter that is not ASCII"),
        (GOOD[:20] + b"\\u00e9" + GOOD[26:], "an escaped letter that is not ASCII"),
        (GOOD[:20] + b"\\x" + GOOD[22:], "an escape there is not"),
        (GOOD + b"\\", "an escape cut in half"),
        (b"data:image/png;base64," + GOOD, "a data URL"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("slice_", [4, 1024])
async def test_damaged_text_is_refused_and_leaves_nothing(
    tmp_path: Path,
    placement: Placement,
    monkeypatch: pytest.MonkeyPatch,
    text: bytes,
    why: str,
    slice_: int,
) -> None:
    monkeypatch.setattr(_decoding, "_SLICE", slice_)
    with pytest.raises(InvalidAnswer, match="is damaged"):
        await saved(spooled(tmp_path, text), placement)

    assert names(placement.folder) == []


@pytest.mark.parametrize("slice_", [4, 64, 1024 * 1024])
async def test_escaped_slashes_are_read_as_slashes(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch, slice_: int
) -> None:
    monkeypatch.setattr(_decoding, "_SLICE", slice_)
    data = PNG + b"\xff" * 300
    text = base64.b64encode(data).replace(b"/", rb"\/")
    assert text.count(rb"\/") > 100

    stored = await saved(spooled(tmp_path, text), placement)

    assert stored.path.read_bytes() == data


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"<html>an error page</html>", b"root:x:0:0:root:/root:/bin/bash\n", PNG[:20]],
    ids=["empty", "nul", "html", "passwd", "torn"],
)
async def test_what_is_no_picture_is_refused_and_leaves_nothing(
    tmp_path: Path, placement: Placement, data: bytes
) -> None:
    with pytest.raises(InvalidAnswer, match="is not a picture"):
        await saved(encoded(tmp_path, data), placement)

    assert names(placement.folder) == []


async def test_a_body_that_is_shorter_than_told_is_refused(tmp_path: Path, placement: Placement) -> None:
    whole = spooled(tmp_path, GOOD, after=b"")

    with pytest.raises(InvalidAnswer, match="is damaged"):
        await saved(replace(whole, end=whole.end + 400), placement)

    assert names(placement.folder) == []


async def test_another_file_is_never_overwritten(tmp_path: Path, placement: Placement) -> None:
    placement.folder.mkdir(parents=True)
    taken = placement.folder / placement.filename("png", 0, 1)
    taken.write_bytes(b"somebody's file")

    stored = await saved(encoded(tmp_path, PNG), placement)

    assert taken.read_bytes() == b"somebody's file"
    assert stored.path.name == "image-20260422-150301-a1b2c3d4e5.png"
    assert stored.path.read_bytes() == PNG


@pytest.mark.skipif(os.name != "posix", reason="of POSIX")
@pytest.mark.parametrize(
    "take",
    [
        lambda path, _outside: os.mkfifo(path),
        lambda path, _outside: path.mkdir(),
        lambda path, outside: path.symlink_to(outside),
        lambda path, outside: path.symlink_to(outside.with_name("gone")),
    ],
    ids=["fifo", "folder", "link", "dangling link"],
)
@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
async def test_what_has_the_name_and_is_no_file_is_left_alone_and_not_followed(
    tmp_path: Path,
    placement: Placement,
    monkeypatch: pytest.MonkeyPatch,
    take: Callable[[Path, Path], None],
    links: bool,
) -> None:
    (tmp_path / "outside").write_bytes(b"")
    placement.folder.mkdir(parents=True)
    taken = placement.folder / placement.filename("png", 0, 1)
    take(taken, tmp_path / "outside")
    before = taken.lstat()
    if not links:
        monkeypatch.setattr(os, "link", _no_links)

    stored = await saved(encoded(tmp_path, PNG), placement)

    assert stored.path.name == "image-20260422-150301-a1b2c3d4e5.png"
    assert os.path.samestat(taken.lstat(), before)
    assert (tmp_path / "outside").read_bytes() == b""
    assert names(tmp_path) == ["answer.0.resp", "home", "outside", "pictures"]


async def test_a_name_grows_until_it_is_free(tmp_path: Path, placement: Placement) -> None:
    placement.folder.mkdir(parents=True)
    for digits in (6, 10, 16):
        (placement.folder / placement.filename("png", 0, 1, digits=digits)).write_bytes(b"x")

    stored = await saved(encoded(tmp_path, PNG), placement)

    assert stored.path.name == f"image-20260422-150301-{TOKEN}.png"


async def test_when_every_name_is_taken_nothing_is_lost_or_left(tmp_path: Path, placement: Placement) -> None:
    placement.folder.mkdir(parents=True)
    for digits in (6, 10, 16, 32):
        (placement.folder / placement.filename("png", 0, 1, digits=digits)).write_bytes(b"x")
    before = names(placement.folder)

    with pytest.raises(StorageError, match="Every name"):
        await saved(encoded(tmp_path, PNG), placement)

    assert names(placement.folder) == before


async def test_the_same_picture_twice_is_one_file(tmp_path: Path, placement: Placement) -> None:
    """As when an operation is carried on by another process after the file was written."""
    first = await saved(encoded(tmp_path, PNG), placement)
    second = await saved(encoded(tmp_path, PNG), placement)

    assert first == second
    assert names(placement.folder) == [first.path.name]


async def test_another_picture_under_the_same_name_is_a_second_file(
    tmp_path: Path, placement: Placement
) -> None:
    first = await saved(encoded(tmp_path, PNG), placement)
    second = await saved(encoded(tmp_path, picture(color="red")), placement)
    again = await saved(encoded(tmp_path, picture(color="red")), placement)

    assert second == again
    assert names(placement.folder) == sorted([first.path.name, second.path.name])


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
async def test_a_disk_without_hard_links_keeps_every_promise(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def no_links(*_paths: Any, **_options: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_links)
    placement.folder.mkdir(parents=True)
    taken = placement.folder / placement.filename("png", 0, 1)
    taken.write_bytes(b"somebody's file")

    first = await saved(encoded(tmp_path, PNG), placement)
    second = await saved(encoded(tmp_path, PNG), placement)

    assert taken.read_bytes() == b"somebody's file"
    assert first == second
    assert first.path.read_bytes() == PNG
    assert names(placement.folder) == sorted([taken.name, first.path.name])


async def test_a_death_between_taking_a_name_and_moving_onto_it_leaves_no_empty_picture(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _no_links)
    placement.folder.mkdir(parents=True)
    (placement.folder / placement.filename("png", 0, 1)).write_bytes(b"")

    stored = await saved(encoded(tmp_path, PNG), placement)

    assert names(placement.folder) == [placement.filename("png", 0, 1)]
    assert stored.path.read_bytes() == PNG


async def test_a_move_that_fails_gives_the_taken_name_back(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_moves(*_paths: Any, **_options: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", _no_links)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", no_moves)
        with pytest.raises(StorageError, match="Input/output error"):
            await saved(encoded(tmp_path, PNG), placement)
        assert names(placement.folder) == []

    assert (await saved(encoded(tmp_path, PNG), placement)).path.read_bytes() == PNG


async def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = encoded(tmp_path, PNG)
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageError, match="No space left on device") as caught:
        await saved(source, placement)

    assert "the answer itself was kept" in caught.value.hint
    assert source.body.exists()
    assert names(placement.folder) == []


async def test_a_crash_while_decoding_leaves_nothing(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: Any, **_options: Any) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(pybase64, "b64decode", interrupted)

    with pytest.raises(KeyboardInterrupt):
        FileImageStore()._save(encoded(tmp_path, PNG), placement, 0, 1, drawing=False)

    assert names(placement.folder) == []


async def test_what_a_dead_process_left_of_a_picture_is_found_and_replaced(
    tmp_path: Path, placement: Placement
) -> None:
    for index in range(2):
        placement.folder.mkdir(parents=True, exist_ok=True)
        (placement.folder / f".{TOKEN}-{index}.part").write_bytes(b"half" * 9999)
    stored = [await saved(encoded(tmp_path, PNG), placement, index, 2) for index in range(2)]

    assert [each.path.read_bytes() for each in stored] == [PNG, PNG]
    assert names(placement.folder) == sorted(each.path.name for each in stored)


async def test_each_picture_has_a_temporary_name_of_its_own_that_another_process_knows(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    publish = files._publish

    def watched(draft: Any, *args: Any) -> str:
        seen.append(draft.path.name)
        return publish(draft, *args)

    monkeypatch.setattr(files, "_publish", watched)
    for _ in range(2):
        for index in range(2):
            await saved(encoded(tmp_path, PNG), placement, index, 2)

    assert seen == [f".{TOKEN}-0.part", f".{TOKEN}-1.part"] * 2


@pytest.mark.parametrize("disk", ["full", "good"])
async def test_a_death_between_the_two_names_of_a_picture_never_harms_the_final_one(
    tmp_path: Path, placement: Placement, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    stored = await saved(encoded(tmp_path, PNG), placement)
    part = placement.folder / f".{TOKEN}-0.part"
    os.link(stored.path, part)
    seen: list[bytes] = []

    def copied(slices: Any, file: Any) -> Any:
        seen.append(stored.path.read_bytes())
        if disk == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        return copy(slices, file)

    copy = files._copy
    monkeypatch.setattr(files, "_copy", copied)
    if disk == "full":
        with pytest.raises(StorageError):
            await saved(encoded(tmp_path, PNG), placement)
    else:
        assert await saved(encoded(tmp_path, PNG), placement) == stored

    assert seen == [PNG]
    assert stored.path.read_bytes() == PNG
    assert names(placement.folder) == [stored.path.name]


async def test_a_spool_that_is_gone_is_an_error_of_storage(tmp_path: Path, placement: Placement) -> None:
    with pytest.raises(StorageError):
        await saved(EncodedPicture(tmp_path / "gone", 0, 4), placement)

    assert names(placement.folder) == []


@pytest.mark.parametrize("when", ["before the call", "after it"])
@pytest.mark.parametrize("depth", ["pictures", "pictures/project"])
async def test_a_folder_that_a_link_leads_out_of_its_root_is_not_written_to(
    tmp_path: Path, placement: Placement, when: str, depth: str
) -> None:
    root, outside = tmp_path / "pictures", tmp_path / "outside"
    inside = replace(placement, root=real_path(root))
    outside.mkdir()
    if when == "after it":
        await FileImageStore().prepare(inside, 1000)
        shutil.rmtree(tmp_path / depth)
    (tmp_path / depth).parent.mkdir(exist_ok=True)
    (tmp_path / depth).symlink_to(outside, target_is_directory=True)

    with pytest.raises(StorageError, match="no longer leads below"):
        await FileImageStore().prepare(inside, 1000)
    with pytest.raises(StorageError, match="no longer leads below") as caught:
        await saved(encoded(tmp_path, PNG), inside)
    assert caught.value.hint.endswith("the answer itself was kept.")
    assert list(outside.iterdir()) == []


async def test_a_folder_that_leads_elsewhere_below_its_root_is_written_to(
    tmp_path: Path, placement: Placement
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "pictures").symlink_to("elsewhere", target_is_directory=True)

    stored = await saved(encoded(tmp_path, PNG), placement)

    assert stored.path.parent == placement.folder
    assert names(tmp_path / "elsewhere" / "project") == [stored.path.name]


async def test_a_placement_of_an_old_journal_is_written_where_it_leads(
    tmp_path: Path, placement: Placement
) -> None:
    stored = await saved(encoded(tmp_path, PNG), replace(placement, root=None))

    assert stored.path.read_bytes() == PNG


@pytest.mark.parametrize("name", [".ssh", "sub/../.ssh"])
async def test_a_link_into_a_folder_of_credentials_below_the_root_is_not_followed(
    tmp_path: Path, home: Path, placement: Placement, name: str
) -> None:
    (home / ".ssh").mkdir()
    (home / "pictures").symlink_to(home / name, target_is_directory=True)
    (home / "sub").mkdir()

    with pytest.raises(StorageError, match="no longer leads below"):
        await saved(
            encoded(tmp_path, PNG), replace(placement, folder=home / "pictures", root=real_path(home))
        )
    assert list((home / ".ssh").iterdir()) == []


async def test_preparing_makes_the_folder_and_leaves_no_trace(placement: Placement) -> None:
    await FileImageStore().prepare(placement, 1000)
    await FileImageStore().prepare(placement, 1000)

    assert placement.folder.is_dir()
    assert names(placement.folder) == []


@pytest.mark.parametrize("missing", [0, 1])
async def test_a_disk_needs_three_times_the_room_of_the_pictures(
    placement: Placement, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    asked: list[Path] = []

    def usage(place: Any) -> Any:
        asked.append(Path(f"/proc/self/fd/{place}").resolve() if isinstance(place, int) else place)
        return SimpleNamespace(free=3 * 50_000_000 - missing)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    if missing:
        with pytest.raises(StorageError, match="less than 143 MB free") as caught:
            await FileImageStore().prepare(placement, 50_000_000)
        assert caught.value.hint.endswith("nothing was sent.")
    else:
        await FileImageStore().prepare(placement, 50_000_000)
    assert asked == [placement.folder]
    assert names(placement.folder) == []


async def test_a_folder_that_is_a_file_is_refused_before_anything_is_sent(
    folder: Path, placement: Placement
) -> None:
    folder.parent.mkdir()
    folder.write_text("a file")

    for place in (folder, folder / "below"):
        with pytest.raises(StorageError, match=f"^The folder {place} cannot be written") as caught:
            await FileImageStore().prepare(replace(placement, folder=place), 1000)
        assert caught.value.hint.endswith("nothing was sent.")


async def test_a_read_only_disk_is_refused_before_anything_is_sent(
    placement: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(_folder: Folder) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Folder, "open_nameless", read_only)

    with pytest.raises(StorageError, match="Read-only file system"):
        await FileImageStore().prepare(placement, 1000)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_without_the_right_to_write_is_refused(
    tmp_path: Path, folder: Path, placement: Placement
) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o500)

    with pytest.raises(StorageError, match="Permission denied"):
        await FileImageStore().prepare(placement, 1000)
    with pytest.raises(StorageError, match="Permission denied"):
        await saved(encoded(tmp_path, PNG), placement)


async def test_a_large_picture_is_decoded_in_slices_and_equals_the_original(
    tmp_path: Path, placement: Placement
) -> None:
    noise = random.Random(7).randbytes(900 * 900 * 3)
    buffer = BytesIO()
    Image.frombytes("RGB", (900, 900), noise).save(buffer, "PNG", compress_level=0)
    data = buffer.getvalue()
    assert len(base64.b64encode(data)) > 3 * _decoding._SLICE

    stored = await saved(encoded(tmp_path, data), placement)

    assert stored.path.read_bytes() == data
    assert (stored.size, stored.size_bytes) == (Size(900, 900), len(data))
    assert stored.sha256 == hashlib.sha256(data).hexdigest()


def decoded(tmp_path: Path, text: bytes, before: bytes, slice_: int) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_decoding, "_SLICE", slice_)
        source = spooled(tmp_path, text, before)
        with source.body.open("rb") as body:
            return b"".join(_decoding.decoded_slices(body, source))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=200),
    before=st.binary(max_size=10),
    slice_=st.integers(1, 20).map(lambda n: n * 4),
    escaped=st.booleans(),
)
@example(data=b"\xff" * 12, before=b"", slice_=4, escaped=True)
@example(data=b"a", before=b"", slice_=4, escaped=False)
def test_any_bytes_come_back_whatever_the_slices(
    tmp_path: Path, data: bytes, before: bytes, slice_: int, escaped: bool
) -> None:
    text = base64.b64encode(data)

    assert decoded(tmp_path, text.replace(b"/", rb"\/") if escaped else text, before, slice_) == data


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(st.binary(max_size=40), st.text('AQz/+=\\n" ', max_size=40).map(str.encode)),
    slice_=st.sampled_from([4, 8, 1024]),
)
@example(text=b"QQ==QQ==", slice_=4)
def test_text_that_is_no_base64_is_refused_whatever_the_slices(
    tmp_path: Path, text: bytes, slice_: int
) -> None:
    """RFC 4648 section 4 is the judge; what an escape means is the JSON string's business."""
    assume(b"\\" not in text)
    if re.fullmatch(rb"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", text):
        assert decoded(tmp_path, text, b"", slice_) == base64.b64decode(text)
    else:
        with pytest.raises(InvalidAnswer):
            decoded(tmp_path, text, b"", slice_)
