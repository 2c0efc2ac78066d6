"""What every test gets: asyncio, an empty environment, a home of its own, and a look for leaked keys."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest

from tests.support.canary import leaks
from tests.support.pictures import picture
from tests.support.services import Bench


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


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A service to be opened on a folder with one picture in it."""
    (tmp_path / "sketch.png").write_bytes(picture())
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that left the key in a file, or that printed or logged it; loggers are at DEBUG."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "teardown" and report.passed and folder is not None:
        found = list(leaks(folder, report.sections))
        if found:
            report.outcome, report.longrepr = "failed", f"the key stands in: {', '.join(found)}"
    return report
