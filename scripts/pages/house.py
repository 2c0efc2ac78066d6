"""The layers and modules of the package."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pages.markdown import table

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGE: Final = Path("src/gpt_image_2_mcp")


def layers_block() -> str:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (contract,) = (c for c in pyproject["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return "```text\n" + "".join(f"{layer}\n" for layer in contract["layers"]) + "```\n"


def modules_table() -> str:
    """Every module with the sentence that its docstring begins with."""
    return table(("Module", "What it is for"), _modules())


def _modules() -> Iterator[tuple[str, str]]:
    paths = (ROOT / PACKAGE).rglob("*.py")
    for path in sorted(paths, key=lambda p: (len(p.relative_to(ROOT).parts), p.parts)):
        name = path.relative_to(ROOT / PACKAGE).as_posix()
        docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        yield f"`{name}`", docstring.split("\n\n")[0].replace("\n", " ")
