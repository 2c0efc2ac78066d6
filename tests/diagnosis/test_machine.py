"""Versions against bounds, folders, and the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.diagnosis.machine import (
    installed_version,
    look_at_command,
    look_at_folder,
    look_at_packages,
    look_at_python,
    look_at_roots,
    requirement_of,
    wanted_packages,
    wanted_python,
)
from gpt_image_2_mcp.roots import Roots


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("2.3", ">=2.3,<3", True),
        ("2.3.0", ">=2.3,<3", True),
        ("2.10.1", ">=2.3,<3", True),
        ("2.2.9", ">=2.3,<3", False),
        ("3.0", ">=2.3,<3", False),
        ("3", "<3.0", False),
        ("2.9.post1", "<=3,>2", True),
        ("0.0.20", "<1,>=0.0.20", True),
        ("1.0rc1", "", True),
    ],
)
def test_versions_are_compared_number_by_number(version: str, bounds: str, fits: bool) -> None:
    (found,) = look_at_packages([f"it{bounds}"], {"it": version})
    assert (found.status == "ok") == fits


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=4), st.lists(st.integers(0, 30), min_size=1, max_size=4)
)
def test_a_version_is_below_a_bound_or_at_least_that(one: list[int], other: list[int]) -> None:
    version, bound = ".".join(map(str, one)), ".".join(map(str, other))
    below = look_at_packages([f"it<{bound}"], {"it": version})
    above = look_at_packages([f"it>={bound}"], {"it": version})
    assert {found.status for found in (*below, *above)} == {"ok", "fail"}


def test_a_package_that_is_missing_is_named() -> None:
    (found,) = look_at_packages(["it>=1"], {"it": None})
    assert found.what == "it is missing."
    assert installed_version("there-is-no-such-package") is None


def test_our_own_requirements_are_read_without_those_for_development() -> None:
    names = [requirement_of(each)[0] for each in wanted_packages()]
    assert "mcp" in names
    assert "pytest" not in names
    assert all(requirement_of(each)[1] for each in wanted_packages())
    assert wanted_python() == ">=3.11"


def test_an_old_python_fails() -> None:
    assert [f.status for f in look_at_python((3, 10, 14), ">=3.11")] == ["fail"]
    assert [f.status for f in look_at_python((3, 13, 0), ">=3.11")] == ["ok"]


def test_the_command_is_on_the_path_or_its_place_is_told() -> None:
    assert [f.status for f in look_at_command("/bin/gpt-image-2-mcp", "it")] == ["ok"]
    (found,) = look_at_command(None, "/opt/it")
    assert (found.status, "/opt/it" in found.what) == ("warn", True)


def test_a_folder_that_is_not_there_is_not_made(home: Path) -> None:
    found = list(look_at_folder("output", home / "a" / "b", "VARIABLE"))
    assert found[0].status == "ok"
    assert f"in {home}" in found[0].what
    assert list(home.iterdir()) == []


def test_roots_that_a_person_named_should_be_there(home: Path) -> None:
    roots = Roots.of(home)
    (found,) = look_at_roots(roots, roots, [home / "gone"])
    assert (found.status, "gone" in found.what) == ("warn", True)
    assert [f.status for f in look_at_roots(roots, roots, [home])] == ["ok"]
