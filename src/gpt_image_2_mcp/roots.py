"""The folders that pictures are read from and written to, and what stays closed even below them."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Final

from gpt_image_2_mcp.errors import StorageError
from gpt_image_2_mcp.folders import output_tree, project_root
from gpt_image_2_mcp.redaction import clean

_SYSTEM: Final = (
    ("C:/Windows", "C:/Program Files", "C:/Program Files (x86)", "C:/ProgramData")
    if os.name == "nt"
    else ("/etc", "/bin", "/sbin", "/usr", "/lib", "/boot", "/dev", "/proc", "/sys", "/System", "/var/root")
)
_BROWSERS: Final = ("Google/Chrome", "Chromium", "BraveSoftware", "Microsoft Edge", "Firefox", "Vivaldi")
_IN_HOME: Final = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".config/gcloud", ".kube", ".docker", ".password-store"),
    *(".config/gh", ".config/op", ".config/rclone", ".config/sops", ".config/1Password", ".terraform.d"),
    *(".local/share/keyrings", ".local/share/kwalletd", ".pki", ".mozilla", ".thunderbird"),
    *(".config/google-chrome", ".config/chromium", ".config/BraveSoftware", ".config/microsoft-edge"),
    *(".config/vivaldi", ".config/opera", "snap/firefox", "snap/chromium", ".var/app/org.mozilla.firefox"),
    *("Library/Keychains", "Library/Cookies", "Library/Safari", "Library/Mail", "Library/Messages"),
    *(f"Library/Application Support/{name}" for name in _BROWSERS),
    *("AppData/Roaming/gnupg", "AppData/Roaming/Mozilla", "AppData/Roaming/gcloud"),
    *(f"AppData/Roaming/Microsoft/{name}" for name in ("Credentials", "Crypto", "Protect", "Vault")),
    *(f"AppData/Local/Microsoft/{name}" for name in ("Credentials", "Vault", "Edge")),
    *("AppData/Local/Google/Chrome", "AppData/Local/Chromium", "AppData/Local/BraveSoftware"),
)
_DEVICES: Final = frozenset(
    [
        *("con", "prn", "aux", "nul", "conin$", "conout$"),
        *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789\u00b9\u00b2\u00b3"),
    ]
)


def closed_folders() -> tuple[str, ...]:
    """System folders and folders of credentials, as they are named and where they really are."""
    homes = {os.fspath(home) for home in (Path.home(), real_path(Path.home()))}
    named = [*_SYSTEM, *(os.path.join(home, name) for home in homes for name in _IN_HOME)]  # noqa: PTH118
    # Both forms: on macOS /etc is itself a link to /private/etc.
    real = [os.path.realpath(folder) for folder in named if os.path.lexists(folder)]
    return tuple(dict.fromkeys(map(_alike, (*named, *real))))


def real_path(path: Path) -> Path:
    """`path` with every link in it followed, as far as it exists. Opens nothing.

    Raises:
        ValueError: it holds a character that no path can hold.
        OSError: a link was taken away while it was looked at.
    """
    real = os.path.realpath(path)
    # POSIX leaves it open what two slashes at the beginning mean; on the systems we know it is one.
    return Path(real.replace("//", "/", 1) if os.name == "posix" and real.startswith("//") else real)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something really is, and the root that it lies below; both are real paths."""

    real: Path
    root: Path


@dataclass(frozen=True, slots=True)
class Roots:
    """Real paths of folders. What is `closed` is open only to a root that itself lies in there."""

    folders: tuple[Path, ...]
    closed: tuple[str, ...] = field(default_factory=closed_folders, repr=False)

    @classmethod
    def of(cls, *folders: Path) -> Roots:
        return cls(tuple(dict.fromkeys(map(real_path, folders))))

    def find(self, path: Path) -> Place | None:
        """Where `path` leads, if that is below a root, whether or not anything is there.

        Raises:
            ValueError, OSError: as `real_path`.
        """
        if not path.is_absolute() or (isinstance(path, PureWindowsPath) and is_trap(path, self.drives)):
            return None
        real = real_path(path)
        roots = [root for root in self.folders if real.is_relative_to(root)]
        return next((Place(real, root) for root in roots if self._is_open(real, root)), None)

    def _is_open(self, real: Path, root: Path) -> bool:
        path, start = _alike(str(real)), _alike(str(root))
        return all(start.startswith(lock) for lock in self.closed if path.startswith(lock))

    @property
    def drives(self) -> frozenset[str]:
        """On Windows, the disks and network shares that the roots are on."""
        return frozenset(folder.drive.casefold() for folder in self.folders)

    def __str__(self) -> str:
        """Their names for a sentence; a root below another one adds nothing."""
        outer = (f for f in self.folders if not any(f != r and f.is_relative_to(r) for r in self.folders))
        return ", ".join(_tilde(folder) for folder in outer) or "there are none"


def _alike(path: str) -> str:
    """Equal for paths that macOS or Windows take for one, which know no case; ends in a slash."""
    return unicodedata.normalize("NFC", path.replace(os.sep, "/")).casefold().rstrip("/") + "/"


def _tilde(folder: Path) -> str:
    home = real_path(Path.home())
    below = folder.is_relative_to(home) and folder != home
    return f"~/{folder.relative_to(home).as_posix()}" if below else str(folder)


def is_trap(path: PureWindowsPath, drives: Collection[str] = ()) -> bool:
    """Whether Windows would take `path` for something else than a file on a disk, or on one of the `drives`.

    Another machine (merely asking it for a file hands it a hash of the password), a device, another stream of
    a file, or a name whose end is dropped.
    """
    names = path.parts[1:] if path.anchor else path.parts
    is_elsewhere = len(path.drive) != 2 and path.drive.casefold() not in drives
    return is_elsewhere or any(map(_is_odd, names))


def _is_odd(name: str) -> bool:
    device = name.partition(".")[0].rstrip(" ").casefold()
    return name != ".." and (":" in name or name != name.rstrip(" .") or device in _DEVICES)


# Which folders are roots


def writing_roots(working_dir: Path, config_home: Path, output_dir: Path | None) -> Iterator[Path]:
    """The folders below which pictures are written. A folder that a person set is taken as it is."""
    if output_dir:
        yield output_dir
    yield output_tree(config_home)
    # In a home that is under version control, the folder one works in is what is meant.
    yield from list(narrow((project_root(working_dir), working_dir)))[:1]
    yield from narrow(_folders_of_people())
    yield from _temporary()


def reading_roots(writing: Iterable[Path], input_roots: Iterable[Path]) -> Iterator[Path]:
    """The folders below which pictures are read: also where Claude Code puts what is pasted into it."""
    yield from writing
    yield Path.home() / ".claude" / "image-cache"
    yield from input_roots


def narrow(folders: Iterable[Path]) -> Iterator[Path]:
    """Without those that hold more than a person means to share: clients start servers in `/` and in `~`."""
    home, closed = real_path(Path.home()), closed_folders()
    for folder in folders:
        real = real_path(folder)
        is_wide = real == Path(real.anchor) or home.is_relative_to(real)
        if not is_wide and not _alike(str(real)).startswith(closed):
            yield folder


def _folders_of_people() -> Iterator[Path]:
    """By their usual names, and as the system calls them: in another language, or on OneDrive."""
    import platformdirs

    yield from (Path.home() / name for name in ("Pictures", "Downloads", "Desktop"))
    yield platformdirs.user_pictures_path()
    yield platformdirs.user_downloads_path()
    yield platformdirs.user_desktop_path()


def _temporary() -> Iterator[Path]:
    with suppress(FileNotFoundError):  # there is none that can be written
        folder = Path(tempfile.gettempdir())
        if folder != Path(folder.anchor):
            yield folder
    if os.name == "posix":
        yield Path("/tmp")  # noqa: S108 - where clients put what is pasted, whatever TMPDIR says


# The folder of a call


@dataclass(frozen=True, slots=True)
class OutputDir:
    """Where a call's pictures go, by the name it was asked for, and the real root that allows it."""

    folder: Path
    root: Path


def choose_output_dir(
    asked: str | None, default: Path, working_dir: Path, roots: Roots, *, allow_unsafe: bool
) -> OutputDir:
    """The folder to write to; a relative one counts from the working directory.

    Raises:
        StorageError: it lies outside the roots and that is not allowed, or it is no path at all.
    """
    folder = folder_of(asked, working_dir) if asked else default
    try:
        # What these lead to is another folder for each process: the worker would not find it.
        is_every_ones_own = os.path.normpath(folder).startswith(("/proc/", "/dev/"))
        place = None if is_every_ones_own else roots.find(folder)
        if place or allow_unsafe:
            return _writable_down(OutputDir(folder, place.root if place else real_path(folder)))
    except (OSError, ValueError):  # a NUL; a link that is taken away at this moment
        raise _no_folder() from None
    raise StorageError(
        f"{clean(str(folder), 300)} is no folder that pictures are written to ({roots}; never folders of "
        "credentials or of the system).",
        hint="Give an output_dir below one of these, name the folder in GPT_IMAGE_2_OUTPUT_DIR, or set "
        "GPT_IMAGE_2_ALLOW_UNSAFE_OUTPUT_DIR=1 to allow any; nothing was sent.",
    )


def _writable_down(chosen: OutputDir) -> OutputDir:
    """`chosen`, where its names are UTF-8: journal and results can hold no others."""
    for path in (chosen.folder, chosen.root):
        try:
            str(path).encode()
        except UnicodeEncodeError:
            told = str(path).encode(errors="replace").decode()
            raise StorageError(
                f"The name of the folder {clean(told, 300)} is not UTF-8.",
                hint="Give an output_dir whose name is, or set GPT_IMAGE_2_OUTPUT_DIR; nothing was sent.",
            ) from None
    return chosen


# Control characters and those that turn text round would forge lines where a path is shown. A URL is no
# folder, nor is what a chat client writes around a picture.
_NO_NAME: Final = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|^\s*([a-z][a-z0-9+.-]+:/|\[image)|^\s+$", re.IGNORECASE
)


def folder_of(asked: str, working_dir: Path) -> Path:
    """The folder that was asked for, as a path.

    Raises:
        StorageError: there can be no such folder.
    """
    if _NO_NAME.search(asked) or ".git" in Path(asked).parts:
        raise _no_folder()
    try:
        return working_dir / Path(asked.strip()).expanduser()
    except (RuntimeError, ValueError):  # "~name" of a user there is not, or that can be none
        raise _no_folder() from None


def _no_folder() -> StorageError:
    return StorageError("output_dir names no folder that can be.", hint="Give an absolute path.")
