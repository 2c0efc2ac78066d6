from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest
from click.testing import CliRunner, Result

from gpt_image_2_mcp.cli import COMMANDS, cli
from gpt_image_2_mcp.requests import Arguments, EditRequest, GenerateRequest, Shown
from tests.support.pictures import mask, opened, picture

SMALL = ["--size", "1024x640", "--quality", "low", "--sandbox"]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="gpt-image-2-mcp")


def test_the_version_is_the_packages() -> None:
    assert run("--version").output == "gpt-image-2-mcp, version 0.1.0\n"


def test_the_help_names_every_command() -> None:
    output = run("--help").output
    for name, (_, text) in COMMANDS.items():
        assert f"  {name}" in output
        assert text in output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: gpt-image-2-mcp {name}" in result.output


def commands(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    """The whole tree."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, *path, name)


def test_every_command_tells_scripts_what_it_tells() -> None:
    tree = dict(commands(cli))
    assert {"operations show", "session", "demo"} < tree.keys()
    without = {
        name for name, each in tree.items() if not any("--json" in param.opts for param in each.params)
    }
    assert without == {"", "completion"}, "help, and a script that a shell reads"


def test_an_unknown_command_is_a_usage_error() -> None:
    assert run("paint").exit_code == 2


@pytest.mark.parametrize(("name", "request_class"), [("generate", GenerateRequest), ("edit", EditRequest)])
def test_every_argument_of_the_tool_is_on_the_command_line(name: str, request_class: type[Arguments]) -> None:
    output = run(name, "--help").output
    for field in request_class.model_fields:
        flag = f"--{field.replace('_', '-')} "
        assert flag in output or field in ("prompt", "images", *Shown.model_fields)


def test_generate_prints_where_the_picture_is(home: Path) -> None:
    result = run("generate", "a red fox", *SMALL)
    assert result.exit_code == 0, result.output
    assert "Made 1 sandbox picture with gpt-image-2." in result.stdout
    (path,) = (home / ".config").rglob("image-*.png")
    assert str(path) in result.stdout
    assert result.stderr == "", "the result says all; logs are for those who debug"
    assert opened(path.read_bytes()).size == (1024, 640)


def structured(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_json_prints_the_structured_result_alone(home: Path) -> None:
    made = structured(run("generate", "a red fox", *SMALL, "--json", "--n", "2", "--output-dir", "out"))
    assert [Path(i["file_path"]).parent for i in made["images"]] == [home / "out"] * 2
    assert made["sandbox"] is True


@pytest.fixture
def no_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests stand in a folder for temporary files, which is a root; here it is none."""
    monkeypatch.setattr("gpt_image_2_mcp.roots._temporary", lambda: iter(()))


@pytest.mark.usefixtures("no_roots")
def test_what_a_person_types_is_allowed_wherever_it_is(home: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for folder in (photos, photos / "deep", home / ".ssh"):
        folder.mkdir()
    (photos / "a.png").write_bytes(picture())
    (photos / "deep" / "b.png").write_bytes(picture())
    (tmp_path / "link.png").symlink_to(photos / "deep" / "b.png")
    (home / ".ssh" / "m.png").write_bytes(mask())
    typed = ["../photos/a.png", (photos / "a.png").as_uri(), str(tmp_path / "link.png")]
    out = ["--output-dir", str(tmp_path / "out")]
    made = structured(run("edit", "add snow", *typed, "--mask", "~/.ssh/m.png", *out, *SMALL, "--json"))
    assert Path(made["images"][0]["file_path"]).parent == tmp_path / "out"


@pytest.mark.usefixtures("no_roots")
@pytest.mark.parametrize("name", ["/etc/passwd", "/dev/zero", "text.png"])
def test_what_a_person_types_must_still_be_a_picture(tmp_path: Path, home: Path, name: str) -> None:
    (home / "text.png").write_text("no picture")
    result = run("edit", "x", name, "--sandbox")
    assert result.exit_code == 2
    assert "is not a PNG, JPEG or WebP picture" in result.stderr or "(not a file)" in result.stderr


def test_a_folder_of_nobody_is_a_usage_error_of_the_folder() -> None:
    result = run("generate", "x", *SMALL, "--output-dir", "~there-is-no-such-user/x")
    assert result.exit_code == 1
    assert "output_dir names no folder that can be" in result.stderr


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stdout is a terminal."""
    monkeypatch.setattr("gpt_image_2_mcp.commands.make._on_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm-kitty")
    for name in ("TMUX", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("screen")
def test_a_terminal_shows_the_picture_below_the_text_unless_told_not_to() -> None:
    shown = run("generate", "a red fox", *SMALL).stdout
    assert shown.startswith("Made 1 sandbox picture")
    assert shown.count("\x1b_Ga=T") == 1
    for flag in ("--no-show", "--json", "--dry-run"):
        assert "\x1b" not in run("generate", "a red fox", *SMALL, flag).stdout, flag


def test_what_is_no_terminal_gets_text_alone() -> None:
    assert "\x1b" not in run("generate", "a red fox", *SMALL, "--show").stdout


def test_every_picture_is_opened_if_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    opened_paths: list[str] = []
    monkeypatch.setattr("gpt_image_2_mcp.commands.showing._open", opened_paths.append)
    made = structured(run("generate", "a red fox", *SMALL, "--n", "2", "--open", "--json"))
    assert opened_paths == [image["file_path"] for image in made["images"]]


def test_edit_takes_images_after_the_prompt(home: Path) -> None:
    (home / "a.png").write_bytes(picture())
    (home / "b.webp").write_bytes(picture(format_="WEBP"))
    (home / "m.png").write_bytes(mask())
    made = structured(run("edit", "add snow", "a.png", "b.webp", "--mask", "m.png", *SMALL, "--json"))
    assert made["usage"]["input_tokens_details"]["image_tokens"] > 1000
    assert made["images"][0]["filename"].startswith("edit-")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generate", "x", "--size", "1000x1000"], "Error: `size` 1000x1000 is not legal"),
        (["generate", "x", "--n", "many"], "Error: `n` must be a whole number"),
        (["generate", "x", "--quality", "ultra"], "Error: `quality` must be one of auto, low"),
        (["generate"], "Missing argument 'PROMPT'"),
        (["edit", "x", "missing.png"], "missing.png cannot be read"),
    ],
)
def test_what_the_caller_got_wrong_is_exit_code_2(arguments: list[str], said: str) -> None:
    result = run(*arguments, *(["--sandbox"] if len(arguments) > 1 else []))
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_words_are_taken_as_the_tools_take_them() -> None:
    made = structured(run("generate", "x", *SMALL, "--output-format", "JPG", "--json"))
    assert made["applied"]["output_format"] == "jpeg"


def test_a_call_that_fails_is_exit_code_1() -> None:
    result = run("generate", "a duel [moderation:input:violence]", *SMALL)
    assert result.exit_code == 1
    assert "moderation blocked the prompt" in result.stderr
    assert "violence" in result.stderr


def test_without_a_key_it_says_where_to_put_one() -> None:
    result = run("generate", "x")
    assert result.exit_code == 2
    assert "OPENAI_API_KEY" in result.stderr


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT_IMAGE_2_SANDBOX", "perhaps")
    result = run("generate", "x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "GPT_IMAGE_2_SANDBOX must be 1 or 0" in result.stderr


def test_on_a_terminal_the_bare_command_shows_help_and_a_snippet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt_image_2_mcp.cli.sys", _Terminal())
    monkeypatch.setattr(sys, "argv", _Terminal.argv)
    output = run().output
    assert "Usage: gpt-image-2-mcp" in output
    snippet = json.loads(output[output.index("{") :])
    assert snippet["mcpServers"]["gpt-image-2"]["command"] == str(Path("/opt/bin/gpt-image-2-mcp"))


class _Terminal:
    argv: ClassVar = ["/opt/bin/gpt-image-2-mcp"]

    class stdin:  # noqa: N801 - stands in for sys.stdin
        @staticmethod
        def isatty() -> bool:
            return True


def test_version_and_help_load_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"  # a measured run has coverage's own modules
        "from gpt_image_2_mcp.cli import cli\n"
        "try: cli(['--help'])\n"
        "except SystemExit: pass\n"
        "loaded = set(sys.modules) - before\n"
        "heavy = {'mcp', 'pydantic', 'PIL', 'httpx2', 'sqlite3', 'starlette', 'anyio'} & loaded\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
