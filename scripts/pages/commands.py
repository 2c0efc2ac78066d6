"""The help of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click
from click.testing import CliRunner

from gpt_image_2_mcp.cli import cli
from gpt_image_2_mcp.commands.running import EXIT_CODES
from pages.markdown import NOTICE, table

HELP_WIDTH: Final = 100
CLI_HEAD: Final = f"""\
# Command line

{NOTICE}

Results go to stdout, everything else to stderr. `--json` prints what scripts can read, of every command that
tells something; of a failure too, as an `error` with its `code`, `message`, `hint`, `retryable` and
`may_be_billed`. Settings come from the [environment](settings.md); the README
[has examples](../README.md#on-the-command-line).
"""
CLI_CODES_FOOT: Final = """
A batch ends with the worst of its lines: 3 before the others, 4 where all that failed failed by their price.
"""


def cli_page() -> str:
    """The help of the command line, of each command and of what is below it, and the exit codes."""
    codes = table(("Code", "Meaning"), ((str(code), meaning) for code, meaning in EXIT_CODES.items()))
    helps = "".join(map(_help, _commands(cli, [])))
    return f"{CLI_HEAD}\n## Exit codes\n\n{codes}{CLI_CODES_FOOT}{helps}"


def _commands(command: click.Command, name: list[str]) -> Iterator[list[str]]:
    yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None  # noqa: S101 - the group has just listed it
            yield from _commands(below, [*name, word])


def _help(command: list[str]) -> str:
    result = CliRunner().invoke(
        cli, [*command, "--help"], prog_name="gpt-image-2-mcp", terminal_width=HELP_WIDTH
    )
    name = " ".join(["gpt-image-2-mcp", *command])
    return f"\n## {name}\n\n```text\n{result.output}```\n"
