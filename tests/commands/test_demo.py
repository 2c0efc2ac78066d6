from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.support.pictures import opened


def demo(*arguments: str) -> str:
    command = [sys.executable, "-m", "gpt_image_2_mcp", "demo", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_demo_makes_four_pictures_over_stdio_and_says_where_they_are(home: Path) -> None:
    said = demo("--output-dir", "demo")
    paths = [Path(found) for found in re.findall(r"  - (\S+\.png) \(", said)]
    assert [path.parent for path in paths] == [home / "demo"] * 4
    sizes = [opened(path.read_bytes()).size for path in paths]
    assert sizes == [(1536, 1024), (1024, 1024), (1536, 1024), (1536, 1024)]
    assert [path.name.split("-")[0] for path in paths] == ["image", "edit", "session", "session"]
    assert said.count("- Applied: size=") == 4
    assert said.count("Would have cost (sandbox, nothing was billed): $0.") == 4


def test_the_demo_tells_scripts_what_each_call_gave(home: Path) -> None:
    told = json.loads(demo("--output-dir", "demo", "--json"))
    tools = ["generate_image", "edit_image", "start_edit_session", "continue_edit_session"]
    assert [step["tool"] for step in told["steps"]] == tools
    paths = [Path(image["file_path"]) for step in told["steps"] for image in step["result"]["images"]]
    assert [path.parent for path in paths if path.is_file()] == [home / "demo"] * 4
    assert told["steps"][1]["arguments"]["images"] == [str(paths[0])]
    assert all(step["result"]["sandbox"] for step in told["steps"])
    assert told["protocol_version"] >= "2025-11-25"
