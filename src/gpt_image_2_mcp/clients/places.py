"""The folders of a person that clients keep their configuration in, for each system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

System = Literal["linux", "macos", "windows"]
VARIABLES: Final = ("CLAUDE_CONFIG_DIR", "CODEX_HOME")
"""By which a person moves a client's folder."""


@dataclass(frozen=True, slots=True)
class Places:
    """Folders as this person has them.

    config: `~/.config` or what XDG_CONFIG_HOME says; on Windows `%APPDATA%`
    project: the folder of the project, for clients that have a file in it
    moved: those of VARIABLES that are set
    """

    system: System
    home: Path
    config: Path
    project: Path
    moved: Mapping[str, Path] = field(default_factory=dict)

    @property
    def applications(self) -> Path:
        """Where applications with a window keep their settings."""
        return self.home / "Library" / "Application Support" if self.system == "macos" else self.config

    def moved_or(self, variable: str, usual: Path) -> Path:
        """The folder that `variable` names, if it is set."""
        return self.moved.get(variable, usual)


def system_of(platform: str) -> System:
    """The system that `sys.platform` is a name for."""
    return {"darwin": "macos", "win32": "windows"}.get(platform, "linux")  # type: ignore[return-value]
