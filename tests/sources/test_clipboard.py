"""The clipboard, by fake tools that stand where the system's own would."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gpt_image_2_mcp.errors import InputError
from gpt_image_2_mcp.sources import clipboard as module
from gpt_image_2_mcp.sources.clipboard import Clipboard
from tests.support.pictures import picture

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="the fake tools are scripts with a #! line"),
]


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for fake tools; what they are called with goes to `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "picture").write_bytes(picture())
    return folder


def tool(path: Path, *lines: str) -> None:
    """A tool that runs these lines of shell, in the folder it stands in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    script = ["#!/bin/sh", f'cd "{path.parent}"', 'echo "$@" >> calls', *lines]
    path.write_text("\n".join(script) + "\n")
    path.chmod(0o755)


def path_of(*folders: Path | str) -> str:
    return ":".join(map(str, (*folders, "/usr/bin", "/bin")))


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def wayland(tools: Path) -> Clipboard:
    return Clipboard({"PATH": path_of(tools), "WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux")


async def test_on_wayland_a_picture_is_asked_for_in_a_type_that_is_offered(tools: Path) -> None:
    tool(
        tools / "wl-paste",
        'case "$*" in *--list-types) echo text/html; echo image/webp; echo image/jpeg; exit;; esac',
        "cat picture",
    )
    assert await wayland(tools).read() == picture()
    assert calls(tools) == ["--list-types", "--no-newline --type image/jpeg"]


async def test_on_x11_a_picture_is_asked_for_in_a_type_that_is_offered(tools: Path) -> None:
    tool(
        tools / "xclip",
        'case "$*" in *TARGETS) echo TARGETS; echo image/png; echo UTF8_STRING;; *) cat picture;; esac',
    )
    clipboard = Clipboard({"PATH": path_of(tools), "DISPLAY": ":0"}, "linux")
    assert await clipboard.read() == picture()
    assert calls(tools) == [
        "-selection clipboard -out -target TARGETS",
        "-selection clipboard -out -target image/png",
    ]


async def test_where_the_first_tool_has_nothing_the_other_is_asked(tools: Path) -> None:
    tool(tools / "wl-paste", "exit 1")
    tool(tools / "xclip", 'case "$*" in *TARGETS) echo image/png;; *) cat picture;; esac')
    assert await wayland(tools).read() == picture()


async def test_on_macos_pngpaste_is_asked_where_it_is_installed(tools: Path) -> None:
    tool(tools / "pngpaste", "cat picture")
    tool(tools / "osascript", "exit 1")
    assert await Clipboard({"PATH": path_of(tools)}, "darwin").read() == picture()
    assert calls(tools) == ["-"]


async def test_on_macos_the_systems_own_script_host_writes_it_in_hexadecimal(tools: Path) -> None:
    (tools / "said").write_bytes(
        "\u00abdata PNGf".encode() + picture().hex().upper().encode() + "\u00bb\n".encode()
    )
    tool(tools / "osascript", "cat said")
    clipboard = Clipboard({"PATH": str(tools) + ":/bin"}, "darwin")
    assert await clipboard.read() == picture()
    assert calls(tools) == ["-e the clipboard as \u00abclass PNGf\u00bb"]


async def test_on_windows_the_systems_own_powershell_writes_it_in_base64(tools: Path, tmp_path: Path) -> None:
    import base64

    folder = tmp_path / "Windows" / "System32" / "WindowsPowerShell" / "v1.0"
    tool(folder / "powershell.exe", "cat said")
    (folder / "said").write_bytes(base64.b64encode(picture()))
    clipboard = Clipboard({"PATH": path_of(), "SYSTEMROOT": str(tmp_path / "Windows")}, "win32")
    assert await clipboard.read() == picture()
    assert calls(folder)[0].startswith("-NoProfile -NonInteractive -STA -Command Add-Type")


@pytest.mark.parametrize(
    "lines",
    [
        ["echo text/plain"],
        ["exit 1"],
        ['case "$*" in *--list-types) echo image/png;; *) exit 1;; esac'],
        ['case "$*" in *--list-types) echo image/png;; *) ;; esac'],
    ],
    ids=["text", "nothing", "gone meanwhile", "empty"],
)
async def test_a_clipboard_without_a_picture_is_told(tools: Path, lines: list[str]) -> None:
    tool(tools / "wl-paste", *lines)
    with pytest.raises(InputError, match="The clipboard holds no picture") as caught:
        await wayland(tools).read()
    assert "Copy the picture itself" in caught.value.hint


async def test_text_on_a_macs_clipboard_is_no_picture(tools: Path) -> None:
    tool(tools / "osascript", 'echo "execution error: Can\'t make some data into the expected type."')
    with pytest.raises(InputError, match="holds no picture"):
        await Clipboard({"PATH": str(tools) + ":/bin"}, "darwin").read()


@pytest.mark.parametrize(
    ("platform", "environment", "names"),
    [
        ("linux", {}, "wl-paste"),
        ("linux", {"DISPLAY": ":0"}, "xclip"),
        ("linux", {"WAYLAND_DISPLAY": "w"}, "wl-paste"),
        ("darwin", {}, "osascript"),
    ],
)
async def test_a_machine_without_the_tools_says_which_it_would_take(
    tools: Path, platform: str, environment: dict[str, str], names: str
) -> None:
    clipboard = Clipboard({"PATH": str(tools), **environment}, platform)
    with pytest.raises(InputError, match="cannot be read on this machine") as caught:
        await clipboard.read()
    assert names in caught.value.hint


async def test_a_windows_without_powershell_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The clipboard cannot be read \(No such file"):
        await Clipboard({"SYSTEMROOT": str(tmp_path)}, "win32").read()


async def test_a_tool_in_the_working_directory_is_not_run(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tools / "xclip", "cat picture")
    monkeypatch.chdir(tools)
    for relative in (".", "", "bin/.."):
        clipboard = Clipboard({"PATH": f"{relative}:/nowhere", "DISPLAY": ":0"}, "linux")
        with pytest.raises(InputError, match="cannot be read on this machine"):
            await clipboard.read()
    assert not (tools / "calls").exists()


async def test_a_tool_that_hangs_is_ended(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WITHIN_S", 0.2)
    tool(tools / "wl-paste", "exec sleep 60")
    with pytest.raises(InputError, match="did not answer within"):
        await wayland(tools).read()


async def test_a_tool_that_writes_without_end_is_ended(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_OUTPUT", 100_000)
    tool(tools / "pngpaste", "exec cat /dev/zero")
    with pytest.raises(InputError, match="larger than 50 MB"):
        await Clipboard({"PATH": path_of(tools)}, "darwin").read()


async def test_a_tool_sees_the_environment_it_was_given_and_no_more(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    tool(tools / "pngpaste", "env > seen", "cat picture")
    await Clipboard({"PATH": path_of(tools), "LANG": "C"}, "darwin").read()
    names = {line.partition("=")[0] for line in (tools / "seen").read_text().splitlines()}
    assert "A_SECRET" not in names
    assert {"PATH", "LANG"} <= names
