"""Completion as shells ask for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gpt_image_2_mcp.cli import COMMANDS, cli

CODE = Path(__file__).parents[2] / "src"
REGISTERS = {
    "bash": "complete -o nosort -F _gpt_image_2_mcp_completion gpt-image-2-mcp\n",
    "zsh": "compdef _gpt_image_2_mcp_completion gpt-image-2-mcp\n",
    "fish": 'complete --no-files --command gpt-image-2-mcp --arguments "(_gpt_image_2_mcp_completion)";',
    "powershell": "Register-ArgumentCompleter -Native -CommandName gpt-image-2-mcp -ScriptBlock {\n",
}
BY_THEMSELVES = {
    "bash": (
        "--norc",
        'eval "$(gpt-image-2-mcp completion bash)"\n'
        "COMP_WORDS=(gpt-image-2-mcp operations '') COMP_CWORD=2\n"
        "_gpt_image_2_mcp_completion gpt-image-2-mcp\nprintf '%s\\n' \"${COMPREPLY[@]}\"",
    ),
    # Its completion system wants a terminal: what the script calls of it stands in here.
    "zsh": (
        "-f",
        'compdef() { }\n_describe() { print -l -- ${(P)3} }\neval "$(gpt-image-2-mcp completion zsh)"\n'
        "words=(gpt-image-2-mcp operations '') CURRENT=3\n_gpt_image_2_mcp_completion",
    ),
    "fish": (
        "--no-config",
        "gpt-image-2-mcp completion fish | source\ncomplete -C 'gpt-image-2-mcp operations '",
    ),
}
"""How each shell is started without what its owner has set, and what it is to do, by itself."""


@pytest.mark.parametrize("shell", REGISTERS)
def test_each_shell_gets_a_script_that_asks_this_command(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell], prog_name="gpt-image-2-mcp")
    assert result.exit_code == 0
    assert REGISTERS[shell] in result.stdout
    assert f"_GPT_IMAGE_2_MCP_COMPLETE={shell}_complete" in result.stdout.replace("$env:", "").replace(
        " = '", "="
    )


def test_a_shell_that_is_not_known_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["completion", "csh"]).exit_code == 2


def completed(words: str, shell: str = "zsh") -> list[str]:
    """What `words` are completed to, by click's protocol: type, value and help on lines of their own."""
    asked = {"_GPT_IMAGE_2_MCP_COMPLETE": f"{shell}_complete", "COMP_WORDS": words}
    asked["COMP_CWORD"] = str(len(words.split(" ")) - 1)
    result = CliRunner().invoke(
        cli, [], prog_name="gpt-image-2-mcp", env=asked, complete_var="_GPT_IMAGE_2_MCP_COMPLETE"
    )
    lines = result.stdout.splitlines()
    return [f"{type_} {value}" for type_, value in zip(lines[::3], lines[1::3], strict=False)]


@pytest.mark.parametrize("shell", ["zsh", "powershell"])
def test_commands_flags_and_words_are_completed(shell: str) -> None:
    assert completed("gpt-image-2-mcp ", shell) == [f"plain {name}" for name in COMMANDS]
    assert completed("gpt-image-2-mcp op", shell) == ["plain operations"]
    assert completed("gpt-image-2-mcp --ver", shell) == ["plain --version"]
    assert completed("gpt-image-2-mcp session c", shell) == ["plain continue"]
    assert "plain --quality" in completed("gpt-image-2-mcp generate x --q", shell)
    assert completed("gpt-image-2-mcp generate x --quality m", shell) == ["plain medium", "plain max"]


def test_pictures_and_folders_are_completed_by_the_shell() -> None:
    assert completed("gpt-image-2-mcp edit x pho") == ["file pho"]
    assert completed("gpt-image-2-mcp edit x a.png --mask m") == ["file m"]
    assert completed("gpt-image-2-mcp generate x --output-dir d") == ["dir d"]


def test_commands_are_completed_without_loading_any() -> None:
    code = (
        "import os, sys; before = set(sys.modules)\n"
        "os.environ.update(_GPT_IMAGE_2_MCP_COMPLETE='zsh_complete', COMP_WORDS='x ', COMP_CWORD='1')\n"
        "from gpt_image_2_mcp.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'mcp', 'pydantic', 'PIL', 'httpx2', 'sqlite3', 'anyio'} & (set(sys.modules) - before)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, "generate" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("shell", [shell for shell in BY_THEMSELVES if shutil.which(shell)])
def test_the_shells_of_this_machine_complete_by_the_script(tmp_path: Path, shell: str) -> None:
    command = tmp_path / "bin" / "gpt-image-2-mcp"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gpt_image_2_mcp "$@"\n')
    command.chmod(0o755)
    plain, script = BY_THEMSELVES[shell]
    kept = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}  # noqa: TID251
    path = f"{command.parent}:{os.environ['PATH']}"  # noqa: TID251 - to start a child
    done = subprocess.run(
        [shell, plain, "-c", script],
        env={**kept, "PATH": path, "PYTHONPATH": str(CODE), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    words = [re.split(r"[:\t]", line)[0] for line in done.stdout.splitlines()]
    assert words == ["list", "recover", "show"], done.stderr
