"""Each client as data: its files, the form of its entries, its time-outs, and how it gets at the key.

Sources are of 2026-11-27 where no other date stands. Time-outs are those of `server/profiles.py`: what is set
here lets a client wait as long as a picture takes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from gpt_image_2_mcp.clients.places import Places
from gpt_image_2_mcp.errors import InvalidRequest

Format = Literal["json", "jsonc", "toml"]
PLACEHOLDER: Final = "sk-..."
KEY: Final = "OPENAI_API_KEY"
# For clients that give up after 60 s unless they are told otherwise, which the server cannot know.
_WAITS_LONG: Final = {"GPT_IMAGE_2_WAIT_SECONDS": "290"}
_TOLD: Final = "It waits 60 seconds unless it is told to wait longer; the server is told how long it has."
_PICTURES: Final = {"GPT_IMAGE_2_OUTPUT_DIR": "~/Pictures/gpt-image-2"}


@dataclass(frozen=True, slots=True)
class Client:
    """One client.

    name: as `config` takes it
    servers: the key of the table that holds the servers
    user: its file for all of a person's work
    project: its file for one project, if it has such a file
    key: what stands for the key in `env`, so that the client fills it in; the placeholder where it cannot
    inherits: the client hands the variables named here on, and `key` is not needed
    before, after: what an entry holds beside the command, in front of it and behind it
    needs_args: an entry has to have `args`, though there be none
    env: variables that its servers are given beside the key
    inputs: what the client is to ask the person for
    start_s: seconds it gives a server to start, where that is known
    restart: how it is made to read its file again
    note: what else people should know of it, for the README
    source: where all this is from
    """

    name: str
    title: str
    format: Format
    user: Callable[[Places], Path]
    source: str
    project: str | None = None
    servers: str = "mcpServers"
    key: str = PLACEHOLDER
    inherits: str | None = None
    before: tuple[tuple[str, Any], ...] = ()
    after: tuple[tuple[str, Any], ...] = ()
    needs_args: bool = False
    env: dict[str, str] = field(default_factory=dict)
    inputs: tuple[dict[str, Any], ...] = ()
    start_s: float | None = None
    restart: str = "Restart it, for it reads the file at its start."
    note: str = ""

    def path(self, places: Places, *, project: bool = False) -> Path:
        """Its file.

        Raises:
            InvalidRequest: it has none for a project.
        """
        if not project:
            return self.user(places)
        if self.project is None:
            raise InvalidRequest(
                f"{self.title} has no file for a project.", hint="Leave --project out: it is set up for all."
            )
        return places.project / self.project

    def files(self, places: Places) -> tuple[Path, ...]:
        """All its files, whether or not they are there."""
        return (self.path(places), *([places.project / self.project] if self.project else []))


def _code(places: Places) -> Path:
    return places.applications / "Code" / "User"


CLIENTS: Final = (
    Client(
        "claude-desktop",
        "Claude Desktop",
        "json",
        lambda places: places.applications / "Claude" / "claude_desktop_config.json",
        "modelcontextprotocol.io/docs/develop/connect-local-servers; Linux: community builds",
        # It starts servers outside of any project: "/" on macOS, AppData on Windows.
        env=_PICTURES,
        restart="Quit it wholly and start it again.",
        note="It takes at most 1 MB a result, so larger pictures are shown as previews. It starts servers "
        "outside of any project, hence the folder.",
    ),
    Client(
        "claude-code",
        "Claude Code",
        "json",
        lambda places: places.moved_or("CLAUDE_CONFIG_DIR", places.home) / ".claude.json",
        "code.claude.com/docs/en/mcp; `mcp list` of 2.1.197",
        project=".mcp.json",
        # Without the "-" a variable that is not set makes it warn (2.1.197); "" counts as unset here.
        key="${OPENAI_API_KEY:-}",
        before=(("type", "stdio"),),
        start_s=30,  # MCP_TIMEOUT changes it
        restart="Start a new session; `claude mcp list` tells whether it connects.",
        note="`${OPENAI_API_KEY:-}` takes the key from the shell that starts it. It moves a call to the "
        "background after two minutes; if you like that better than a hand-off, set "
        "`GPT_IMAGE_2_WAIT_SECONDS` to `0`: it waits for half an hour.",
    ),
    Client(
        "cursor",
        "Cursor",
        "jsonc",
        lambda places: places.home / ".cursor" / "mcp.json",
        "cursor.com/docs/context/mcp",
        project=".cursor/mcp.json",
        restart="Switch the server on in its settings, under MCP.",
    ),
    Client(
        "vscode",
        "VS Code",
        "jsonc",
        lambda places: _code(places) / "mcp.json",
        "code.visualstudio.com/docs/copilot/reference/mcp-configuration",
        project=".vscode/mcp.json",
        servers="servers",
        key="${input:openai-key}",
        before=(("type", "stdio"),),
        inputs=(
            {"type": "promptString", "id": "openai-key", "description": "OpenAI API key", "password": True},
        ),
        restart="Start the server from the file or with `MCP: List Servers`; it asks for the key once.",
        note="It asks for the key once and keeps it.",
    ),
    Client(
        "codex",
        "Codex CLI",
        "toml",
        lambda places: places.moved_or("CODEX_HOME", places.home / ".codex") / "config.toml",
        "`codex mcp get --json` of 0.169; limits: codex PR #3182 and PR 28234",
        project=".codex/config.toml",
        servers="mcp_servers",
        inherits=KEY,
        # 10 s for the start and 60 to 300 s for a call, by its version, are too short.
        after=(("startup_timeout_sec", 60), ("tool_timeout_sec", 600)),
        start_s=10,
        restart="Start it anew from a shell that has OPENAI_API_KEY.",
        note="The key is taken from the shell that starts it. Without the last lines it waits 10 seconds for "
        "the start, and, by its version, 60 to 300 seconds for a picture.",
    ),
    Client(
        "gemini-cli",
        "Gemini CLI",
        "jsonc",
        lambda places: places.home / ".gemini" / "settings.json",
        "its source: packages/cli/src/config/settings.ts, 0.61",
        project=".gemini/settings.json",
        # It takes what looks like a secret out of the environment of servers (gemini-cli#20724), and leaves a
        # name as it is that it does not know; "${...}" counts as unset here.
        key="${OPENAI_API_KEY}",
        after=(("timeout", 600_000),),
        restart="Start it anew from a shell that has OPENAI_API_KEY.",
        note="The key is taken from the shell that starts it. It starts servers in folders that you trust.",
    ),
    Client(
        "windsurf",
        "Windsurf",
        "json",
        lambda places: places.home / ".codeium" / "windsurf" / "mcp_config.json",
        "docs.windsurf.com/windsurf/cascade/mcp",
        restart="Press refresh in its MCP settings.",
    ),
    Client(
        "zed",
        "Zed",
        "jsonc",
        lambda places: (
            (places.config / "Zed" if places.system == "windows" else places.config / "zed") / "settings.json"
        ),
        "zed.dev/docs/ai/mcp; its source: crates/settings_content/src/project.rs",
        project=".zed/settings.json",
        servers="context_servers",
        # Versions differ in the unit of `timeout`, milliseconds and then seconds (zed PR 45378), so it is
        # left at 60 s, which the server knows. `source` was needed once, and is taken out by Zed now.
        needs_args=True,
        restart="It takes the change up at once.",
        note="The file is that of all its settings.",
    ),
    Client(
        "cline",
        "Cline",
        "json",
        lambda places: (
            _code(places) / "globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"
        ),
        "docs.cline.bot/mcp/configuring-mcp-servers; `timeout` in seconds, at most 3600: its source",
        after=(("timeout", 300),),
        env=_WAITS_LONG,
        restart="Restart the server in its MCP panel.",
        note=_TOLD,
    ),
    Client(
        "lm-studio",
        "LM Studio",
        "json",
        lambda places: places.home / ".lmstudio" / "mcp.json",
        "lmstudio.ai/docs/app/mcp; `timeout` in milliseconds since 0.3.18: lmstudio-bug-tracker#727, #1651",
        after=(("timeout", 300_000),),
        env={**_PICTURES, **_WAITS_LONG},
        restart="Switch the server on in its Program tab.",
        note=_TOLD,
    ),
)


def client_named(name: str) -> Client:
    """The client with that name.

    Raises:
        InvalidRequest: there is none.
    """
    for client in CLIENTS:
        if client.name == name:
            return client
    known = ", ".join(client.name for client in CLIENTS)
    raise InvalidRequest(f"There is no client {name}.", hint=f"There are {known}.")
