"""Where pictures go: the original server's folders, so that people find them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from gpt_image_2_mcp.errors import StorageError

_DENIED_ROOTS = (
    "/etc",
    "/bin",
    "/sbin",
    "/usr",
    "/lib",
    "/boot",
    "/dev",
    "/proc",
    "/sys",
    "/System",
    "/var/root",
)
_DENIED_WINDOWS = ("C:/Windows", "C:/Program Files", "C:/Program Files (x86)", "C:/ProgramData")
_DENIED_IN_HOME = (".ssh", ".gnupg", ".aws", ".config/gcloud", ".kube", ".docker")


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


def default_output_dir(config_home: Path, working_dir: Path) -> Path:
    """`<config>/gpt-image-2-mcp/output/<project>-<hash>`; the hash is of the project's real path."""
    root = project_root(working_dir).resolve()
    digest = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    name = slug(root.name, 40)
    return config_home / "gpt-image-2-mcp" / "output" / (f"{name}-{digest}" if name else digest)


def choose_output_dir(asked: str | None, default: Path, working_dir: Path, *, allow_unsafe: bool) -> Path:
    """The folder to write to; a relative one counts from the working directory.

    Raises:
        StorageError: a system or credential folder was asked for and that is not allowed, or no path at all.
    """
    try:
        folder = working_dir / Path(asked).expanduser() if asked else default
        refused = is_sensitive(folder) and not allow_unsafe
    except (RuntimeError, ValueError):  # "~name" of a user there is not; links in a circle; a NUL
        raise StorageError("output_dir names no folder that can be.", hint="Give an absolute path.") from None
    if refused:
        raise StorageError(
            f"{folder} is a system or credential folder, where no picture is written.",
            hint="Choose another output_dir, or set GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR=1 to allow it.",
        )
    return folder


def is_sensitive(folder: Path) -> bool:
    """Whether `folder`, links followed, lies in a system folder or a folder of credentials."""
    home = Path.home()
    denied = [Path(root) for root in (*_DENIED_ROOTS, *_DENIED_WINDOWS)]
    denied += [home / name for name in _DENIED_IN_HOME]
    real = folder.resolve()
    # Both forms of a denied root: on macOS /etc is itself a link to /private/etc.
    return any(real.is_relative_to(root) or real.is_relative_to(root.resolve()) for root in denied)
