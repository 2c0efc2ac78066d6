"""The files by which registries, plugin markets and desktop apps know the server, from one set of facts."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, Final

from gpt_image_2_mcp.server.tools import TOOLS
from gpt_image_2_mcp.variables import TABLE

NAME: Final = "gpt-image-2-mcp"
TITLE: Final = "GPT Image 2"
# Whoever publishes the repository puts an account's name in its place, here and in the README.
OWNER: Final = "OWNER"
REPOSITORY: Final = f"https://github.com/{OWNER}/{NAME}"
PRIVACY: Final = "https://openai.com/policies/privacy-policy"
ICON: Final = ".claude-plugin/icon.png"
KEY: Final = "OPENAI_API_KEY"
FOLDER: Final = "GPT_IMAGE_2_OUTPUT_DIR"
BUDGET: Final = "GPT_IMAGE_2_BUDGET_DAY_USD"
# uv compiles no bytecode unless it is told to, and a folder that cannot be written never gets any.
COMPILED: Final = {"UV_COMPILE_BYTECODE": "1"}
_HELPS: Final = {setting.name: setting.help for setting in TABLE}
_KEY_FIELD: Final = {
    "type": "string",
    "title": "OpenAI API key",
    "description": _HELPS[KEY],
    "sensitive": True,
}

Manifest = dict[str, Any]


def manifests(root: Path) -> dict[str, str]:
    """Each file's path below the root, and what it should hold."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    files = {
        "server.json": registry_entry(project),
        "manifest.json": desktop_bundle(project),
        ".claude-plugin/plugin.json": claude_plugin(project),
        ".claude-plugin/marketplace.json": claude_marketplace(project),
        "plugin.json": agent_plugin(project),
        "mcp.json": agent_plugin_servers(),
        "gemini-extension.json": gemini_extension(project),
    }
    return {name: json.dumps(file, indent=2, ensure_ascii=False) + "\n" for name, file in files.items()}


def _identity(project: Manifest) -> Manifest:
    return {"name": NAME, "version": project["version"], "description": project["description"]}


def from_folder(placeholder: str) -> Manifest:
    """How uv starts the server from the folder in which a client has put the plugin.

    Not by the package's name: so the server is of the plugin's own version, and nobody else's package.
    """
    return {"command": "uvx", "args": ["--from", placeholder, NAME]}


def registry_entry(project: Manifest) -> Manifest:
    """For the MCP registry. An entry for a container image belongs here once one is published."""
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": f"io.github.{OWNER}/{NAME}",
        "title": TITLE,
        "description": project["description"],
        "version": project["version"],
        "repository": {"url": REPOSITORY, "source": "github"},
        "packages": [
            {
                "registryType": "pypi",
                "identifier": NAME,
                "version": project["version"],
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "environmentVariables": [
                    _variable(KEY, isRequired=True, isSecret=True, format="string"),
                    _variable(FOLDER, format="filepath"),
                    _variable(BUDGET, format="number"),
                ],
            }
        ],
    }


def _variable(name: str, **facts: object) -> Manifest:
    return {"name": name, "description": _HELPS[name], **facts}


def desktop_bundle(project: Manifest) -> Manifest:
    """For Claude Desktop (.mcpb); 0.4 is the first version with a server that uv runs."""
    return {
        "manifest_version": "0.4",
        **_identity(project),
        "display_name": TITLE,
        "author": {"name": OWNER},
        "repository": {"type": "git", "url": REPOSITORY},
        "license": project["license"],
        "icon": ICON,
        "keywords": project["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "src/gpt_image_2_mcp/__main__.py",
            "mcp_config": {
                "command": "uv",
                # Without --no-dev it would install the tools of developers as well.
                "args": ["run", "--no-dev", "--project", "${__dirname}", "-m", "gpt_image_2_mcp"],
                "env": {
                    KEY: "${user_config.openai_api_key}",
                    FOLDER: "${user_config.output_dir}",
                    BUDGET: "${user_config.daily_budget}",
                    **COMPILED,
                },
            },
        },
        "user_config": {
            "openai_api_key": {**_KEY_FIELD, "required": True},
            "output_dir": {
                "type": "directory",
                "title": "Folder of pictures",
                "description": _HELPS[FOLDER],
                "default": "${HOME}/Pictures/gpt-image-2",
            },
            "daily_budget": {
                "type": "number",
                "title": "Budget of a day, in dollars",
                "description": _HELPS[BUDGET],
                "default": 5,
                "min": 0,
            },
        },
        "tools": [{"name": tool.name, "description": _first_sentence(tool.description)} for tool in TOOLS],
        "privacy_policies": [PRIVACY],
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": project["requires-python"]},
        },
    }


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].removesuffix(".") + "."


def claude_plugin(project: Manifest) -> Manifest:
    server = from_folder("${CLAUDE_PLUGIN_ROOT}")
    return {
        **_identity(project),
        "author": {"name": OWNER},
        "repository": REPOSITORY,
        "license": project["license"],
        "keywords": project["keywords"],
        "network": {"hosts": ["api.openai.com"]},
        "userConfig": {"openai_api_key": _KEY_FIELD},
        "mcpServers": {NAME: {**server, "env": {KEY: "${user_config.openai_api_key}", **COMPILED}}},
    }


def claude_marketplace(project: Manifest) -> Manifest:
    return {
        "name": NAME,
        "owner": {"name": OWNER},
        "description": project["description"],
        "plugins": [{**_identity(project), "source": "./", "category": "media"}],
    }


def agent_plugin(project: Manifest) -> Manifest:
    """For Codex, Cursor and others that know Agent Plugins."""
    return {
        "$schema": "https://agent-plugins.org/schemas/1.0.0/plugin.schema.json",
        **_identity(project),
        "license": project["license"],
    }


def agent_plugin_servers() -> Manifest:
    return {
        "$schema": "https://agent-plugins.org/schemas/1.0.0/mcp.schema.json",
        "mcpServers": {NAME: {"type": "stdio", **from_folder("${PLUGIN_ROOT}"), "env": COMPILED}},
    }


def gemini_extension(project: Manifest) -> Manifest:
    server = from_folder("${extensionPath}")
    return {
        **_identity(project),
        "contextFileName": "skills/gpt-image-2-mcp/SKILL.md",
        "mcpServers": {NAME: {**server, "env": {KEY: f"${KEY}", **COMPILED}, "timeout": 600_000}},
        # Gemini CLI keeps secrets from servers unless they are declared (gemini-cli#20724).
        "settings": [
            {
                "name": "OpenAI API key",
                "description": _HELPS[KEY],
                "envVar": KEY,
                "sensitive": True,
            }
        ],
    }
