"""What a terminal is written, read back as the terminal would."""

from __future__ import annotations

import base64
import io
import re
import zlib
from pathlib import Path

import pytest
from PIL import Image

from gpt_image_2_mcp.commands.terminal import Terminal, Way
from gpt_image_2_mcp.errors import UndecodablePicture
from tests.support.pictures import picture


@pytest.mark.parametrize(
    ("variables", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color"}, "blocks"),
        ({"TERM": "screen-256color", "KITTY_WINDOW_ID": "1"}, "blocks"),
        ({"TERM": "xterm-256color", "TMUX": "/tmp/tmux", "TERM_PROGRAM": "iTerm.app"}, "blocks"),
        ({"TERM": "dumb"}, None),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, None),
        ({}, "blocks"),
    ],
)
def test_the_way_is_the_best_that_the_terminal_says_it_can(
    variables: dict[str, str], way: Way | None
) -> None:
    assert Terminal.of(variables, 80, 24).way == way


@pytest.mark.parametrize(
    "variables", [{"COLORTERM": "truecolor"}, {"COLORTERM": "24bit"}, {"WT_SESSION": "1"}]
)
def test_all_colours_are_used_where_the_terminal_has_them(variables: dict[str, str]) -> None:
    assert Terminal.of(variables, 80, 24).true_colour
    assert not Terminal.of({"TERM": "xterm-256color"}, 80, 24).true_colour


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A picture of two colours, one above the other."""
    image = Image.new("RGB", (400, 200), "red")
    image.paste("blue", (0, 100, 400, 200))
    image.save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_kitty_is_sent_the_pixels_in_chunks_and_told_to_keep_quiet(path: Path) -> None:
    noise = Image.effect_noise((400, 200), 90).convert("RGB")
    noise.save(path)
    text = Terminal("kitty").picture(path)
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{data}\x1b\\" for keys, data in chunks) + "\n" == text
    keys = dict(pair.split("=") for pair in chunks[0][0].split(","))
    assert (keys["a"], keys["q"], keys["f"], keys["s"], keys["v"]) == ("T", "2", "24", "400", "200")
    assert [keys[-1] for keys, _ in chunks] == ["1"] * (len(chunks) - 1) + ["0"]
    assert len(chunks) > 1
    assert max(len(data) for _, data in chunks) == 4096
    sent = zlib.decompress(base64.b64decode("".join(data for _, data in chunks)))
    assert sent == noise.tobytes()


def test_iterm2_is_sent_a_file_with_its_length(path: Path) -> None:
    found = re.fullmatch(r"\x1b\]1337;File=inline=1;size=(\d+);width=(\d+);[^:]*:([^\a]*)\a\n", _iterm2(path))
    assert found is not None
    data = base64.b64decode(found[3])
    assert len(data) == int(found[1])
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (400, 200))


def _iterm2(path: Path) -> str:
    return Terminal("iterm2").picture(path)


def cells(text: str) -> list[list[tuple[str, str]]]:
    """The colours of each cell, the upper and the lower."""
    lines = text.removesuffix("\n").split("\n")
    assert all(line.endswith("\x1b[0m") for line in lines)
    return [re.findall(r"\x1b\[38;([\d;]+?);48;([\d;]+)m\u2580", line) for line in lines]


def test_elsewhere_a_cell_shows_two_pixels(path: Path) -> None:
    shown = cells(Terminal("blocks", columns=40, true_colour=True).picture(path))
    assert (len(shown), {len(line) for line in shown}) == (10, {40})
    assert shown[0][0] == ("2;255;0;0", "2;255;0;0")
    assert shown[-1][-1] == ("2;0;0;255", "2;0;0;255")


def test_with_few_colours_the_nearest_of_the_palette_are_used(path: Path) -> None:
    shown = cells(Terminal("blocks", columns=40).picture(path))
    assert (shown[0][0], shown[-1][-1]) == (("5;196", "5;196"), ("5;21", "5;21"))


def test_an_odd_row_is_shown_with_itself(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(8, 5))
    shown = cells(Terminal("blocks", true_colour=True).picture(tmp_path / "a.png"))
    assert (len(shown), {len(line) for line in shown}) == (3, {8})


@pytest.mark.parametrize("lines", [2, 14])
def test_a_picture_is_no_higher_than_the_screen(tmp_path: Path, lines: int) -> None:
    (tmp_path / "a.png").write_bytes(picture(300, 900))
    high = max(lines - 4, 4)
    assert len(cells(Terminal("blocks", lines=lines).picture(tmp_path / "a.png"))) <= high
    columns = re.search(r",c=(\d+),", Terminal("kitty", lines=lines).picture(tmp_path / "a.png"))
    assert columns is not None
    assert int(columns[1]) * 3 / 2 <= high + 1


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("<svg/>")
    with pytest.raises(UndecodablePicture):
        Terminal("blocks").picture(tmp_path / "a.svg")
