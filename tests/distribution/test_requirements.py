"""What is installed: bounded in pyproject.toml, pinned by hash in requirements/."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
RUNTIME: Final = [*map(Requirement, DOCUMENT["project"]["dependencies"])]
DEV: Final = [*map(Requirement, DOCUMENT["project"]["optional-dependencies"]["dev"])]
FILES: Final = sorted((ROOT / "requirements").glob("*.txt"))
LOCKS: Final = sorted((ROOT / "tests").glob("*/package-lock.json"))
NAMED: Final = {"runtime.txt": RUNTIME, "dev.txt": [*RUNTIME, *DEV]}


@dataclass(frozen=True)
class Pin:
    """One entry of a file that uv has compiled."""

    requirement: Requirement
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]

    @property
    def version(self) -> Version:
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return Version(specifier.version)


def pins(path: Path) -> Iterator[Pin]:
    for entry in re.split(r"^(?=\S)", path.read_text("utf-8"), flags=re.MULTILINE):
        if entry and not entry.startswith("#"):
            head, *rest = entry.splitlines()
            hashes = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", entry)
            comments = [line.strip().removeprefix("#").strip() for line in rest if "#" in line]
            wanted_by = tuple(word for line in comments if (word := line.removeprefix("via").strip()))
            yield Pin(Requirement(head.removesuffix("\\").strip()), tuple(hashes), wanted_by)


@pytest.mark.parametrize("requirement", [*RUNTIME, *DEV], ids=str)
def test_every_dependency_is_bounded_by_its_next_major(requirement: Requirement) -> None:
    """Two of eight comparable servers did not start any more because the SDK under them had moved on."""
    assert any(specifier.operator == "<" for specifier in requirement.specifier)
    assert any(specifier.operator == ">=" for specifier in requirement.specifier)


def test_the_builds_backend_is_bounded_too() -> None:
    for text in DOCUMENT["build-system"]["requires"]:
        assert {specifier.operator for specifier in Requirement(text).specifier} == {">=", "<"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_pin_is_exact_and_hashed_and_names_no_host(path: Path) -> None:
    assert "://" not in path.read_text("utf-8")
    entries = list(pins(path))
    assert len(entries) > 10
    for pin in entries:
        assert pin.version.release
        assert pin.hashes, pin.requirement.name
        assert pin.requirement.url is None


@pytest.mark.parametrize("name", NAMED)
def test_the_pins_are_what_pyproject_asks_for(name: str) -> None:
    """Where this fails, the README says under Development how to compile them anew."""
    found = {canonicalize_name(pin.requirement.name): pin for pin in pins(ROOT / "requirements" / name)}
    for requirement in NAMED[name]:
        pin = found[canonicalize_name(requirement.name)]
        assert pin.version in requirement.specifier, requirement
        assert pin.requirement.marker is None, requirement
    own = {each for each, pin in found.items() if any("pyproject.toml" in word for word in pin.wanted_by)}
    assert own == {canonicalize_name(requirement.name) for requirement in NAMED[name]}


@pytest.mark.parametrize("name", NAMED)
def test_every_pin_is_wanted_by_a_pin_or_by_the_package(name: str) -> None:
    entries = list(pins(ROOT / "requirements" / name))
    names = {canonicalize_name(pin.requirement.name) for pin in entries} | {"gpt-image-2-mcp"}
    for pin in entries:
        assert pin.wanted_by, pin.requirement.name
        for word in pin.wanted_by:
            assert canonicalize_name(word.split(" ")[0]) in names, pin.requirement.name


def test_developers_run_on_what_users_run_on() -> None:
    runtime, dev = (
        {pin.requirement.name: pin.version for pin in pins(ROOT / "requirements" / name)} for name in NAMED
    )
    assert runtime.items() <= dev.items()


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.parent.name)
def test_every_program_of_npm_is_pinned_and_hashed_and_names_no_host(path: Path) -> None:
    wanted = json.loads((path.parent / "package.json").read_text("utf-8"))["dependencies"]
    packages = json.loads(path.read_text("utf-8"))["packages"]
    own = packages.pop("")
    assert own["dependencies"] == wanted
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
