"""Stores that are closed when the test is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stores.samples import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "new" / "state"
