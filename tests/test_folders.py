"""Where pictures go: the original server's folders, and the folders where nothing is written."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.folders import (
    choose_output_dir,
    default_output_dir,
    is_sensitive,
    project_root,
    slug,
)

CONFIG = Path("/cfg")


def twelve(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:12]


def made(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def test_a_projects_folder_is_its_name_and_the_hash_of_its_real_path(tmp_path: Path) -> None:
    project = made(tmp_path / "my-app")
    made(project / ".git")

    folder = default_output_dir(CONFIG, project)

    assert folder == CONFIG / "gpt-image-2-mcp" / "output" / f"my-app-{twelve(project.resolve())}"


def test_a_folder_below_a_project_shares_its_folder(tmp_path: Path) -> None:
    project = made(tmp_path / "app")
    made(project / ".git")
    below = made(project / "src" / "deep")

    assert default_output_dir(CONFIG, below) == default_output_dir(CONFIG, project)


def test_the_nearest_project_counts(tmp_path: Path) -> None:
    made(tmp_path / "outer" / ".git")
    inner = made(tmp_path / "outer" / "inner")
    (inner / ".git").write_text("gitdir: elsewhere")  # a worktree or submodule

    assert project_root(made(inner / "src")) == inner
    assert project_root(tmp_path / "outer") == tmp_path / "outer"


def test_without_a_project_the_working_directory_counts(tmp_path: Path) -> None:
    place = made(tmp_path / "loose")

    assert project_root(place) == place
    assert default_output_dir(CONFIG, place).name == f"loose-{twelve(place.resolve())}"


def test_a_project_reached_by_a_link_has_the_same_folder(tmp_path: Path) -> None:
    project = made(tmp_path / "real")
    made(project / ".git")
    link = tmp_path / "link"
    link.symlink_to(project, target_is_directory=True)

    assert default_output_dir(CONFIG, link) == default_output_dir(CONFIG, project)
    assert default_output_dir(CONFIG, link).name.startswith("real-")


def test_projects_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    one, two = made(tmp_path / "a" / "app"), made(tmp_path / "b" / "app")

    assert default_output_dir(CONFIG, one) != default_output_dir(CONFIG, two)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("My App (v2)", "My-App-v2-"),
        ("caf\u00e9", "caf-"),
        ("under_score-dash", "under_score-dash"),
        ("x" * 60, "x" * 40),
        ("a.b.c", "a-b-c"),
        ("\u65e5\u672c", "-"),
    ],
)
def test_a_projects_name_is_cleaned_and_cut_as_the_original_does(
    tmp_path: Path, name: str, cleaned: str
) -> None:
    project = made(tmp_path / name)

    assert default_output_dir(CONFIG, project).name == f"{cleaned}-{twelve(project.resolve())}"


def test_the_root_folder_has_a_hash_alone() -> None:
    if (Path("/") / ".git").exists():
        pytest.skip("the root of this machine is a project")

    assert default_output_dir(CONFIG, Path("/")).name == twelve(Path("/").resolve())


def test_a_folder_that_may_not_be_searched_is_no_project() -> None:
    beyond_the_limits = Path("/") / ("x" * 300) / "work"

    assert project_root(beyond_the_limits) == beyond_the_limits


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec=None)), st.integers(0, 80))
def test_a_slug_is_plain_and_bounded(text: str, limit: int) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]*", slug(text, limit))
    assert len(slug(text, limit)) <= limit
    assert slug(slug(text, limit), limit) == slug(text, limit)


def chosen(asked: str | None, working_dir: Path, *, allow_unsafe: bool = False) -> Path:
    return choose_output_dir(asked, working_dir / "default", working_dir, allow_unsafe=allow_unsafe)


def test_the_folder_asked_for_is_taken(tmp_path: Path, home: Path) -> None:
    assert chosen(None, tmp_path) == tmp_path / "default"
    assert chosen("pictures/today", tmp_path) == tmp_path / "pictures" / "today"
    assert chosen(str(tmp_path / "abs"), Path("/elsewhere")) == tmp_path / "abs"
    assert chosen("~/pictures", tmp_path) == home / "pictures"


@pytest.mark.parametrize(
    "folder", ["/etc", "/etc/sub/dir", "/usr/share", "/proc/1", "/dev/shm", "/boot", "/sys", "/lib", "/bin"]
)
def test_system_folders_are_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(StorageError, match="is a system or credential folder") as caught:
        chosen(folder, tmp_path)
    assert "GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR=1" in caught.value.hint


@pytest.mark.parametrize(
    "folder", ["~/.ssh", "~/.ssh/keys", "~/.gnupg", "~/.aws", "~/.config/gcloud", "~/.kube", "~/.docker"]
)
def test_folders_of_credentials_are_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(StorageError, match="is a system or credential folder"):
        chosen(folder, tmp_path)


def test_a_way_round_through_dots_is_refused(home: Path) -> None:
    made(home / "pictures")

    for folder in ("pictures/../.ssh", "../../../../../../../../../../../../etc"):
        with pytest.raises(StorageError):
            chosen(folder, home)


def test_a_link_into_a_sensitive_folder_is_followed(home: Path) -> None:
    (home / "innocent").symlink_to(made(home / ".ssh"), target_is_directory=True)
    (home / "also").symlink_to("/etc", target_is_directory=True)

    for folder in ("innocent/new", "also"):
        with pytest.raises(StorageError):
            chosen(folder, home)


def test_a_linked_credential_folder_is_refused_where_it_really_is(home: Path, tmp_path: Path) -> None:
    real = made(tmp_path / "vault")
    (home / ".aws").symlink_to(real, target_is_directory=True)

    assert is_sensitive(real / "sub")
    assert is_sensitive(home / ".aws")


@pytest.mark.parametrize("folder", [".sshd", ".config", "etc", "usr/lib", "my.aws"])
def test_folders_with_similar_names_are_fine(home: Path, folder: str) -> None:
    assert chosen(folder, home) == home / folder


def test_a_default_in_a_system_folder_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        choose_output_dir(None, Path("/etc/pictures"), tmp_path, allow_unsafe=False)


def test_the_setting_allows_any_folder(tmp_path: Path) -> None:
    assert chosen("/etc/pictures", tmp_path, allow_unsafe=True) == Path("/etc/pictures")


@pytest.mark.parametrize("allow_unsafe", [False, True])
@pytest.mark.parametrize("asked", ["a\0b", "~there-is-no-such-user/pictures"])
def test_what_cannot_be_a_folder_is_refused_in_a_sentence(
    tmp_path: Path, asked: str, allow_unsafe: bool
) -> None:
    with pytest.raises(StorageError, match=r"^output_dir names no folder"):
        chosen(asked, tmp_path, allow_unsafe=allow_unsafe)


def test_links_in_a_circle_end_in_a_sentence_or_a_path(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    if sys.version_info >= (3, 13):  # such a path is resolved as far as it goes
        assert chosen("a/pictures", tmp_path) == tmp_path / "a" / "pictures"
    else:
        with pytest.raises(StorageError, match=r"^output_dir names no folder"):
            chosen("a/pictures", tmp_path)
