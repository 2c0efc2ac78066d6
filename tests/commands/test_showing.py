"""Pictures on the terminal and in the system's viewer."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gpt_image_2_mcp.commands.showing import display, open_in_viewer
from tests.faults.waiting import until
from tests.support.pictures import picture

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the fake viewer is a script with a #! line")


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "a fox; rm.png").write_bytes(picture())
    return str(tmp_path / "a fox; rm.png")


def test_every_picture_is_shown(
    path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("TMUX", raising=False)
    display([path, path])
    assert capsys.readouterr().out.count("\x1b_Ga=T") == 2


def test_a_terminal_that_is_for_text_gets_text(
    path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    display([path])
    assert capsys.readouterr() == ("", "")


def test_a_picture_that_cannot_be_shown_holds_up_no_other(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    (tmp_path / "a.svg").write_text("<svg/>")
    display([str(tmp_path / "a.svg"), path])
    shown = capsys.readouterr()
    assert "a.svg cannot be shown here" in shown.err
    assert "\x1b_Ga=T" in shown.out


@POSIX
@pytest.mark.parametrize(("platform", "name"), [("linux", "xdg-open"), ("darwin", "open")])
def test_the_systems_viewer_gets_the_path_as_one_word_and_no_secret(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, name: str
) -> None:
    said = tmp_path / "said"
    tool = tmp_path / "bin" / name
    tool.parent.mkdir()
    tool.write_text(
        f'#!/bin/sh\necho "$# $1 ${{OPENAI_API_KEY-none}}" > "{said}.part"; mv "{said}.part" "{said}"\n'
    )
    tool.chmod(0o755)
    monkeypatch.setattr("gpt_image_2_mcp.commands.showing.sys.platform", platform)
    monkeypatch.setenv("PATH", f".:{tool.parent}:/usr/bin:/bin")
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    open_in_viewer([path])
    assert until(said.exists)
    assert said.read_text() == f"1 {path} none\n"


@POSIX
def test_where_there_is_no_viewer_that_is_said(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    open_in_viewer([path])
    assert "cannot be opened (there is no " in capsys.readouterr().err
