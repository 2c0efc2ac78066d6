"""The configurations of clients on this machine, and whether the command in each starts the server."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from anyio.to_thread import run_sync

from gpt_image_2_mcp.clients.entries import KEY_FILE, entries_of_ours
from gpt_image_2_mcp.clients.files import read_document
from gpt_image_2_mcp.clients.places import Places
from gpt_image_2_mcp.clients.table import CLIENTS, KEY, PLACEHOLDER, Client
from gpt_image_2_mcp.diagnosis.findings import LONGEST_S, Check, Finding
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.reports import Trial
from gpt_image_2_mcp.variables import strangers

TryOut = Callable[[str, list[str], Mapping[str, str], float], Awaitable[Trial]]
"""Starts a command with arguments and an environment, within seconds."""
_FETCHERS: Final = frozenset({"uvx", "uv", "npx", "pipx", "docker", "podman"})
"""They may fetch what they start from the network."""
_TIME_S: Final = LONGEST_S - 3
"""A server that does not answer has two seconds to leave, and then is ended."""
_TOOL: Final = "generate_image"


@dataclass(frozen=True, slots=True)
class Setup:
    """One entry of a client's file."""

    client: Client
    path: Path
    name: str
    entry: Mapping[str, Any] = field(repr=False)

    @property
    def title(self) -> str:
        return f"{self.client.name}: {self.name}"

    @property
    def command(self) -> str:
        command = self.entry.get("command")
        return command if isinstance(command, str) else ""

    @property
    def args(self) -> list[str]:
        args = self.entry.get("args")
        return [str(each) for each in args] if isinstance(args, list) else []

    @property
    def env(self) -> dict[str, str]:
        env = self.entry.get("env")
        return {str(k): str(v) for k, v in env.items()} if isinstance(env, Mapping) else {}

    @property
    def lacks_key(self) -> bool:
        """Whether nothing can give it one: the client has no way but `env`, and there it is not."""
        named = {KEY, KEY_FILE, "GPT_IMAGE_2_SANDBOX"} & set(self.env)
        return self.client.key == PLACEHOLDER and not self.client.inherits and not named

    @property
    def is_off(self) -> bool:
        return self.entry.get("disabled") is True or self.entry.get("enabled") is False

    @property
    def may_fetch(self) -> bool:
        return Path(self.command).stem in _FETCHERS

    @property
    def start_s(self) -> float:
        """How long the client waits for it, and we at most."""
        told = self.entry.get("startup_timeout_sec")
        usual = self.client.start_s or _TIME_S
        return min(float(told) if isinstance(told, int | float) else usual, _TIME_S)


def found_setups(places: Places) -> tuple[list[Setup], list[Finding]]:
    """The entries for this server in all clients' files, and the files that cannot be read. Blocks."""
    setups: list[Setup] = []
    unread: list[Finding] = []
    for client in CLIENTS:
        for path in dict.fromkeys(client.files(places)):
            try:
                document = read_document(client, path)
            except ImageServerError as error:
                remedy = f"Correct {path}; {client.title} may not read it either."
                unread.append(Finding(client.name, "warn", f"{path}: {error.message}", remedy))
            else:
                ours = entries_of_ours(client, document or {})
                setups += [Setup(client, path, name, entry) for name, entry in ours.items()]
    return setups, unread


async def checks_of(places: Places, try_out: TryOut, *, offline: bool) -> list[Check]:
    """A check for each entry, so that they are tried side by side."""
    setups, unread = await run_sync(found_setups, places)

    def one(setup: Setup) -> Check:
        async def look() -> Iterator[Finding]:
            return iter([await _tried(setup, try_out, offline=offline)])

        return Check(setup.title, look)

    async def read() -> list[Finding]:
        none = [] if setups else [_none()]
        return [*unread, *none]

    return [Check("clients", read), *map(one, setups)]


def _none() -> Finding:
    return Finding(
        "clients",
        "warn",
        "No client on this machine is set up for this server, as far as their usual files tell.",
        "Set one up by `gpt-image-2-mcp config CLIENT --write`.",
    )


async def _tried(setup: Setup, try_out: TryOut, *, offline: bool) -> Finding:
    refused = _without_trying(setup, offline=offline)
    if refused:
        return refused
    trial = await try_out(setup.command, setup.args, setup.env, setup.start_s)
    if trial.is_slow and setup.may_fetch:
        what = f"The command in {setup.path} may fetch the server anew. {trial.said}"
        return Finding(setup.title, "warn", what, "Install it for good: uv tool install, or pipx install.")
    if _TOOL not in trial.tools:
        said = trial.said or f"It has no tool {_TOOL}."
        return Finding(
            setup.title,
            "fail",
            f"The command in {setup.path} does not start the server: {said}",
            f"Run it by hand: {' '.join([setup.command, *setup.args])} --version; or {_anew(setup)}",
        )
    what = f"The command in {setup.path} starts the server, with {len(trial.tools)} tools."
    if setup.lacks_key:
        remedy = f"Put {KEY} or {KEY_FILE} into `env` there: {setup.client.title} hands nothing else on."
        return Finding(setup.title, "warn", f"{what} It is given no key.", remedy)
    unknown = strangers(setup.env)
    if unknown:
        return Finding(
            setup.title, "warn", f"{what} {' '.join(unknown)}", f"Correct the name in {setup.path}."
        )
    if not Path(setup.command).is_absolute():
        remedy = f"It is found by PATH, which clients with a window may lack: {_anew(setup)}"
        return Finding(setup.title, "warn", what, remedy)
    return Finding(setup.title, "ok", what)


def _without_trying(setup: Setup, *, offline: bool) -> Finding | None:
    """What is told of an entry that is not to be started, or need not be."""
    if setup.is_off:
        return Finding(setup.title, "ok", f"It is switched off in {setup.path}.")
    if not setup.command:
        return Finding(setup.title, "ok", f"The entry in {setup.path} starts no command; it was not tried.")
    if shutil.which(setup.command) is None:
        what = f"The command in {setup.path} is not there: {setup.command}."
        return Finding(setup.title, "fail", what, _anew(setup))
    if setup.env.get(KEY) == PLACEHOLDER:
        what = f"In {setup.path} the key is still {PLACEHOLDER}."
        return Finding(setup.title, "fail", what, "Put your OpenAI API key in its place.")
    if offline and setup.may_fetch:
        what = f"The command in {setup.path} may use the network; it was not tried."
        return Finding(setup.title, "warn", what, "Run it again without --offline.")
    return None


def _anew(setup: Setup) -> str:
    name = "" if setup.name == "gpt-image-2" else f" --name {setup.name}"
    return f"set it up anew by `gpt-image-2-mcp config {setup.client.name} --write{name}`."
