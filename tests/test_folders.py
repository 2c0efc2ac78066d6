"""Where pictures go: the original server's folders."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.folders import default_output_dir, output_tree, project_root, slug

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
    assert folder.parent == output_tree(CONFIG)


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
