"""The files of operations: jobs there and back, answers found again, and nobody else's files touched."""

from __future__ import annotations

import base64
import errno
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.contents import KeptFile, whole
from gpt_image_2_mcp.errors import InvalidAnswer, StorageError
from gpt_image_2_mcp.models import EncodedPicture, ImageJob, InputImage, PartialPicture, Receipt, Route
from gpt_image_2_mcp.ports import Spool, Spools
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.sizes import Size
from gpt_image_2_mcp.stores.spool import (
    KEEP_PARTIAL_S,
    KEEP_RAW_S,
    MAX_PARTIAL_BYTES,
    FileSpool,
    SpoolFolder,
)
from tests.stores.samples import mode, posix
from tests.support.pictures import picture

ONE, OTHER = "0f1e2d3c" * 4, "a0b1c2d3" * 4
FOX = InputImage(b"\x89PNG\x00\xff" * 99, "image-1.png", "image/png", Size(64, 48), has_alpha=False, mark="a")
HEN = InputImage(b"\xff\xd8\xff", "image-2.jpeg", "image/jpeg", Size(1, 3840), has_alpha=False, mark="a")
MASK = InputImage(b"", "mask.png", "image/png", Size(64, 48), has_alpha=True, mark="b")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "state" / "spool", tmp_path / "second"


@pytest.fixture
def spools(folders: tuple[Path, Path]) -> SpoolFolder:
    spools = SpoolFolder(*folders)
    spools.probe()
    return spools


@pytest.fixture
def spool(spools: SpoolFolder) -> FileSpool:
    return spools.open(ONE)


def job(**more: Any) -> ImageJob:
    return replace(ImageJob("generate", "a fox", RenderOptions(model="gpt-image-2")), **more)


def in_memory(work: ImageJob) -> ImageJob:
    """The job with the bytes that its files hold."""
    images = tuple(replace(i, data=whole(i.data)) for i in work.images if isinstance(i, InputImage))
    return replace(work, images=images, mask=work.mask and replace(work.mask, data=whole(work.mask.data)))


def names(*folders: Path) -> list[str]:
    return sorted(path.name for folder in folders if folder.exists() for path in folder.iterdir())


def answered(folder: Path, name: str, content: bytes = b"{}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{ONE}.{name}"
    path.write_bytes(content)
    return path


def test_the_spool_is_what_the_port_says(spools: SpoolFolder) -> None:
    every: Spools = spools
    one: Spool = every.open(ONE)
    assert one.operation_id == ONE


# Jobs


@pytest.mark.parametrize(
    "work",
    [
        job(),
        job(prompt='\u72d0 "\U0001f98a"\n\x00\u2028'),
        job(
            options=RenderOptions(
                model="gpt-image-2.5-flare",
                size="1536x1024",
                quality="max",
                n=10,
                output_compression=0,
                safety_identifier="u",
            )
        ),
        job(action="edit", images=(FOX,)),
        job(action="edit", images=(HEN, FOX, FOX), mask=MASK),
        job(action="edit", images=(FOX,) * 16, mask=MASK),
    ],
    ids=["plain", "odd prompt", "options", "one picture", "mask", "sixteen"],
)
def test_a_job_comes_back_as_it_was_in_another_process(
    work: ImageJob, spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    spool.save_job(work)
    assert in_memory(SpoolFolder(*folders).open(ONE).load_job()) == work


@settings(max_examples=60, deadline=None)
@given(
    prompt=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    data=st.lists(st.binary(max_size=40), max_size=4),
    masked=st.booleans(),
)
def test_any_job_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, prompt: str, data: list[bytes], masked: bool
) -> None:
    spool = FileSpool(ONE, (tmp_path_factory.mktemp("spool"),))
    images = tuple(replace(FOX, data=each, filename=f"image-{n}.png") for n, each in enumerate(data))
    work = job(action="edit", prompt=prompt, images=images, mask=MASK if masked else None)
    spool.save_job(work)
    assert in_memory(spool.load_job()) == work


def test_the_pictures_of_a_job_that_comes_back_stand_in_files_of_their_own(
    spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    spool.save_job(job(action="edit", images=(FOX, HEN), mask=MASK))
    paths = [folders[0] / f"{ONE}.in.{number}" for number in range(3)]
    assert [file.data for file in spool.load_job().files] == [
        KeptFile(paths[0], 7 * 99 - 99),
        KeptFile(paths[1], 3),
        KeptFile(paths[2], 0),
    ]


def test_a_job_whose_picture_is_gone_does_not_come_back(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    spool.save_job(job(action="edit", images=(FOX, HEN)))
    (folders[0] / f"{ONE}.in.1").unlink()
    with pytest.raises(FileNotFoundError):
        spool.load_job()


def test_the_pictures_of_a_job_are_not_in_its_text(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    spool.save_job(job(action="edit", images=(replace(FOX, data=b"A" * 10_000),)))
    assert (folders[0] / f"{ONE}.job").stat().st_size < 2000


def test_a_job_that_is_dropped_leaves_the_rest(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    spool.save_job(job(action="edit", images=(FOX, HEN), mask=MASK))
    spool.note_upload("file-1")
    path = answered(folders[0], "images.0.resp")
    assert len(names(*folders)) == 6
    spool.drop_job()
    assert names(*folders) == [path.name, f"{ONE}.uploads"]
    spool.drop_job()


@posix
def test_what_is_kept_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        spools = SpoolFolder(tmp_path / "spool")
        spools.open(ONE).save_job(job(action="edit", images=(FOX,)))
        spools.open(ONE).note_upload("file-1")
    finally:
        os.umask(before)
    assert mode(tmp_path / "spool") == 0o700
    assert {mode(path) for path in (tmp_path / "spool").iterdir()} == {0o600}


def failing(*names: str) -> Any:
    """An `os.open` that finds the disk full when a file with one of these endings is made."""
    real = os.open

    def opened(path: Any, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith(names):
            raise OSError(28, "No space left on device")
        return real(path, flags, mode)

    return opened


@pytest.mark.parametrize("name", [".job", ".in.0", ".in.2"])
def test_a_job_that_cannot_be_kept_whole_is_refused_and_not_kept_at_all(
    name: str, spool: FileSpool, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", failing(name))
    with pytest.raises(StorageError, match="No space left on device") as raised:
        spool.save_job(job(action="edit", images=(FOX, HEN), mask=MASK))
    assert "nothing was sent" in raised.value.hint
    assert names(*folders) == []


def test_an_upload_that_cannot_be_noted_is_an_error_of_storage(
    spool: FileSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", failing(".uploads"))
    with pytest.raises(StorageError, match="No space left on device"):
        spool.note_upload("file-1")


# Uploads


def test_uploads_are_remembered_in_order_until_they_are_dropped(
    spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    assert spool.uploads() == ()
    for number in range(3):
        spool.note_upload(f"file-{number}")
    assert SpoolFolder(*folders).open(ONE).uploads() == ("file-0", "file-1", "file-2")
    assert SpoolFolder(*folders).open(OTHER).uploads() == ()
    spool.drop_uploads()
    assert spool.uploads() == ()
    assert names(*folders) == []


def test_an_upload_is_flushed_when_it_is_noted(spool: FileSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: sizes.append(os.fstat(handle).st_size))
    spool.note_upload("file-1")
    spool.note_upload("file-2")
    assert sizes == [7, 14]


# Answers


def test_an_answer_goes_to_the_state_folder_first(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    assert spool.bodies("images", 0) == tuple(folder / f"{ONE}.images.0.resp" for folder in folders)
    assert spool.bodies("responses", 9) == tuple(folder / f"{ONE}.responses.9.resp" for folder in folders)


def test_without_an_answer_there_is_none(spool: FileSpool) -> None:
    spool.save_job(job(action="edit", images=(FOX,)))
    assert spool.received() is None
    assert spool.torn() is None


@pytest.mark.parametrize("place", [0, 1])
def test_a_whole_answer_is_received_from_either_folder(
    place: int, spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    path = answered(folders[place], "images.0.resp")
    assert spool.received() == Receipt("images", (path,))
    assert spool.torn() == Receipt("images", (path,), torn=True)


def test_an_answer_that_is_not_whole_is_torn_and_not_received(
    spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    path = answered(folders[0], "images.0.part")
    assert spool.received() is None
    assert spool.torn() == Receipt("images", (path,), torn=True)


def test_an_answer_of_which_nothing_came_is_none(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    answered(folders[0], "images.0.part", b"")
    answered(folders[1], "images.0.resp", b"")
    assert spool.received() is None
    assert spool.torn() is None


def test_legs_come_in_their_order_whole_or_torn(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    third = answered(folders[0], "responses.2.resp")
    first = answered(folders[1], "responses.0.resp")
    second = answered(folders[0], "responses.1.part")
    assert spool.received() == Receipt("responses", (first, third))
    assert spool.torn() == Receipt("responses", (first, second, third), torn=True)


@pytest.mark.parametrize("kind", ["resp", "part"])
@pytest.mark.parametrize("longer", [0, 1])
def test_of_an_answer_in_both_folders_the_longer_one_counts(
    kind: str, longer: int, spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    paths = [
        answered(folder, f"images.0.{kind}", b"{}" + b" " * (n == longer)) for n, folder in enumerate(folders)
    ]
    assert spool.torn() == Receipt("images", (paths[longer],), torn=True)


def test_a_whole_answer_goes_before_a_longer_broken_one(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    answered(folders[0], "images.0.part", b"x" * 100)
    whole = answered(folders[1], "images.0.resp")
    assert spool.torn() == Receipt("images", (whole,), torn=True)


def test_the_route_that_was_taken_last_goes_before_the_first(
    spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    answered(folders[0], "images.0.resp")
    path = answered(folders[0], "responses.0.resp")
    assert spool.received() == Receipt("responses", (path,))


@pytest.mark.parametrize("route", ["images", "responses"])
def test_an_operation_has_no_part_in_anothers_answers(
    route: Route, spools: SpoolFolder, folders: tuple[Path, Path]
) -> None:
    for name in (f"{OTHER}.{route}.0.resp", f"{ONE}0.{route}.0.resp", f"x{ONE}.{route}.0.part"):
        (folders[0] / name).write_bytes(b"{}")
    assert spools.open(ONE).torn() is None


def test_pictures_that_were_fetched_come_with_their_answer_by_their_places(
    spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    assert spool.fetched(3)[0] == folders[0] / f"{ONE}.fetched.3.resp"
    tenth = answered(folders[0], "fetched.10.resp")
    second = answered(folders[1], "fetched.2.resp")
    answered(folders[0], "fetched.4.part")
    assert spool.received() is None
    answer = answered(folders[0], "images.0.resp")
    for receipt in (spool.received(), spool.torn()):
        assert receipt is not None
        assert (receipt.bodies, receipt.fetched) == ((answer,), ((2, second), (10, tenth)))


def test_discarding_removes_all_of_an_operation_and_nothing_else(
    spool: FileSpool, spools: SpoolFolder, folders: tuple[Path, Path]
) -> None:
    spool.save_job(job(action="edit", images=(FOX,)))
    spool.note_upload("file-1")
    for folder in folders:
        answered(folder, "images.0.part")
        answered(folder, "responses.1.resp")
        answered(folder, "fetched.0.resp")
        answered(folder, "fetched.1.part")
        for foreign in (f"{ONE}0.images.0.resp", "notes.txt", ONE):
            (folder / foreign).write_bytes(b"mine")
    spools.open(OTHER).save_job(job())
    spool.discard()
    assert names(folders[0]) == sorted([ONE, f"{ONE}0.images.0.resp", f"{OTHER}.job", "notes.txt"])
    assert names(folders[1]) == sorted([ONE, f"{ONE}0.images.0.resp", "notes.txt"])
    spool.discard()


def test_what_cannot_be_removed_now_is_no_error(
    spool: FileSpool, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(folders[0], "images.0.resp")
    spool.save_job(job())

    def refused(_path: Path, **_options: Any) -> None:
        raise PermissionError(13, "used by another process")

    monkeypatch.setattr(Path, "unlink", refused)
    spool.drop_job()
    spool.discard()
    assert len(names(*folders)) == 2


# Partial pictures


def encoded(folder: Path, data: bytes) -> EncodedPicture:
    """`data` as it stands in a stream that is coming."""
    text = base64.b64encode(data)
    path = answered(folder, "images.0.part", b"data: " + text + b"...")
    return EncodedPicture(path, 6, 6 + len(text))


@pytest.mark.parametrize(
    ("format_", "mime_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
def test_a_partial_picture_comes_back_under_its_index_in_another_process(
    format_: Any, mime_type: str, spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    data = picture(format_=format_)
    spool.keep_partial(1, encoded(folders[0], data))
    other = SpoolFolder(*folders).open(ONE)
    assert other.partial(1) == PartialPicture(data, mime_type)
    assert other.partial(0) is None
    assert other.partial(2) is None
    assert SpoolFolder(*folders).open(OTHER).partial(1) is None
    assert f"{ONE}.partial-1.{format_.lower()}" in names(folders[0])


def test_what_a_death_left_of_a_partial_picture_goes_with_the_rest(
    spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    spool.keep_partial(0, encoded(folders[0], picture()))
    answered(folders[0], "partial-1.new", b"half")
    spool.discard()
    assert names(folders[0]) == [f"{ONE}.partial-0.png"]


def test_a_later_partial_picture_takes_the_place_of_an_earlier_one(
    spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    for format_ in ("PNG", "JPEG", "JPEG"):
        spool.keep_partial(0, encoded(folders[0], picture(format_=format_)))
    assert spool.partial(0) == PartialPicture(picture(format_="JPEG"), "image/jpeg")
    assert names(folders[0]) == [f"{ONE}.images.0.part", f"{ONE}.partial-0.jpeg"]


def test_a_large_partial_picture_is_kept_byte_for_byte(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    data = picture() + os.urandom(3 << 20)
    spool.keep_partial(0, encoded(folders[0], data))
    assert spool.partial(0) == PartialPicture(data, "image/png")


@posix
def test_a_partial_picture_is_for_its_owner_alone(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    spool.keep_partial(0, encoded(folders[0], picture()))
    assert mode(folders[0] / f"{ONE}.partial-0.png") == 0o600


def test_what_is_no_picture_is_not_kept_and_leaves_the_one_before(
    spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    spool.keep_partial(0, encoded(folders[0], picture()))
    for data in (b"GIMME" * 40, b""):
        with pytest.raises(InvalidAnswer):
            spool.keep_partial(0, encoded(folders[0], data))
    path = answered(folders[0], "images.0.part", b"%%% no base64 %%%")
    with pytest.raises(InvalidAnswer):
        spool.keep_partial(0, EncodedPicture(path, 0, 10))
    assert spool.partial(0) == PartialPicture(picture(), "image/png")
    assert names(folders[0]) == [f"{ONE}.images.0.part", f"{ONE}.partial-0.png"]


def test_a_partial_picture_that_is_far_too_large_is_not_kept(
    spool: FileSpool, folders: tuple[Path, Path]
) -> None:
    path = answered(folders[0], "images.0.part")
    with pytest.raises(InvalidAnswer, match="more than 64 MB"):
        spool.keep_partial(0, EncodedPicture(path, 0, MAX_PARTIAL_BYTES + 1))
    assert spool.partial(0) is None


def test_a_partial_picture_for_which_there_is_no_room_is_an_error_of_storage(
    spool: FileSpool, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    coming = encoded(folders[0], picture())
    monkeypatch.setattr(os, "open", failing(".new"))
    with pytest.raises(StorageError, match="No space left on device"):
        spool.keep_partial(0, coming)


def test_a_damaged_partial_picture_is_none(spool: FileSpool, folders: tuple[Path, Path]) -> None:
    answered(folders[0], "partial-0.png", b"not any more")
    assert spool.partial(0) is None


def test_a_partial_picture_stays_for_a_while_when_its_operation_is_over(
    spools: SpoolFolder, spool: FileSpool, folders: tuple[Path, Path], now: float
) -> None:
    """Somebody who was told of it may be about to look at it."""
    spool.keep_partial(0, encoded(folders[0], picture()))
    spool.discard()
    assert names(*folders) == [f"{ONE}.partial-0.png"]
    assert spools.operations() == frozenset()
    aged(folders[0] / f"{ONE}.partial-0.png", KEEP_PARTIAL_S - 1, now)
    spools.prune(())
    assert len(names(*folders)) == 1
    for name in ("partial-0.png", "partial-1.new"):
        aged(folders[0] / f"{ONE}.{name}", KEEP_PARTIAL_S + 1, now)
    spools.prune({ONE})
    assert names(*folders) == []


# All operations


def test_the_operations_that_have_files_are_known_by_them(
    spools: SpoolFolder, folders: tuple[Path, Path]
) -> None:
    assert spools.operations() == frozenset()
    spools.open(ONE).save_job(job())
    folders[1].mkdir()
    (folders[1] / f"{OTHER}.responses.0.part").write_bytes(b"")
    (folders[1] / "notes.txt").write_bytes(b"")
    assert spools.operations() == {ONE, OTHER}


def aged(path: Path, seconds: float, now: float) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"{}")
    os.utime(path, (now - seconds, now - seconds))
    return path


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    moment = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: moment)
    return moment


def test_raw_answers_are_let_go_after_seven_days_and_not_before(
    spools: SpoolFolder, folders: tuple[Path, Path], now: float
) -> None:
    assert KEEP_RAW_S == 7 * 24 * 3600
    for folder in folders:
        for kind in ("images.0.resp", "responses.3.part", "job", "in.12", "uploads"):
            aged(folder / f"{ONE}.{kind}", KEEP_RAW_S + 1, now)
        aged(folder / f"{OTHER}.images.0.resp", KEEP_RAW_S - 1, now)
    spools.prune(())
    assert names(*folders) == [f"{OTHER}.images.0.resp"] * 2


def test_raw_answers_that_are_still_wanted_are_kept_at_any_age(
    spools: SpoolFolder, folders: tuple[Path, Path], now: float
) -> None:
    for folder in folders:
        for id_ in (ONE, OTHER, f"{ONE}0"):
            aged(folder / f"{id_}.images.0.resp", KEEP_RAW_S * 9, now)
    spools.prune({ONE})
    assert names(*folders) == [f"{ONE}.images.0.resp"] * 2


def test_files_and_folders_that_are_not_ours_stay_for_ever(
    spools: SpoolFolder, folders: tuple[Path, Path], now: float
) -> None:
    foreign = ["notes.txt", ".nfs0001", f"{ONE}.images.0.resp.bak", f"{ONE}.images.x.resp", "lost+found/x"]
    for name in foreign:
        aged(folders[0] / name, KEEP_RAW_S * 9, now)
    folder = folders[0] / f"{ONE}.job"
    folder.mkdir()
    os.utime(folder, (0, 0))
    os.utime(folders[0] / "lost+found", (0, 0))
    spools.prune(())
    assert all((folders[0] / name).exists() for name in foreign)
    assert folder.is_dir()


def test_a_file_that_another_process_removes_meanwhile_stops_nothing(
    spools: SpoolFolder, folders: tuple[Path, Path], now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        aged(folders[0] / f"{ONE}.responses.{number}.resp", KEEP_RAW_S + 1, now)
    glob = Path.glob

    def raced(path: Path, pattern: str) -> Iterator[Path]:
        for number, found in enumerate(sorted(glob(path, pattern))):
            if number % 2:
                found.unlink()
            yield found

    monkeypatch.setattr(Path, "glob", raced)
    spools.prune(())
    assert names(*folders) == []


def test_letting_go_where_there_is_no_folder_yet_is_nothing(tmp_path: Path) -> None:
    SpoolFolder(tmp_path / "gone", tmp_path / "gone too").prune(())
    assert not (tmp_path / "gone").exists()


def test_the_first_request_makes_the_folder(tmp_path: Path) -> None:
    spools = SpoolFolder(tmp_path / "a" / "b")
    spools.open(ONE).save_job(job())
    spools.open(OTHER).save_job(job())
    assert names(tmp_path / "a" / "b") == sorted([f"{ONE}.job", f"{OTHER}.job"])


def test_probing_makes_no_second_folder_before_it_is_needed(
    spools: SpoolFolder, folders: tuple[Path, Path]
) -> None:
    assert not folders[1].exists()


def test_probing_leaves_nothing_behind(tmp_path: Path) -> None:
    SpoolFolder(tmp_path / "spool").probe()
    assert list((tmp_path / "spool").iterdir()) == []


def test_probing_finds_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(dir: Path) -> None:  # noqa: A002 - the name that is called by
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gpt_image_2_mcp.stores.spool.TemporaryFile", full)
    with pytest.raises(StorageError, match=r"cannot be written \(No space left on device\)"):
        SpoolFolder(tmp_path / "spool").probe()


@pytest.mark.parametrize("below", ["", "spool"])
def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_sent(tmp_path: Path, below: str) -> None:
    blocked = tmp_path / "a file"
    blocked.write_bytes(b"")
    with pytest.raises(StorageError, match=r"^The state folder .* cannot be written") as raised:
        SpoolFolder(blocked / below).open(ONE).save_job(job())
    assert raised.value.hint.endswith("nothing was sent.")
    assert "GPT_IMAGE_2_STATE_DIR" in raised.value.hint
