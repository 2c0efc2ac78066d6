"""Reads the picture on the clipboard by the system's own tools, which are run without a shell and bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from shutil import which
from subprocess import DEVNULL, PIPE
from typing import Final

import anyio
import pybase64

from gpt_image_2_mcp.capabilities import MAX_INPUT_BYTES
from gpt_image_2_mcp.errors import InputError

WITHIN_S: Final = 10
"""How long a tool may take: an application that owns the clipboard may have to draw the picture first."""
_TYPES: Final = ("image/png", "image/jpeg", "image/webp")
_MAX_OUTPUT: Final = 2 * MAX_INPUT_BYTES + 4096
"""osascript writes two digits a byte."""
_APPLESCRIPT: Final = "the clipboard as \u00abclass PNGf\u00bb"
_APPLE_DATA: Final = re.compile(rb"\xc2\xabdata PNGf([0-9A-F]*)\xc2\xbb\s*")
_POWERSHELL: Final = (
    "Add-Type -AssemblyName System.Windows.Forms, System.Drawing;"
    "$picture = [Windows.Forms.Clipboard]::GetImage();"
    "if ($null -eq $picture) { exit 3 };"
    "$memory = New-Object IO.MemoryStream;"
    "$picture.Save($memory, [Drawing.Imaging.ImageFormat]::Png);"
    "[Console]::Out.Write([Convert]::ToBase64String($memory.ToArray()))"
)

_EMPTY: Final = "Copy the picture itself, not its file, or give its path; nothing was sent."


@dataclass(frozen=True, slots=True)
class Clipboard:
    """The clipboard of whoever sits here. `environment` is for the tools; `platform` is named as in `sys`."""

    environment: Mapping[str, str]
    platform: str

    async def read(self) -> bytes:
        """The picture on it.

        Raises:
            InputError: there is none, it is too large, or no tool is there to ask.
        """
        ways = {"win32": self._from_windows, "darwin": self._from_macos}
        picture = await ways.get(self.platform, self._from_linux)()
        if not picture:
            raise InputError("The clipboard holds no picture.", hint=_EMPTY)
        return picture

    async def _from_linux(self) -> bytes:
        """By Wayland's tool, and by that of X11 where the former has nothing: many sessions have both."""
        ways: list[tuple[list[str], list[str]]] = []
        if "WAYLAND_DISPLAY" in self.environment and (tool := self._tool("wl-paste")):
            ways.append(([tool, "--list-types"], [tool, "--no-newline", "--type"]))
        if "DISPLAY" in self.environment and (tool := self._tool("xclip")):
            ask = [tool, "-selection", "clipboard", "-out", "-target"]
            ways.append(([*ask, "TARGETS"], ask))
        for list_types, read_type in ways:
            if picture := await self._typed(list_types, read_type):
                return picture
        if ways:
            return b""
        # Clients that start servers with few variables leave these out.
        raise _no_tool(
            "wl-paste (package wl-clipboard) with WAYLAND_DISPLAY and XDG_RUNTIME_DIR, or xclip with DISPLAY,"
            " in this server's environment"
        )

    async def _from_macos(self) -> bytes:
        if tool := self._tool("pngpaste"):
            return await self._run([tool, "-"])
        if tool := self._tool("osascript"):
            found = _APPLE_DATA.fullmatch(await self._run([tool, "-e", _APPLESCRIPT]))
            return bytes.fromhex(found[1].decode()) if found else b""
        raise _no_tool("osascript or pngpaste")

    async def _from_windows(self) -> bytes:
        # By its path: Windows would look for the name in the working directory first.
        system = self.environment.get("SYSTEMROOT", r"C:\Windows")
        tool = str(PurePath(system, "System32", "WindowsPowerShell", "v1.0", "powershell.exe"))
        said = await self._run([tool, "-NoProfile", "-NonInteractive", "-STA", "-Command", _POWERSHELL])
        return pybase64.b64decode(said)

    async def _typed(self, list_types: Sequence[str], read_type: Sequence[str]) -> bytes:
        offered = (await self._run(list_types)).decode("utf-8", "replace").split()
        type_ = next((type_ for type_ in _TYPES if type_ in offered), None)
        return await self._run([*read_type, type_]) if type_ else b""

    def _tool(self, name: str) -> str | None:
        """Where a tool is; a relative entry of PATH would lead into the working directory."""
        folders = self.environment.get("PATH", "").split(":")
        return which(name, path=":".join(folder for folder in folders if PurePath(folder).is_absolute()))

    async def _run(self, command: Sequence[str]) -> bytes:
        """What a tool writes; nothing if it fails, for then it has no picture to give."""
        output = bytearray()
        try:
            with anyio.fail_after(WITHIN_S):
                async with await anyio.open_process(
                    command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=self.environment
                ) as process:
                    assert process.stdout is not None  # noqa: S101 - it was asked for
                    async for chunk in process.stdout:
                        output += chunk
                        if len(output) > _MAX_OUTPUT:
                            process.kill()
                            raise InputError("The picture on the clipboard is larger than 50 MB.")
                    status = await process.wait()
        except TimeoutError:
            raise InputError(f"The clipboard did not answer within {WITHIN_S} s.", hint=_EMPTY) from None
        except OSError as error:
            raise InputError(f"The clipboard cannot be read ({error.strerror}).", hint=_EMPTY) from None
        return bytes(output) if status == 0 else b""


def _no_tool(names: str) -> InputError:
    return InputError(
        "The clipboard cannot be read on this machine.", hint=f"It takes {names}; or give the picture's path."
    )
