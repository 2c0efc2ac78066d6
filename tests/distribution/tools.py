"""What scripts/package has installed and built, for the tests beside it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

from tests.support.installed import ROOT, installed

PACKAGING: Final = ROOT / ".packaging"


def tool(name: str) -> Path:
    """A program of requirements/packaging.txt."""
    return installed(PACKAGING / "tools" / "bin" / name, "scripts/package")


def npm_tool(name: str) -> Path:
    """A program of package-lock.json."""
    return installed(PACKAGING / "node_modules" / ".bin" / name, "scripts/package")


def built(pattern: str) -> Path:
    """The one file in dist/ that `pattern` finds."""
    (file,) = sorted((ROOT / "dist").glob(pattern)) or [ROOT / "dist" / pattern]
    return installed(file, "scripts/package")


def environment(home: Path) -> dict[str, str]:
    """That of a user whose uv knows what scripts/package has fetched, and asks nobody for more."""
    path = os.pathsep.join((str(PACKAGING / "tools" / "bin"), os.environ["PATH"]))  # noqa: TID251 - for a child
    return {
        "PATH": path,
        "HOME": str(home),
        "UV_CACHE_DIR": str(PACKAGING / "uv"),
        "UV_OFFLINE": "1",
        "UV_PYTHON": str(PACKAGING / "tools" / "bin" / "python"),
    }


def said(home: Path, *command: str | Path) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
