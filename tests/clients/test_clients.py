"""Clients that are not ours, over stdio and HTTP: the picture arrives, its path is told, errors read well."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from gpt_image_2_mcp.server.tools import TOOLS
from tests.clients import python_client
from tests.clients.stand import CLIENTS, Stand, busy_api, installed
from tests.support.pictures import opened
from tests.support.upstreams import CANARY

HERE: Final = Path(__file__).resolve().parent
REFUSED: Final = "There is no argument `sise` (did you mean `size`?). Correct the argument and call again;"
Drive = Callable[[Stand, list[str]], dict[str, Any]]


@pytest.fixture
def stand(home: Path) -> Iterator[Stand]:
    with busy_api() as url:
        yield Stand(home, url)


def output(stand: Stand, *command: str | Path, codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=stand.home,
        env=stand.environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


def python(era: python_client.Era, stand: Stand, server: list[str]) -> dict[str, Any]:
    return anyio.run(partial(python_client.drive, era, stand.environment(), *server))


def version_1(stand: Stand, server: list[str]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(
        output(stand, installed("v1/bin/python"), HERE / "v1_client.py", *server)
    )
    return report


def typescript(stand: Stand, server: list[str]) -> dict[str, Any]:
    node = installed("node_modules/.bin/node")
    script = HERE / "typescript_client.mjs"
    report: dict[str, Any] = json.loads(output(stand, node, script, CLIENTS / "node_modules", *server))
    return report


def inspector(era: str, stand: Stand, server: list[str]) -> dict[str, Any]:
    ask = partial(inspected, era, stand, server)
    wish = {"prompt": "A red fox", "size": "1024x640", "quality": "low"}
    made = ask("tools/call", "--tool-name", "generate_image", "--tool-args-json", json.dumps(wish))
    wrong = json.dumps({"prompt": "A red fox", "sise": "auto"})
    refused = ask("tools/call", "--tool-name", "generate_image", "--tool-args-json", wrong, codes=(5,))
    return {
        "tools": [tool["name"] for tool in ask("tools/list")["tools"]],
        "images": [block["data"] for block in made["content"] if block["type"] == "image"],
        "text": "\n".join(block["text"] for block in made["content"] if block["type"] == "text"),
        "structured": made["structuredContent"],
        "error": refused["content"][0]["text"],
        "progress": None,  # it shows none with --format json
    }


def inspected(
    era: str, stand: Stand, server: list[str], method: str, *rest: str, codes: tuple[int, ...] = (0,)
) -> Any:
    """The result of one method, as the Inspector's command line prints it."""
    transport, target, *words = server
    if transport == "stdio":
        given = (f"{name}={value}" for name, value in stand.environment().items())
        target_words = [word for pair in given for word in ("-e", pair)] + [target, *words]
    else:
        target_words = [target, "--transport", "http", "--header", f"Authorization: Bearer {words[0]}"]
    program = str(installed("node_modules/.bin/mcp-inspector"))
    command = [program, "--cli", *target_words, "--method", method, "--protocol-era", era, "--format", "json"]
    return json.loads(output(stand, *command, *rest, codes=codes).splitlines()[0])["result"]


DRIVES: Final[dict[str, Drive]] = {
    "official Python client, 2026-07-28": partial(python, "auto"),
    "official Python client, 2025-11-25": partial(python, "legacy"),
    "langchain-mcp-adapters on mcp 1.x": version_1,
    "TypeScript SDK 1.x": typescript,
    "Inspector, 2025-11-25": partial(inspector, "legacy"),
    "Inspector, 2026-07-28": partial(inspector, "modern"),
}


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("client", DRIVES)
def test_the_picture_reaches_the_person_by(client: str, transport: str, stand: Stand) -> None:
    with stand.over(transport) as server:
        seen = DRIVES[client](stand, server)
    assert seen["tools"] == [spec.name for spec in TOOLS]
    (image,) = seen["images"]
    width, height = opened(base64.b64decode(image)).size
    assert width / height == pytest.approx(1024 / 640, rel=0.01)
    path = Path(seen["structured"]["images"][0]["file_path"])
    assert str(path) in seen["text"]
    assert opened(path.read_bytes()).size == (1024, 640)
    assert seen["error"].startswith(REFUSED)
    assert seen["progress"] is None or any("limit" in message for message in seen["progress"])
    assert CANARY not in json.dumps(seen)


def test_the_inspector_finds_every_schema_portable(stand: Stand) -> None:
    with stand.over("stdio") as server:
        inspected("legacy", stand, server, "tools/list", "--strict")
