"""The machine: folders and their room, the command, Python and the packages."""

from __future__ import annotations

import errno
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from gpt_image_2_mcp.diagnosis.findings import Finding, Status
from gpt_image_2_mcp.roots import Roots

PACKAGE: Final = "gpt-image-2-mcp"
_SCARCE: Final = 1 << 30
_TOO_LITTLE: Final = 200 << 20
"""A call of ten large pictures takes so much for its answer and its files."""
_BOUND: Final = re.compile(r"(>=|<=|==|!=|<|>|~=)\s*([\w.]+)")


def look_at_folder(name: str, folder: Path, variable: str) -> Iterator[Finding]:
    """Whether `folder` can be written, and whether there is room; it is not made."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    try:
        if not there.is_dir():
            raise NotADirectoryError(0, "a file is in the way")
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"\0" * 4096)
        free = shutil.disk_usage(there).free
    except OSError as error:
        what = f"{folder} cannot be written ({error.strerror or error})."
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = _more_room(variable) if is_full else f"Set {variable} to a folder that you can write."
        yield Finding(f"{name} folder", "fail", what, remedy)
        return
    later = "" if there == folder else f" It is made at the first call, in {there}."
    yield Finding(f"{name} folder", "ok", f"{folder} can be written.{later}")
    yield _room(name, folder, free, variable)


def _room(name: str, folder: Path, free: int, variable: str) -> Finding:
    status: Status = "fail" if free < _TOO_LITTLE else "warn" if free < _SCARCE else "ok"
    remedy = "" if status == "ok" else _more_room(variable)
    return Finding(f"{name} room", status, f"{_size(free)} are free for {folder}.", remedy)


def _more_room(variable: str) -> str:
    return f"Make room there, or set {variable} to a folder on another disk."


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{count >> 20} MB"


def look_at_roots(reading: Roots, writing: Roots, named: Iterable[Path]) -> Iterator[Finding]:
    """The folders that are open to callers, and those that a person named though they are not there."""
    missing = [str(folder) for folder in named if not folder.is_dir()]
    if missing:
        what = f"GPT_IMAGE_2_INPUT_ROOTS names what is no folder: {', '.join(missing)}."
        yield Finding("roots", "warn", what, "Correct it in the client's configuration.")
    else:
        yield Finding("roots", "ok", f"Pictures are read below {reading}; they are written below {writing}.")


def look_at_command(found: str | None, own: str) -> Iterator[Finding]:
    """Whether a client that goes by PATH finds the command."""
    if found:
        yield Finding("command", "ok", f"{PACKAGE} is on the PATH: {found}.")
        return
    what = f"{PACKAGE} is not on the PATH; this is {own}."
    remedy = f"Give clients its absolute path, as `{PACKAGE} config CLIENT` does."
    yield Finding("command", "warn", what, remedy)


def look_at_python(version: tuple[int, ...], wanted: str) -> Iterator[Finding]:
    """Python, against what the package asks for."""
    said = ".".join(map(str, version))
    if _fits(said, wanted):
        yield Finding("python", "ok", f"Python {said} at {sys.executable}.")
    else:
        yield Finding("python", "fail", f"Python {said} is not {wanted}.", "Install it with another Python.")


def look_at_packages(requirements: Iterable[str], installed: Mapping[str, str | None]) -> Iterator[Finding]:
    """Packages, against the bounds within which they were tried."""
    wrong = [said for each in requirements if (said := _misfit(each, installed))]
    if wrong:
        remedy = f"Install {PACKAGE} anew into an environment of its own: uv tool install or pipx install."
        yield Finding("packages", "fail", f"{'; '.join(wrong)}.", remedy)
    else:
        yield Finding("packages", "ok", f"All {len(installed)} packages are of versions that fit.")


def _misfit(requirement: str, installed: Mapping[str, str | None]) -> str:
    name, bounds = requirement_of(requirement)
    version = installed.get(name)
    if version is None:
        return f"{name} is missing"
    return "" if _fits(version, bounds) else f"{name} is {version}, not {bounds}"


def requirement_of(text: str) -> tuple[str, str]:
    """The name and the bounds of a requirement without a marker."""
    found = re.match(r"[\w.-]+", text)
    name = found[0] if found else text
    return name, text[len(name) :].partition(";")[0].strip()


def _fits(version: str, bounds: str) -> bool:
    """Numbers alone are compared, which is all that our own bounds have."""
    has = _numbers(version)
    compared = {
        ">=": lambda bound: has >= bound,
        "<": lambda bound: has < bound,
        ">": lambda bound: has > bound,
        "<=": lambda bound: has <= bound,
    }
    return all(compared[sign](_numbers(text)) for sign, text in _BOUND.findall(bounds) if sign in compared)


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:  # 3.0 is 3
        numbers.pop()
    return tuple(numbers)


def wanted_python() -> str:
    """The bounds of Python as this package was built with."""
    return metadata.metadata(PACKAGE)["Requires-Python"]


def wanted_packages() -> list[str]:
    """The requirements of this package, without those of its extras."""
    return [each for each in metadata.requires(PACKAGE) or [] if "extra ==" not in each]


def installed_version(name: str) -> str | None:
    """The version of a package; None if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
