"""What each client can take: the size of a result, the time of a call, and what it does with what it gets.

One row a client, and the safe row for all others. What nobody has reported stands at the safe value. Sources
are issues (repository#number) and pages, of 2026-11-22 where no other date stands. Names are what clients
send as `clientInfo.name`, by the registry apify/mcp-client-capabilities (2026-11-27) unless it is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gpt_image_2_mcp.errors import ConfigurationError

MAY_END_SOONER_S: Final = 10.0
"""How long before a client's own limit a call is handed off: previews of ten large pictures take seconds."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The limits of one client. Bytes are of a result's JSON; seconds are of one call.

    name: as GPT_IMAGE_2_CLIENT_PROFILE gives it
    clients: beginnings of `clientInfo.name`, in lower case and with "-" for what is no letter or digit
    since: the version from which the row holds; a version that cannot be read counts as the oldest
    budget: what a result keeps within as long as nobody asks for whole pictures
    cap: what no result exceeds
    hides_images: structured content keeps the pictures, or the text, from the model
    webp: what it shows its pictures to takes WebP
    max_edge: pixels of the longest edge of a picture that is shown
    call_s: how long it waits for a call
    resource_links: that it does something sensible with them

    Whether it can be asked and takes tasks, a client declares itself.
    """

    name: str
    clients: tuple[str, ...] = ()
    since: tuple[int, ...] = ()
    # 1 MiB is the tightest limit reported (claude-code#66519); 700 KB leave room for what hosts add.
    budget: int = 700_000
    # Clients on the TypeScript SDK close the connection over 10 MiB (1.32.2, measured 2026-11-22).
    cap: int = 8 * 1024 * 1024
    hides_images: bool = False
    # LM Studio and Ollama refuse WebP (cline#9902, 2026-06-13), and who is behind a client is not known.
    webp: bool = False
    max_edge: int | None = None
    # The TypeScript SDK's default, by which most clients go (1.32.2).
    call_s: float = 60.0
    # Clients of protocol versions before 2025-06-18, which know none, are sent none whatever stands here.
    resource_links: bool = True

    @property
    def hand_off_s(self) -> float:
        """How long a call waits for its picture before it answers with its id."""
        return self.call_s - MAY_END_SOONER_S


DEFAULT: Final = Profile("default")

PROFILES: Final = (
    DEFAULT,
    Profile(
        "claude-code",
        ("claude-code",),
        # Until about mid-2026 it dropped pictures beside structured content (claude-code#54737); this version
        # is of 2026-10-19. It still drops the text then (claude-code#79944), which says nothing more.
        since=(2, 1, 304),
        # Anthropic takes 5 MB a picture (claude-code#9152); larger text results go to a file.
        cap=5_000_000,
        webp=True,
        # A larger one ends the session when many pictures are in it (claude-code#5147, #2939).
        max_edge=2000,
        # It moves a call to the background after 2 minutes; progress resets the idle limit of 30 (HTTP: 5).
        call_s=120.0,
    ),
    Profile(
        "claude-code",
        ("claude-code",),
        cap=5_000_000,
        hides_images=True,
        webp=True,
        max_edge=2000,
        call_s=120.0,
    ),
    Profile(
        "claude-desktop",
        # Claude Desktop and claude.ai give one name; Cowork "local-agent-mode-..." (several servers' tables).
        ("claude-ai", "claude-desktop", "claude", "local-agent-mode"),
        # "Tool result is too large. Maximum size is 1MB" (fastmcp#1036, claude-code#66519, Windows-MCP#155)
        cap=1_000_000,
        # Anthropic's vision guide (read 2026-11-27): WebP is taken; 2000 px when a request has many pictures.
        webp=True,
        max_edge=2000,
        # 45 s on claude.ai and Android by one server's author; about 60 s in Desktop (claude-code#63379)
        call_s=45.0,
    ),
    Profile(
        "codex",
        ("codex",),
        # 300 s since codex PR 28234 (2026-06-15); the first version in our notes that is surely later.
        since=(0, 147),
        # It sends the model structured content alone where there is some (as_function_call_output_payload).
        hides_images=True,
        # OpenAI's models take WebP (their image guide, read 2026-11-22).
        webp=True,
        call_s=300.0,
    ),
    Profile("codex", ("codex",), hides_images=True, webp=True),
    Profile(
        "vscode",
        ("visual-studio-code", "vscode", "code-oss"),
        # No limit found; calls hang after 5 minutes (vscode#274094).
        call_s=300.0,
    ),
    Profile(
        "copilot-cli",
        # "github-copilot-developer"; 1.0.86 says "copilot-cli" (reported 2026-09-19).
        ("copilot-cli", "github-copilot"),
        # Structured content alone (copilot-cli#3258); pictures are not surfaced (#4536, August 2026).
        hides_images=True,
        # 60 s, whatever its configuration says (copilot-cli#1535)
    ),
    # 5 minutes are reported (cursor#3510); pictures since 0.49.
    Profile("cursor", ("cursor",), call_s=300.0),
    # From its source: 10 minutes, not reset by progress; pictures go to Gemini, which takes WebP.
    Profile("gemini-cli", ("gemini-cli",), webp=True, call_s=600.0),
    # From its source: 60 s, no progress token.
    Profile("cline", ("cline",)),
    # About 60 s (zed#32668); links are ignored.
    Profile("zed", ("zed",), resource_links=False),
    Profile("windsurf", ("windsurf",)),
    Profile("chatgpt", ("chatgpt", "openai-mcp"), webp=True),
    # Drops pictures beside structured content on purpose (PR 32074, #32868).
    Profile("opencode", ("opencode",), hides_images=True),
    # "@librechat/api-client"; LibreChat#9089.
    Profile("librechat", ("librechat",)),
    # Pictures are shown and do not reach the model (lmstudio-bug-tracker#1746, 0.4.9, 2026-04-03). The name
    # that it gives is not known.
    Profile("lm-studio", ("lm-studio", "lmstudio")),
    # The name that the Python SDK gives where nobody sets one. LangChain's adapter makes of a link to a
    # picture an image block with the address image://..., which no model's API takes
    # (langchain-mcp-adapters 0.3.2, measured 2026-11-27).
    Profile("python-sdk", ("mcp$",), resource_links=False),
    Profile("roo-code", ("roo-code", "roo")),
    # It kills the server when a call is cancelled (qwen-code#11272).
    Profile("qwen-code", ("qwen-code", "qwen")),
)


def recognise(name: str, version: str = "") -> Profile:
    """The profile of a client by what it calls itself; the default one where nobody knows it."""
    said, numbers = _plain(name), _numbers(version)
    for profile in PROFILES:
        if numbers >= profile.since and any(_is_called(said, c) for c in profile.clients):
            return profile
    return DEFAULT


def _is_called(said: str, client: str) -> bool:
    return f"{said}$" == client or f"{said}-".startswith(f"{client}-")


def named(name: str) -> Profile:
    """The profile with that name, as of the client's newest version.

    Raises:
        ConfigurationError: there is none.
    """
    wanted = _plain(name)
    for profile in PROFILES:
        if profile.name == wanted:
            return profile
    known = ", ".join(dict.fromkeys(profile.name for profile in PROFILES))
    raise ConfigurationError(
        "GPT_IMAGE_2_CLIENT_PROFILE names no client that is known.", hint=f"Known are {known}."
    )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part[:9]) for part in found[1].split(".")) if found else ()
