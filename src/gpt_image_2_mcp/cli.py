"""The command line's front door: names and helps; what a command needs is imported when it runs."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from gpt_image_2_mcp.importing import collector_off

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Final = {
    "serve": ("serve", "Serve MCP clients on stdin and stdout (the default) or over HTTP."),
    "demo": ("demo", "Show the main job on the sandbox: no key, no cost."),
    "generate": ("make", "Make a picture from a prompt."),
    "edit": ("make", "Edit or combine pictures."),
    "session": ("session", "Edit a picture in several turns."),
    "batch": ("batch", "Make the pictures of a file, in as many runs as it takes."),
    "estimate": ("estimate", "Say what a call would cost; nothing is sent."),
    "models": ("models", "What each model can do and costs, and how sure that is."),
    "operations": ("operations", "Look into the journal of paid calls."),
    "spend": ("spend", "Show what was spent and what is left of the budgets."),
    "config": ("config", "Set an MCP client up: print its snippet, or write it."),
    "doctor": ("doctor", "Look whether all is well, free of charge, and say what to do."),
    "sandbox": ("sandbox", "Serve the sandbox Images API on this machine."),
    "completion": ("completion", "Print the script by which a shell completes this command."),
}


class LazyGroup(click.Group):
    """Loads a command's module when it is called, so that --version and --help answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        with collector_off():
            module = importlib.import_module(f"gpt_image_2_mcp.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """As click's, which would load every command to see whether it is hidden."""
        from click.shell_completion import CompletionItem

        names = (name for name in COMMANDS if name.startswith(incomplete))
        found = [CompletionItem(name, help=COMMANDS[name][1]) for name in names]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, invoke_without_command=True)
@click.version_option(package_name="gpt-image-2-mcp", prog_name="gpt-image-2-mcp")
@click.pass_context
def cli(context: click.Context) -> None:
    """MCP server for OpenAI's GPT Image models.

    Without a command it serves an MCP client on stdin and stdout; on a terminal it shows this help.
    """
    if context.invoked_subcommand is not None:
        return
    if sys.stdin.isatty():
        click.echo(context.get_help())
        _show_how_to_use_it()
    else:
        serve = cli.get_command(context, "serve")
        context.invoke(serve)  # type: ignore[arg-type]  # `serve` is in the table


def _show_how_to_use_it() -> None:
    from gpt_image_2_mcp.clients.entries import Wish
    from gpt_image_2_mcp.clients.files import shown
    from gpt_image_2_mcp.clients.table import client_named
    from gpt_image_2_mcp.commands.config import own_launch

    click.echo(
        "\nTo use it, put this into your MCP client's configuration; `gpt-image-2-mcp config` does it:\n"
    )
    click.echo(shown(client_named("cursor"), Wish(own_launch())), nl=False)


def main(*arguments: Any) -> None:
    """The console script."""
    cli(*arguments, prog_name="gpt-image-2-mcp")
