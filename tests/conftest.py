"""What every test gets: asyncio, an empty environment, a home of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HOME, also the working directory; no setting of the developer's machine reaches a test."""
    for name in list(os.environ):  # noqa: TID251 - emptied here so that settings.py reads nothing
        if name.startswith(("OPENAI_", "GPT_IMAGE_2_", "XDG_")):
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder
