"""The settings, as a page and as a file of the environment."""

from __future__ import annotations

import re
from typing import Final

from gpt_image_2_mcp.variables import TABLE, Setting
from pages.markdown import NOTICE, table

ENV_HEAD: Final = """\
# Settings of gpt-image-2-mcp, each with its default; all of them can be left out.
# The server does not read this file: put what you set into your client's `env` block, or export it.
"""
SETTINGS_HEAD: Final = f"""\
# Settings

{NOTICE}

The server reads these environment variables once, when it starts. A client sets them in the `env` block of
its configuration; `.env.example` lists them for a shell.

- An empty value, and a placeholder that a client left unexpanded (`${{...}}`), count as not set.
- A switch is `1` or `0`; `true`, `false`, `yes`, `no`, `on` and `off` are taken too.
- `OPENAI_API_KEY` wins over `OPENAI_API_KEY_FILE`, and `GPT_IMAGE_2_HTTP_TOKEN` over its file.
- Those with HTTP in their names count for `serve --http` alone.
- A wrong value stops the start with one sentence that names the variable.
- Paths may start with `~`; relative ones count from the server's working directory.

"""


def env_example() -> str:
    return ENV_HEAD + "".join(_env_entry(setting) for setting in TABLE)


def _env_entry(setting: Setting) -> str:
    default = f"# Default: {setting.default}\n" if setting.default else ""
    sayable = setting.default if re.fullmatch(r"[\w.:/-]+", setting.default) else ""
    return f"\n# {setting.help}\n{default}#{setting.name}={setting.example or sayable}\n"


def settings_page() -> str:
    rows = ((f"`{s.name}`", s.help, _code(s.default)) for s in TABLE)
    return SETTINGS_HEAD + table(("Variable", "What it is for", "Default"), rows)


def _code(text: str) -> str:
    return f"`{text}`" if text and (" " not in text) else text
