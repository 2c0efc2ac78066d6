"""That the benchmarks work; how fast anything is depends on the machine, and is no test."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.rows import BARE, OTHER, OURS

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at through /proc")


def ran(folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """The figures of a quick run, and what it printed."""
    told = folder / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--json", str(told), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},  # noqa: TID251 - to start a child
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(told.read_text()), done.stdout


def test_the_one_command_compares_servers_and_writes_what_it_found(tmp_path: Path) -> None:
    other = shlex.join([sys.executable, "-m", "gpt_image_2_mcp"])
    report, said = ran(tmp_path, "--against", other, "--only", "starts", "crowds")
    rows = {row["name"]: row for row in report["rows"]}
    assert rows["tools/list"]["ratio"] == 1
    assert rows["cold start"]["medians"].keys() == {OURS, BARE, OTHER}
    assert rows["12 slow bodies, wall"]["medians"].keys() == {OURS, OTHER}
    assert "cold start, ms" in said
    assert report["own"].keys() == {
        "first call after a rest, ms",
        "memory once it was called, MiB",
        "exit once it was called, ms",
    }


def test_figures_of_our_own_need_no_other_server(tmp_path: Path) -> None:
    report, _ = ran(tmp_path, "--only", "calls", "memory", "states", "leavings", "images")
    assert {row["name"]: row["ratio"] for row in report["rows"]}["1 MB call, CPU"] is None
    assert report["own"].keys() >= {
        "60 MB answer, memory",
        "grown, resources/list, ms",
        "leaving on EOF with a call in flight, ms",
        "preview of a 4K PNG, noise, CPU ms",
    }
