"""`completion`: the script by which a shell completes commands, flags and their words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_GPT_IMAGE_2_MCP_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the script by which SHELL completes this command. To have it in every shell:

    \b
    bash        eval "$(gpt-image-2-mcp completion bash)"      in ~/.bashrc
    zsh         eval "$(gpt-image-2-mcp completion zsh)"       in ~/.zshrc
    fish        gpt-image-2-mcp completion fish | source       in ~/.config/fish/config.fish
    PowerShell  gpt-image-2-mcp completion powershell | Out-String | Invoke-Expression   in $PROFILE
    """
    root = context.find_root()
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has all that the argument lets through
    click.echo(kind(root.command, {}, root.info_name or "", _VARIABLE).source())
