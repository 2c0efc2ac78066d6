"""Writes every document that the code determines; with --check it only names those that are stale."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from manifests import manifests
from pages.clients import clients_table, setups
from pages.commands import cli_page
from pages.golden import golden_tools, greeting
from pages.house import PACKAGE, ROOT, layers_block, modules_table
from pages.models import costs_table, models_page
from pages.servers import providers_page
from pages.settings import env_example, settings_page
from pages.tools import prompts_table, tools_page, tools_table

BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- /generated -->)", re.DOTALL)
BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "tools": tools_table,
    "prompts": prompts_table,
    "costs": costs_table,
    "clients": clients_table,
    "setups": setups,
    "layers": layers_block,
    "modules": modules_table,
}
WITH_BLOCKS: Final = (
    *("README.md", "docs/architecture.md", "docs/clients.md", "docs/pictures.md", "docs/prices.md"),
)
"""Documents that people write, with blocks that the code determines."""


def with_blocks(text: str) -> str:
    """`text` with what stands between its `generated` markers written anew."""
    return BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found[2]]()}\n{found[3]}", text)


def documents() -> dict[str, str]:
    """Each document's path below the root, and what it should hold."""
    written = {name: (ROOT / name).read_text("utf-8") for name in WITH_BLOCKS}
    return {
        **{name: with_blocks(text) for name, text in written.items()},
        ".env.example": env_example(),
        "docs/settings.md": settings_page(),
        "docs/providers.md": providers_page(),
        "docs/tools.md": tools_page(),
        "docs/models.md": models_page(),
        "docs/cli.md": cli_page(),
        "tests/golden/tools.json": golden_tools(),
        **manifests(ROOT),
        str(PACKAGE / "server" / "greeting.json"): greeting(),
    }


def stale() -> dict[str, str]:
    """The documents whose files are missing or hold something else."""
    return {name: text for name, text in documents().items() if _held(ROOT / name) != text}


def _held(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; name stale files and exit with 1.")
def main(check: bool) -> None:
    """Write the generated documents."""
    for name, text in (found := stale()).items():
        click.echo(f"{'stale' if check else 'wrote'}: {name}")
        if not check:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(text, "utf-8", newline="\n")
    sys.exit(1 if check and found else 0)


if __name__ == "__main__":
    main()
