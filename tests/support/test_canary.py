"""The look for leaked keys that follows every test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.canary import leaks

KEY = "sk-proj-another-canary-0123456789"
ROOT = Path(__file__).parents[2]


def test_a_key_in_a_file_a_name_or_a_text_is_found(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal").write_bytes(b"\x00" + KEY.encode() + b"\xff")
    (tmp_path / f"{KEY}.png").write_bytes(b"")
    (tmp_path / "innocent").write_text("sk-proj-****")

    said = [("Captured log call", f"Authorization: {KEY[:24]}..."), ("Captured stdout call", "nothing")]

    assert set(leaks(tmp_path, said, KEY)) == {
        "Captured log call",
        f"{KEY}.png",
        str(Path("state", "journal")),
    }


def test_a_secret_mounted_as_a_file_is_no_leak(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n")

    assert list(leaks(tmp_path, [], KEY)) == []


def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")

    assert list(leaks(tmp_path, [], KEY)) == []


@pytest.mark.parametrize(
    ("leak", "outcome"),
    [
        ("(tmp_path / 'log').write_text('key=' + CANARY)", "1 error"),
        ("print(CANARY)", "1 error"),
        ("logging.getLogger('anybody').debug('sent %s', CANARY)", "1 error"),
        ("logging.getLogger('anybody').debug('sent nothing')", "1 passed in"),
    ],
)
def test_a_test_that_leaks_the_key_fails(leak: str, outcome: str) -> None:
    with TemporaryDirectory() as folder:  # outside of what this very test is looked through for
        inner = Path(folder) / "test_inner.py"
        inner.write_text(
            "import logging\nfrom tests.conftest import *\nfrom tests.support.upstreams import CANARY\n\n\n"
            f"def test_it(tmp_path):\n    {leak}\n"
        )
        options = [
            "-p",
            "tests.conftest",
            "-p",
            "no:cacheprovider",
            "--log-level=DEBUG",
            f"--rootdir={folder}",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, f"--basetemp={folder}/base", inner],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert outcome in done.stdout, done.stderr.replace("CANARY", "...")
