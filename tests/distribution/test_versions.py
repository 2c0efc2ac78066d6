"""One version, wherever it stands."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import manifests

ROOT: Final = Path(__file__).resolve().parents[2]
PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def versions(value: Any) -> Iterator[str]:
    """Every `version` in a JSON document."""
    match value:
        case dict():
            yield from (each for key, each in value.items() if key == "version")
            yield from (found for each in value.values() for found in versions(each))
        case list():
            yield from (found for each in value for found in versions(each))


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("server.json", 2),
        ("manifest.json", 1),
        (".claude-plugin/plugin.json", 1),
        (".claude-plugin/marketplace.json", 1),
        ("plugin.json", 1),
        ("mcp.json", 0),
        ("gemini-extension.json", 1),
    ],
)
def test_each_manifest_has_the_packages_version(name: str, places: int) -> None:
    found = list(versions(json.loads((ROOT / name).read_text("utf-8"))))
    assert found == [PROJECT["version"]] * places


def test_no_manifest_is_left_out_above() -> None:
    (cases,) = test_each_manifest_has_the_packages_version.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _ in cases.args[1]} == set(manifests.manifests(ROOT))


def test_the_version_is_of_three_numbers_as_registries_want_it() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", PROJECT["version"])
