"""What stands in a client's file for this server, and what is to change where something stands already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gpt_image_2_mcp.clients.edits import Put, at
from gpt_image_2_mcp.clients.table import KEY, Client
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.keys import Secret

KEY_FILE: Final = f"{KEY}_FILE"
SERVER: Final = "gpt-image-2"
_ELSEWHERE: Final = ("url", "serverUrl", "httpUrl")


@dataclass(frozen=True, slots=True)
class Launch:
    """How the server is started."""

    command: str
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants in a file: the server's name there, and how it gets its key, if they say so."""

    launch: Launch
    name: str = SERVER
    key: Secret | None = None
    key_file: Path | None = None


def entry(client: Client, wish: Wish) -> dict[str, Any]:
    """The server's entry where there is none yet."""
    env = {**_key(client, wish), **client.env}
    inherits = client.inherits and not (wish.key or wish.key_file)
    return {
        **dict(client.before),
        "command": wish.launch.command,
        **({"args": list(wish.launch.args)} if wish.launch.args or client.needs_args else {}),
        **({"env_vars": [client.inherits]} if inherits else {}),
        **({"env": env} if env else {}),
        **dict(client.after),
    }


def _key(client: Client, wish: Wish) -> dict[str, str]:
    if wish.key:
        return {KEY: wish.key.reveal()}
    if wish.key_file:
        return {KEY_FILE: str(wish.key_file)}
    return {} if client.inherits else {KEY: client.key}


def snippet(client: Client, wish: Wish) -> dict[str, Any]:
    """All that a file needs which holds nothing else."""
    servers = {client.servers: {wish.name: entry(client, wish)}}
    return {**({"inputs": list(client.inputs)} if _asks(client, wish) else {}), **servers}


def _asks(client: Client, wish: Wish) -> bool:
    """Whether the client has to ask the person for the key."""
    return bool(client.inputs) and not (wish.key or wish.key_file)


def changes(client: Client, document: Mapping[str, Any], wish: Wish) -> list[Put]:
    """What is to change so that the client starts this server; nothing if it does.

    The command is set. What a person has set beside it stays, save the key where they give another.

    Raises:
        InvalidRequest: the name is taken by a server of another kind.
    """
    path = (client.servers, wish.name)
    held, wanted = at(document, path), entry(client, wish)
    if held is None:
        puts = [Put(path, wanted)]
    elif isinstance(held, Mapping) and not any(key in held for key in _ELSEWHERE):
        puts = list(_updates(path, held, wanted, wish))
    else:
        raise InvalidRequest(
            f"{wish.name} stands in the file for a server of another kind.",
            hint="Give this one another name by --name; nothing was changed.",
        )
    if _asks(client, wish) and any(put.path == path or put.path[-1] == KEY for put in puts):
        ids = [at(each, ["id"]) for each in _list(document.get("inputs"))]
        puts += [Put(("inputs",), each, append=True) for each in client.inputs if each["id"] not in ids]
    return puts


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _updates(
    path: tuple[str, ...], held: Mapping[str, Any], wanted: Mapping[str, Any], wish: Wish
) -> Iterator[Put]:
    for key, value in ({"args": []} | dict(wanted)).items():
        if key == "env":
            yield from _of_env((*path, key), _table(held.get(key)), wanted[key], wish)
        elif key == "env_vars":
            yield from _of_inherited((*path, key), held, value)
        elif _is_missing(key, held, value):
            yield Put((*path, key), value)


def _is_missing(key: str, held: Mapping[str, Any], value: Any) -> bool:
    """The command has to be ours; of all else a person's own value stands."""
    if key in ("command", "args"):
        return bool(held.get(key) or value) and held.get(key) != value
    return key not in held


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _of_env(
    path: tuple[str, ...], held: Mapping[str, Any], wanted: Mapping[str, str], wish: Wish
) -> Iterator[Put]:
    has_key, given = bool(held.get(KEY) or held.get(KEY_FILE)), bool(wish.key or wish.key_file)
    for name, value in wanted.items():
        is_key = name in (KEY, KEY_FILE)
        wins = given if is_key and has_key else not held.get(name)
        if wins and held.get(name) != value:
            yield Put((*path, name), value)
    if wish.key_file and held.get(KEY):
        yield Put((*path, KEY), "")  # it would win over the file; empty counts as not set


def _of_inherited(path: tuple[str, ...], held: Mapping[str, Any], wanted: list[str]) -> Iterator[Put]:
    env, named = _table(held.get("env")), _list(held.get(path[-1]))
    if not (env.get(KEY) or env.get(KEY_FILE) or set(wanted) <= set(named)):
        yield Put(path, [*named, *wanted])


def entries_of_ours(client: Client, document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The entries by their names that start this server, or go by its name."""
    servers = _table(document.get(client.servers))
    return {
        name: held for name, held in servers.items() if isinstance(held, Mapping) and _is_ours(name, held)
    }


def _is_ours(name: str, held: Mapping[str, Any]) -> bool:
    words = [held.get("command"), *_list(held.get("args"))]
    return name in (SERVER, "gpt-image-2-mcp") or any(
        mark in str(word) for word in words for mark in ("gpt-image-2-mcp", "gpt_image_2_mcp")
    )
