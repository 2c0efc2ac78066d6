"""What a server has loaded at rest, and once it is asked for more than it knows by heart; and no more."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

import pytest

from gpt_image_2_mcp.server.tools import TOOLS
from tests.server.test_stdio import environment

OURS: Final = """
    gpt_image_2_mcp budgets callers capabilities cli clients clients.places commands commands.running
        commands.serve contents errors folders hosts image_formats image_formats.gif image_formats.layout
    image_formats.svg importing keys limits logs models paging picture_names pricing providers
    redaction     requests results schemas settings showing sizes stores stores.latest stores.places
    variables server server.app     server.asking server.calls server.completion server.delivery
    server.encoding server.greeting     server.lines server.opening server.outlet server.preferences
    server.profiles server.progress     server.prompt_texts server.prompts server.refusals
    server.resources server.shelf server.signals server.stdio     server.summaries server.tasks
    server.tools
"""
LATER: Final = {"PIL", "sqlite3", "httpcore2", "filelock", "pybase64", "h11"}
"""Nothing of these is loaded, whatever the SDK's next version brings with it."""
AT_REST: Final = """
        gpt_image_2_mcp budgets capabilities cli clients clients.places commands commands.running
    commands.serve     errors hosts     importing keys limits logs providers redaction paging
    picture_names server server.greeting server.profiles     server.shelf settings showing sizes
    stores stores.latest stores.places variables
"""
SDK_ALONE: Final = """
import json, sys
import mcp.server.lowlevel
print(json.dumps(list(sys.modules)), file=sys.stderr)
"""
SERVED: Final = """
import json, sys
from contextlib import asynccontextmanager
import anyio
from gpt_image_2_mcp.cli import main
from gpt_image_2_mcp.commands import running

@asynccontextmanager
async def never(_settings):
    await anyio.sleep_forever()
    yield

running.opened = never
try:
    main(["serve"])
finally:
    print("", json.dumps(list(sys.modules)), sep="\\n", file=sys.stderr)
"""


RESTED: Final = """
import json, sys
from gpt_image_2_mcp.cli import main
try:
    main(["serve"])
finally:
    print("", json.dumps(list(sys.modules)), sep="\\n", file=sys.stderr)
"""


def greeting(*others: dict[str, Any]) -> str:
    who = {"name": "a client", "version": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": who}
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
        *others,
    ]
    return "".join(json.dumps({"jsonrpc": "2.0"} | message) + "\n" for message in messages)


def run(code: str, home: Any, stdin: str = "") -> tuple[set[str], str]:
    """The modules that are loaded when `code` ends, and what it has said on stdout."""
    # Not measured by coverage.py, whose modules would stand among them.
    plain = {name: value for name, value in environment(home).items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=stdin,
        env=plain,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.splitlines()[-1])), done.stdout


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    more = {"id": 3, "method": "no/such/method"}
    modules, said = run(SERVED, tmp_path_factory.mktemp("home"), greeting(more))
    _, listing, refusal = map(json.loads, said.splitlines())
    assert refusal["error"]
    listed = listing["result"]["tools"]
    assert [tool["name"] for tool in listed] == [spec.name for spec in TOOLS]
    return modules


def test_of_our_modules_the_handshake_loads_its_own(loaded: set[str]) -> None:
    ours = {name.removeprefix("gpt_image_2_mcp.") for name in loaded if name.startswith("gpt_image_2_mcp")}
    assert sorted(ours) == sorted(OURS.split())


def test_at_rest_there_is_no_sdk(home: Any) -> None:
    modules, said = run(RESTED, home, greeting())
    ours = {name.removeprefix("gpt_image_2_mcp.") for name in modules if name.startswith("gpt_image_2_mcp")}
    assert sorted(ours) == sorted(AT_REST.split())
    assert not (LATER | {"mcp", "mcp_types", "pydantic", "anyio", "asyncio", "starlette", "httpx2"}) & modules
    assert len(said.splitlines()) == 2


def test_of_other_peoples_the_handshake_loads_the_sdk_and_little_else(loaded: set[str], home: Any) -> None:
    sdk, _ = run(SDK_ALONE, home)
    beside = packages(loaded) - packages(sdk) - set(sys.stdlib_module_names)
    assert beside == {"gpt_image_2_mcp", "platformdirs"}
    assert not LATER & loaded
