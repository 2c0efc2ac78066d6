"""What the torture kills: processes like servers, without MCP, that call and call; and their real workers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import select
import ssl
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from gpt_image_2_mcp.assembly import open_service
from gpt_image_2_mcp.errors import ImageServerError
from gpt_image_2_mcp.requests import ListSessionsRequest, parse_arguments
from gpt_image_2_mcp.runners import process
from gpt_image_2_mcp.service import ImageService
from gpt_image_2_mcp.settings import Settings, read_settings
from tests.faults.lives import REQUESTS
from tests.faults.nursery import Child, Nursery
from tests.support.upstreams import CANARY

CALLS_AT_ONCE: Final = 3
TOOLS: Final = ("generate", "generate", "generate", "edit", "edit", "start_session", "continue_session")
FAULTS: Final = (
    *("reset0", "close0", "resetmid=0.5", "shortcl=0.6", "truncjson=0.6", "lyingcl=0.6", "badb64"),
    *("not_a_picture", "html", "empty", "moderated", "quota", "status=500", "status=503+true,ok"),
    *("sse_cut_clean", "sse_cut_rst", "sse_late", "sse_half", "sse_half=0.999", "sse_err=moderation_blocked"),
    *("limited=0,ok", "limited=0,limited=0,ok", "count=1", "then_close", "error_in_200"),
)


@dataclass(frozen=True, slots=True)
class Drive:
    """One driver: `worker` says who carries its calls out, `seed` which calls it makes."""

    folder: str
    base_url: str
    worker: str
    seed: int


def drive(argument: dict[str, Any]) -> None:
    """Make calls, several at once, until stdin ends; say the pid of every worker."""
    asked = Drive(**argument)
    folder = Path(asked.folder)
    os.chdir(folder)
    tempfile.tempdir = str(folder / "tmp")  # the second spool is in there
    _log_to(folder / f"driver-{asked.worker}.log")
    # Reading the machine's certificates takes longer than a whole call does here.
    ssl.create_default_context = lambda *_args, **_options: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings = read_settings(
        {
            "OPENAI_API_KEY": CANARY,
            "OPENAI_BASE_URL": asked.base_url,
            "GPT_IMAGE_2_STATE_DIR": str(folder / "state"),
            "GPT_IMAGE_2_OUTPUT_DIR": str(folder / "pictures"),
            "GPT_IMAGE_2_SESSION_MAX": "0",
            "GPT_IMAGE_2_WORKER": asked.worker,
        }
    )
    with Nursery.forked() as nursery:
        setattr(process, "spawn_worker", _Spawner(nursery))  # noqa: B010 - a function of a module
        asyncio.run(_drive(settings, random.Random(asked.seed)))


@dataclass
class _Spawner:
    """Stands in for `spawn_worker`: the same process, forked with its imports done."""

    nursery: Nursery

    def __call__(self, settings: bytes, state_dir: Path, _environment: object) -> subprocess.Popen[bytes]:
        child = self.nursery.start("tests.faults.drivers:work", {"log": str(state_dir / "worker.log")})
        os.write(1, json.dumps({"worker": child.pid}).encode() + b"\n")
        child.stdin.write(base64.b64encode(settings) + b"\n")
        return cast("subprocess.Popen[bytes]", _Forked(child))


@dataclass
class _Forked:
    """As much of a Popen as a runner needs."""

    child: Child
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.stdin, self.stdout, self.pid = self.child.stdin, self.child.stdout, self.child.pid

    def poll(self) -> int | None:
        return 0 if self.child.has_ended() else None

    def wait(self) -> int:
        with self._lock:
            return self.child.wait()


def work(argument: dict[str, Any]) -> None:
    """Be a worker."""
    from gpt_image_2_mcp import worker

    _log_to(Path(argument["log"]))
    worker.main()


def _log_to(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)


async def _drive(settings: Settings, chance: random.Random) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=_await_end, args=(loop, over), daemon=True).start()
    async with open_service(settings) as service, asyncio.TaskGroup() as group:
        for _ in range(CALLS_AT_ONCE):
            group.create_task(_call_and_call(service, chance, over))


def _await_end(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    select.select([0], [], [])
    loop.call_soon_threadsafe(over.set)


async def _call_and_call(service: ImageService, chance: random.Random, over: asyncio.Event) -> None:
    while not over.is_set():
        tool, arguments = await _some_call(service, chance)
        try:
            await getattr(service, tool)(parse_arguments(REQUESTS[tool], arguments))
        except ImageServerError as error:
            sys.stderr.write(f"{tool}: {error.code}\n")


async def _some_call(service: ImageService, chance: random.Random) -> tuple[str, dict[str, Any]]:
    tool = chance.choice(TOOLS)
    arguments: dict[str, Any] = {"prompt": f"A fox {_marker(chance)}", "size": "1024x640"}
    if tool in ("edit", "start_session"):
        arguments["images"] = ["sketch.png"]
    if tool in ("generate", "edit"):
        arguments["n"] = chance.randint(1, 4)
    if arguments.get("n", 1) == 1 and chance.random() < 0.5:
        arguments["partial_images"] = chance.randint(1, 3)
    if tool == "edit" and chance.random() < 0.4:
        arguments["prompt"] = f"A fox [fault:launch] {_marker(chance, 'leg1')}"
    if tool == "continue_session":
        sessions = (await service.list_sessions(ListSessionsRequest())).sessions
        if not sessions:
            return "generate", arguments
        arguments["session_id"] = chance.choice(sessions[:4]).session_id
    return tool, arguments


def _marker(chance: random.Random, where: str = "fault") -> str:
    if chance.random() < 0.25:
        return f"[{where}:{chance.choice(FAULTS)}]"
    return f"[{where}:delay={chance.uniform(0.01, 0.2):.3f}]"
