"""The release: who holds a credential runs nothing of ours, and every action is pinned."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.installed import ROOT

WORKFLOWS: Final = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE: Final = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")


def jobs() -> dict[str, str]:
    """The text of each job of the release, by its name."""
    _, *parts = re.split(r"^  (\w+):.*\n", RELEASE.partition("\njobs:\n")[2], flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_no_job_with_a_credential_runs_our_code_or_a_package_manager() -> None:
    holders = {name for name, text in jobs().items() if ": write" in text}
    assert holders == {"pypi", "github", "registry"}
    for name in holders:
        assert not re.search(r"scripts/|\.ci/|\b(?:pip|npm|npx|uv|python3?)\b ", jobs()[name]), name
        assert re.search(r"^    environment: [\w-]+$", jobs()[name], re.MULTILINE), name


def test_nothing_is_released_before_the_gate_and_the_build() -> None:
    needs = {name: re.findall(r"^    needs: (\w+)$", text, re.MULTILINE) for name, text in jobs().items()}
    assert needs == {
        "gate": [],
        "build": ["gate"],
        "pypi": ["build"],
        "github": ["pypi"],
        "registry": ["pypi"],
    }


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_hash_and_say_their_version(path: Path) -> None:
    uses = re.findall(r"uses: (.+)$", path.read_text("utf-8"), re.MULTILINE)
    assert uses
    for each in uses:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def test_the_scripts_that_the_workflows_run_are_there() -> None:
    for name in re.findall(r"run: (\.ci/\w+|scripts/\w+)", RELEASE):
        assert os.access(ROOT / name, os.X_OK), name
