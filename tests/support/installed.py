"""Programs of other people that a script has installed beside the project."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]


def installed(path: Path, script: str) -> Path:
    """`path`, if it is there; without it a test is skipped, but not in CI."""
    if not path.exists():
        missing = f"{path} is not there: run {script}"
        if os.environ.get("CI") == "true":  # noqa: TID251 - asked of the machine, not of the product
            pytest.fail(missing)
        pytest.skip(missing)
    return path
