"""Which folders are read from and written to, and what nobody gets at by any spelling."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path, PureWindowsPath

import platformdirs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.errors import InputError, StorageError
from gpt_image_2_mcp.folders import output_tree
from gpt_image_2_mcp.roots import (
    OutputDir,
    Place,
    Roots,
    choose_output_dir,
    closed_folders,
    folder_of,
    is_trap,
    narrow,
    reading_roots,
    real_path,
    writing_roots,
)
from gpt_image_2_mcp.sources.local import local_path, read_below

posix = pytest.mark.skipif(os.name != "posix", reason="the folders are of POSIX")
CREDENTIALS = (".ssh", ".gnupg", ".aws", ".azure", ".config/gcloud", ".kube", ".docker", ".password-store")


def made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


# What lies below a root


def test_what_is_below_a_root_is_found_where_it_really_is(tmp_path: Path) -> None:
    root = made(tmp_path.resolve() / "root")
    made(root / "deep")
    (root / "link").symlink_to("deep", target_is_directory=True)
    roots = Roots.of(root)

    assert roots.find(root) == Place(root, root)
    assert roots.find(root / "link" / "a.png") == Place(root / "deep" / "a.png", root)
    assert roots.find(root / "deep" / ".." / "a.png") == Place(root / "a.png", root)
    assert roots.find(root / "missing" / "a.png") == Place(root / "missing" / "a.png", root)


@pytest.mark.parametrize(
    "path",
    ["../a.png", "", "../root-evil/a.png", "../roo", "../ROOT/a.png", "out", "out/a.png", "in/../../a.png"],
)
def test_what_is_not_below_a_root_is_not_found(tmp_path: Path, path: str) -> None:
    root = made(tmp_path / "root")
    (root / "out").symlink_to(made(tmp_path / "root-evil"), target_is_directory=True)
    (root / "in").symlink_to(made(root / "deep"), target_is_directory=True)

    assert Roots.of(root).find(root / path if path else tmp_path) is None


def test_a_root_may_be_a_link_and_may_be_missing(tmp_path: Path) -> None:
    real = made(tmp_path.resolve() / "real")
    (tmp_path / "link").symlink_to(real, target_is_directory=True)
    roots = Roots.of(tmp_path / "link", tmp_path / "missing", real)

    assert roots.folders == (real, tmp_path.resolve() / "missing")
    assert roots.find(tmp_path / "link" / "a.png") == Place(real / "a.png", real)


def test_a_root_that_is_exchanged_for_a_link_later_leads_nowhere(tmp_path: Path) -> None:
    root = made(tmp_path / "root")
    roots = Roots.of(root)
    root.rmdir()
    root.symlink_to(made(tmp_path / "outside"), target_is_directory=True)

    assert roots.find(root / "a.png") is None


@posix
def test_two_slashes_at_the_beginning_are_one(tmp_path: Path) -> None:
    assert real_path(Path("//etc/x")) == real_path(Path("/etc/x"))
    assert Roots.of(tmp_path).find(Path(f"/{tmp_path}/a.png")) is not None


@pytest.mark.parametrize("name", CREDENTIALS)
@pytest.mark.parametrize("spelt", [str, str.upper], ids=["as it is", "in capitals"])
def test_folders_of_credentials_stay_closed_below_a_root(home: Path, name: str, spelt: type[str]) -> None:
    roots = Roots.of(home)

    assert roots.find(home / spelt(name)) is None
    assert roots.find(home / spelt(name) / "key.png") is None
    assert roots.find(home / f"{name}-pictures" / "a.png") is not None


def test_a_root_in_a_closed_folder_opens_itself_and_nothing_beside_it(home: Path) -> None:
    roots = Roots.of(home, home / ".docker" / "pictures")

    assert roots.find(home / ".docker" / "pictures" / "a.png") is not None
    assert roots.find(home / ".docker" / "config.json") is None


@posix
def test_of_the_whole_disk_the_system_stays_closed(tmp_path: Path) -> None:
    roots = Roots.of(Path("/"))

    assert roots.find(tmp_path / "a.png") is not None
    for path in ("/etc/passwd", "/proc/self/environ", "/proc/self/root/etc/passwd", "/dev/stdin", "/usr/x"):
        assert roots.find(Path(path)) is None


def test_a_linked_credential_folder_is_closed_where_it_really_is(home: Path, tmp_path: Path) -> None:
    vault = made(tmp_path / "vault")
    (home / ".aws").symlink_to(vault, target_is_directory=True)
    roots = Roots.of(tmp_path)

    assert roots.find(vault / "sub") is None
    assert roots.find(home / ".aws") is None
    assert roots.find(tmp_path / "elsewhere") is not None


def test_a_linked_home_closes_both_its_names(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(home, target_is_directory=True)
    monkeypatch.setenv("HOME", str(tmp_path / "link"))

    assert Roots.of(home).find(home / ".ssh" / "id") is None
    assert Roots.of(home).find(tmp_path / "link" / ".ssh" / "id") is None


def test_roots_are_named_short_and_without_those_below_another(home: Path, tmp_path: Path) -> None:
    place = tmp_path.resolve() / "place"
    roots = Roots.of(home / "Pictures", place, place / "below", home / "Pictures" / "x")

    assert str(roots) == f"~/Pictures, {place}"
    assert str(Roots.of()) == "there are none"
    assert str(Roots.of(home)) == str(home.resolve())


# Spellings


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with a picture, and outside of it what nobody may read."""
    root = made(tmp_path / "root")
    for folder in (root, made(root / "sub"), made(root / "CON")):
        (folder / "a.png").write_bytes(b"picture")
    outside = made(tmp_path / "root-evil")
    for path in (outside / "a.png", tmp_path / "a.png", tmp_path / "secret"):
        path.write_bytes(b"secret")
    (root / "out").symlink_to(outside, target_is_directory=True)
    (root / "up").symlink_to("..", target_is_directory=True)
    (root / "in").symlink_to("sub", target_is_directory=True)
    (root / "link.png").symlink_to(tmp_path / "secret")
    (root / "fine.png").symlink_to("sub/a.png")
    return root


def read(root: Path, source: str) -> bytes:
    path = local_path(source, root)
    assert path is not None
    return read_below(Roots.of(root), path).data


@posix
@pytest.mark.parametrize(
    "source",
    [
        *("../secret", "sub/../../secret", "./.././secret", "in/../../secret", "up/secret", "out/a.png"),
        *("link.png", "up/root-evil/a.png", "../root-evil/a.png", "../ROOT/a.png", "../root /a.png"),
        *(
            "..%2fsecret",
            "%2e%2e/secret",
            "..\\secret",
            "sub/..%00/../../secret",
            "..;/secret",
            "....//secret",
        ),
        *("a.png ", " a.png", "a.png.", '"a.png"', "a.png/../../secret", "A.PNG"),
        *("a.png:x", "a.png::$DATA", "C:a.png", "C:\\secret", "\\\\server\\share\\a.png", "\\\\?\\C:\\a.png"),
        *("//server/share/a.png", "PICTUR~1.PNG", "CON", "NUL", "com1.png", "aux.", "con .png", "sub"),
        *("/proc/self/fd/0", "/proc/self/environ", "/proc/self/cwd/../secret", "/dev/fd/0", "/dev/stdin"),
        *("/dev/zero", "/etc/passwd", "/etc/../etc/passwd", "//etc/passwd", "/", ".", "~", "~root", "~/x"),
        *("file:///etc/passwd", "file://localhost/etc/passwd", "file:///etc%2fpasswd", "file:////etc/passwd"),
        *("file:///proc/self/environ", "FILE:/etc/passwd", "file:///etc/passwd?x#y", "file://server/etc/x"),
        *(
            "a\0.png",
            "\ud800.png",
            "x" * 300,
            "x/" * 3000,
            "sub//../..//secret",
            "\u2025/secret",
            "\uff0e\uff0e/secret",
        ),
    ],
)
def test_no_spelling_reads_what_is_outside(tree: Path, source: str) -> None:
    with pytest.raises(InputError, match=r"cannot be read|is in no folder|is not a file on this machine"):
        read(tree, source)


@pytest.mark.parametrize(
    "source", ["a.png", "./sub/../a.png", "in/a.png", "fine.png", "CON/a.png", "up/root/a.png"]
)
def test_what_leads_back_into_the_root_is_read(tree: Path, source: str) -> None:
    assert read(tree, source) == b"picture"
    assert read(tree, (tree / source).as_uri()) == b"picture"


_PARTS = st.sampled_from(
    [
        *("..", ".", "", "a.png", "sub", "in", "out", "up", "root", "root-evil", "secret", "link.png", "~"),
        *(
            "fine.png",
            "%2e%2e",
            "%2f",
            "..%2f",
            "CON",
            "C:",
            "a.png:x",
            "etc",
            "passwd",
            "proc",
            "self",
            "fd",
        ),
    ]
) | st.text(max_size=5)


@posix
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.lists(_PARTS, max_size=8), start=st.sampled_from(["", "/", "./", "file://", "file:///", "~/"])
)
@example(parts=["up", "root-evil", "a.png"], start="")
@example(parts=["..", "a.png"], start="")
@example(parts=["~\x00"], start="")
def test_no_path_of_any_parts_reads_what_is_outside(tree: Path, parts: list[str], start: str) -> None:
    for source in (start + "/".join(parts), f"file://{tree}/{'/'.join(parts)}"):
        with suppress(InputError):
            path = local_path(source, tree)
            assert path is None or read_below(Roots.of(tree), path).data == b"picture"


@pytest.mark.parametrize(
    "path",
    [
        r"\\server\share\a.png",
        r"//server/share/a.png",
        r"\\?\C:\a.png",
        r"\\.\NUL",
        r"\\?\UNC\server\share\a.png",
        r"C:\p\a.png:stream",
        r"C:\p\a.png::$DATA",
        r"C:\p\a.png.",
        r"C:\p\a.png ",
        r"C:\p \a.png",
        r"C:\p\CON",
        r"C:\p\con.png",
        r"C:\p\NUL .png",
        r"C:\aux\a.png",
        r"C:\p\COM1.txt.png",
        "C:\\p\\lpt\u00b2",
        r"C:\p\CONIN$",
        r"\a.png",
        r"a.png",
    ],
)
def test_what_windows_takes_for_something_else_is_a_trap(path: str) -> None:
    assert is_trap(PureWindowsPath(path))


@pytest.mark.parametrize(
    "path",
    [
        r"C:\p\a.png",
        r"C:/p/../a b.png",
        r"z:\con1.png",
        r"C:\p\.hidden",
        r"C:\console\a.png",
        "C:\\p\\caf\u00e9.png",
    ],
)
def test_a_plain_path_on_a_disk_is_no_trap(path: str) -> None:
    assert not is_trap(PureWindowsPath(path))


def test_a_share_that_a_root_is_on_is_no_trap() -> None:
    path = PureWindowsPath(r"\\Server\share\p\a.png")

    assert not is_trap(path, {r"\\server\share"})
    assert is_trap(path, {r"\\other\share"})


def test_a_path_that_counts_from_another_place_is_below_no_root() -> None:
    assert Roots.of(Path.cwd()).find(Path("a.png")) is None


# The roots there are


def test_pictures_are_written_below_these_folders(home: Path, tmp_path: Path) -> None:
    project = made(home / "work" / "app")
    made(project / ".git")

    assert list(writing_roots(made(project / "src"), home / ".config", tmp_path / "out"))[:6] == [
        tmp_path / "out",
        output_tree(home / ".config"),
        project,
        home / "Pictures",
        home / "Downloads",
        home / "Desktop",
    ]


def test_pictures_are_read_below_the_same_and_some_more(home: Path) -> None:
    assert list(reading_roots([home / "out"], [home / "photos"])) == [
        home / "out",
        home / ".claude" / "image-cache",
        home / "photos",
    ]


def test_the_folder_for_temporary_files_is_a_root(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    roots = list(writing_roots(home, home, None))

    assert tmp_path / "tmp" in roots
    assert (Path("/tmp") in roots) == (os.name == "posix")

    monkeypatch.setattr(tempfile, "tempdir", os.sep)  # as in a server that is started there
    assert Path(os.sep) not in writing_roots(home, home, None)


def test_where_there_is_no_folder_for_temporary_files_there_is_none(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(tempfile, "gettempdir", none)
    roots = list(writing_roots(home, home, None))

    assert len(roots) >= 4
    assert all(root.is_relative_to(home) or root == Path("/tmp") for root in roots)


def test_folders_of_people_are_also_those_that_the_system_names(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platformdirs, "user_pictures_path", lambda: home / "Bilder")
    monkeypatch.setattr(platformdirs, "user_desktop_path", lambda: home)  # as when a desktop was deleted
    roots = list(writing_roots(home, home / ".config", None))

    assert home / "Bilder" in roots
    assert home not in roots


@pytest.mark.parametrize("place", ["/", "~", "~/..", "~/.ssh", "~/.aws/x", "/etc", "/usr/lib"])
def test_a_server_that_is_started_in_a_wide_or_closed_folder_does_not_open_it(home: Path, place: str) -> None:
    folder = Path(place).expanduser()

    assert list(narrow([folder, home / "work"])) == [home / "work"]
    assert folder not in writing_roots(folder, home / ".config", None)


def test_in_a_home_under_version_control_the_working_folder_is_the_project(home: Path) -> None:
    made(home / ".git")
    work = made(home / "work")

    roots = list(writing_roots(work, home / ".config", None))
    assert work in roots
    assert home not in roots


def test_a_folder_that_a_person_set_is_a_root_however_wide(home: Path) -> None:
    assert home in writing_roots(home, home / ".config", home)


def test_what_is_closed_has_names_and_real_places() -> None:
    closed = closed_folders()

    assert all(name.endswith("/") and name == name.casefold() for name in closed)
    if Path("/bin").is_symlink():
        assert {"/bin/", "/usr/bin/"} & set(closed)


# The folder of a call


def chosen(asked: str | None, working_dir: Path, *, allow_unsafe: bool = False) -> OutputDir:
    roots = Roots.of(working_dir)
    return choose_output_dir(asked, working_dir / "default", working_dir, roots, allow_unsafe=allow_unsafe)


def test_the_folder_asked_for_is_taken_and_the_root_that_allows_it(tmp_path: Path, home: Path) -> None:
    real = tmp_path.resolve()

    assert chosen(None, tmp_path) == OutputDir(tmp_path / "default", real)
    assert chosen("pictures/today", tmp_path) == OutputDir(tmp_path / "pictures" / "today", real)
    assert chosen(str(tmp_path / "abs"), tmp_path) == OutputDir(tmp_path / "abs", real)
    assert chosen("~/pictures", tmp_path) == OutputDir(home / "pictures", real)
    assert folder_of("x", tmp_path) == tmp_path / "x"


@posix
@pytest.mark.parametrize(
    "folder",
    [
        *("/etc", "/etc/sub/dir", "/usr/local/bin", "/proc/1", "/dev/shm", "/", "/var/spool/cron", "/opt/x"),
        *("~/.ssh", "~/.config/autostart", "~/Library/LaunchAgents", "~/.local/bin", "~", "../outside"),
        *("pictures/../../outside", "../" * 20 + "etc", "link", "link/new", "../work-evil"),
    ],
)
def test_a_folder_outside_of_the_roots_is_refused_and_the_way_in_is_named(home: Path, folder: str) -> None:
    work = made(home / "work")
    (work / "link").symlink_to(made(home / ".aws"), target_is_directory=True)

    with pytest.raises(
        StorageError, match=r"is no folder that pictures are written to \(~/work; never"
    ) as caught:
        chosen(folder, work)
    assert "GPT_IMAGE_2_OUTPUT_DIR" in caught.value.hint
    assert "GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR=1" in caught.value.hint
    assert caught.value.hint.endswith("nothing was sent.")


def test_a_credential_folder_below_a_root_is_refused(home: Path) -> None:
    (home / "innocent").symlink_to(made(home / ".ssh"), target_is_directory=True)

    for folder in (".ssh", "innocent/new", "pictures/../.ssh"):
        with pytest.raises(StorageError):
            chosen(folder, home)
    for folder in (".sshd", ".config", "etc", "usr/lib", "my.aws"):
        assert chosen(folder, home).folder == home / folder


def test_a_folder_that_the_journal_could_not_write_down_is_refused(tmp_path: Path) -> None:
    work = tmp_path / "w\udcff"
    with pytest.raises(StorageError, match=r"w\? is not UTF-8") as caught:
        choose_output_dir(None, work, tmp_path, Roots.of(tmp_path), allow_unsafe=False)
    assert "nothing was sent" in caught.value.hint


def test_a_default_outside_of_the_roots_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        choose_output_dir(None, Path("/opt/x"), tmp_path, Roots.of(tmp_path), allow_unsafe=False)


@posix
@pytest.mark.parametrize("folder", ["/etc/pictures", "/opt/x", "../outside"])
def test_the_setting_allows_any_folder_and_that_folder_alone(tmp_path: Path, folder: str) -> None:
    work = made(tmp_path / "work")
    allowed = chosen(folder, work, allow_unsafe=True)

    assert allowed == OutputDir(work / folder, real_path(work / folder))
    assert Roots((allowed.root,)).find(allowed.folder) == Place(allowed.root, allowed.root)


@pytest.mark.parametrize("allow_unsafe", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        *("a\0b", "~there-is-no-such-user/pictures", "n\n- Note: ok", "a\x1b]0;x\x07", "a\u202eb", "  "),
        *("https://x/y", "file:///tmp/x", "[Image: source: x]", ".git/hooks", "a/.git"),
    ],
)
def test_what_cannot_be_a_folder_is_refused_in_a_sentence(
    tmp_path: Path, asked: str, allow_unsafe: bool
) -> None:
    with pytest.raises(StorageError, match=r"^output_dir names no folder"):
        chosen(asked, tmp_path, allow_unsafe=allow_unsafe)


@posix
@pytest.mark.parametrize(
    "asked", ["/proc/self/cwd/sub", "/dev/fd/../../proc/self/cwd", "work/../../../../proc/1"]
)
def test_a_folder_that_each_process_sees_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.chdir(tmp_path)
    up = asked.replace("work/../../../..", "/".join([".."] * len(tmp_path.parts)))
    with pytest.raises(StorageError, match="is no folder that pictures are written to"):
        chosen(up, tmp_path)


def test_links_in_a_circle_end_in_a_path_and_in_no_crash(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    assert chosen("a/pictures", tmp_path).folder == tmp_path / "a" / "pictures"
    if sys.platform == "linux":
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path, "a")
