"""What is in the files that scripts/package builds: the package whole, and nothing else."""

from __future__ import annotations

import configparser
import json
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path, PurePosixPath
from typing import Final

from packaging.requirements import Requirement

from tests.distribution.tools import built
from tests.support.installed import ROOT

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
INFO: Final = f"gpt_image_2_mcp-{PROJECT['version']}.dist-info"
DOCUMENTS: Final = {
    *(".env.example", ".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "SECURITY.md"),
    "pyproject.toml",
}


def package() -> set[str]:
    """Every file of the package, from its own folder on."""
    source = ROOT / "src"
    files = (path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(source).as_posix() for path in files}


def sdist() -> set[str]:
    with tarfile.open(built("*.tar.gz")) as archive:
        names = [PurePosixPath(member.name) for member in archive.getmembers() if member.isfile()]
    return {name.relative_to(name.parts[0]).as_posix() for name in names}


def documents(names: set[str]) -> set[str]:
    """Those among the names that are not of the package."""
    return {name for name in names if not name.startswith("src/")}


def written() -> set[str]:
    return {f"docs/{path.name}" for path in (ROOT / "docs").iterdir()}


def test_the_wheel_holds_the_package_and_its_licence() -> None:
    with zipfile.ZipFile(built("*.whl")) as wheel:
        names = set(wheel.namelist())
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    assert names == package() | {f"{INFO}/{name}" for name in about}
    assert "gpt_image_2_mcp/py.typed" in names


def test_the_wheel_says_what_it_is_and_what_it_needs() -> None:
    with zipfile.ZipFile(built("*.whl")) as wheel:
        metadata = message_from_bytes(wheel.read(f"{INFO}/METADATA"))
        scripts = configparser.ConfigParser()
        scripts.read_string(wheel.read(f"{INFO}/entry_points.txt").decode())
    assert (metadata["Version"], metadata["License-Expression"]) == (PROJECT["version"], "MIT")
    needed = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    assert {each for each in needed if each.marker is None} == {*map(Requirement, PROJECT["dependencies"])}
    assert scripts["console_scripts"]["gpt-image-2-mcp"] == "gpt_image_2_mcp.cli:main"


def test_the_sdist_holds_what_the_wheel_is_made_of_and_what_the_readme_leads_to() -> None:
    names = sdist()
    assert {name for name in names if name.startswith("src/")} == {f"src/{name}" for name in package()}
    assert documents(names) == DOCUMENTS | written()


def test_the_bundle_is_the_sdist_with_its_manifest() -> None:
    with zipfile.ZipFile(built("*.mcpb")) as bundle:
        names = {name for name in bundle.namelist() if not name.endswith("/")}
        manifest = json.loads(bundle.read("manifest.json"))
    assert {name for name in names if name.startswith("src/")} == {f"src/{name}" for name in package()}
    assert documents(names) - {"manifest.json", manifest["icon"]} == documents(sdist()) - {
        ".gitignore",
        ".env.example",
    }
    assert manifest["version"] == PROJECT["version"]
    assert manifest["server"]["entry_point"] in names


def test_nothing_built_holds_the_path_of_the_machine_that_built_it() -> None:
    for pattern in ("*.whl", "*.mcpb"):
        with zipfile.ZipFile(built(pattern)) as archive:
            for name in archive.namelist():
                assert str(Path.home()).encode() not in archive.read(name), name
                assert str(ROOT).encode() not in archive.read(name), name
