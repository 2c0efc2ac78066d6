from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.pictures import opened


def test_the_demo_makes_four_pictures_over_stdio_and_says_where_they_are(home: Path) -> None:
    command = [sys.executable, "-m", "gpt_image_2_mcp", "demo", "--output-dir", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    paths = [Path(found) for found in re.findall(r"  - (\S+\.png) \(", done.stdout)]
    assert [path.parent for path in paths] == [home / "demo"] * 4
    sizes = [opened(path.read_bytes()).size for path in paths]
    assert sizes == [(1536, 1024), (1024, 1024), (1536, 1024), (1536, 1024)]
    assert [path.name.split("-")[0] for path in paths] == ["image", "edit", "session", "session"]
    assert done.stdout.count("- Applied: size=") == 4
    assert done.stdout.count("Would have cost (sandbox, nothing was billed): $0.") == 4
