"""What each client is sent, and what stands in its configuration."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from gpt_image_2_mcp.clients.entries import Launch, Wish
from gpt_image_2_mcp.clients.files import shown
from gpt_image_2_mcp.clients.places import Places
from gpt_image_2_mcp.clients.table import CLIENTS, Client
from gpt_image_2_mcp.server.profiles import PROFILES, Profile
from pages.markdown import table, yes


def clients_table() -> str:
    """What each client is sent and how long its calls wait; of clients with older rows, the newest."""
    newest = {profile.name: profile for profile in reversed(PROFILES)}
    heads = (
        "Profile",
        "A call waits",
        "A result has at most",
        "Previews",
        "Structured content beside pictures",
    )
    rows = (_client(newest[name]) for name in dict.fromkeys(profile.name for profile in PROFILES))
    return table(heads, rows)


def _client(profile: Profile) -> Iterator[str]:
    edge = f", {profile.max_edge} px" if profile.max_edge else ""
    yield f"`{profile.name}`"
    yield f"{profile.hand_off_s:.0f} s"
    yield f"{profile.cap / 1_000_000:.1f} MB"
    yield f"{'WebP' if profile.webp else 'JPEG'}{edge}"
    yield yes(not profile.hides_images)


def setups() -> str:
    """What each client needs in its file; those that need the same stand together."""
    wish = Wish(Launch("/absolute/path/to/gpt-image-2-mcp"))
    texts = {client.name: shown(client, wish) for client in CLIENTS}
    return "\n".join(
        _setup([client for client in CLIENTS if texts[client.name] == text], text)
        for text in dict.fromkeys(texts.values())
    )


def _setup(clients: list[Client], text: str) -> str:
    title = " and ".join(client.title for client in clients)
    rows = "".join(map(_files, clients))
    language = "toml" if clients[0].format == "toml" else "json"
    notes = "".join(f"\n{textwrap.fill(client.note, 118)}\n" for client in clients if client.note)
    return f"### {title}\n\n{rows}\n```{language}\n{text}```\n{notes}"


def _files(client: Client) -> str:
    """Where its file is, with what differs by system and by project."""
    usual, mac, windows = (client.path(places).as_posix() for places in _PLACES)
    known = [f"`{usual}`", *([f"on macOS `{mac}`"] if mac != usual else [])]
    if windows.replace("%USERPROFILE%", "~") != usual:
        known.append(f"on Windows `{windows}`")
    if client.project:
        known.append(f"for one project `{client.project}`")
    return f"- `gpt-image-2-mcp config {client.name}`: {', '.join(known)}\n"


_LINUX: Final = Places("linux", Path("~"), Path("~/.config"), Path())
_PLACES: Final = (
    _LINUX,
    replace(_LINUX, system="macos"),
    replace(_LINUX, system="windows", home=Path("%USERPROFILE%"), config=Path("%APPDATA%")),
)
