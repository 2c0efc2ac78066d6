"""Where pictures go: the original server's folders, so that people find them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path


def slug(text: str, limit: int) -> str:
    """`text` with every run outside `[a-zA-Z0-9_-]` as one `-`, at most `limit` characters."""
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", text)[:limit]


def project_root(working_dir: Path) -> Path:
    """The nearest folder upwards that holds `.git`, else `working_dir`; git itself is not run."""
    for folder in (working_dir, *working_dir.parents):
        if _exists(folder / ".git"):
            return folder
    return working_dir


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder above that may not be searched
        return False


def output_tree(config_home: Path) -> Path:
    """The folder that holds the folders of all projects."""
    return config_home / "gpt-image-2-mcp" / "output"


def default_output_dir(config_home: Path, working_dir: Path) -> Path:
    """`<config>/gpt-image-2-mcp/output/<project>-<hash>`; the hash is of the project's real path."""
    root = project_root(working_dir).resolve()
    digest = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = slug(root.name, 40)
    return output_tree(config_home) / (f"{name}-{digest}" if name else digest)
