"""A server as a client starts it: a process of its own session, JSON-RPC over its pipes, everything kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from tests.faults.standing import Row, Scene, operations
from tests.faults.waiting import until
from tests.faults.wire import Post
from tests.support.upstreams import CANARY

COMMAND: Final = (sys.executable, "-m", "gpt_image_2_mcp")
HELLO: Final[dict[str, Any]] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


@dataclass
class Place:
    """The folders that one person's servers share, and everything that any of them said."""

    home: Path
    base_url: str
    stdout: bytearray = field(default_factory=bytearray)
    workers: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.key_file.write_text(CANARY)

    @property
    def key_file(self) -> Path:
        return self.home / "key"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def pictures(self) -> Path:
        return self.home / "pictures"

    def saved(self) -> list[Path]:
        """The pictures under their final names."""
        return [path for path in self.pictures.glob("*") if not path.name.startswith(".")]

    def row(self) -> Row:
        """The latest operation."""
        return operations(self.state)[-1]

    def environment(self, **changes: str) -> dict[str, str]:
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.home)}  # noqa: TID251 - to start a child
        # coverage.py measures children by these, where it is at work
        kept |= {k: v for k, v in os.environ.items() if k.startswith("COVERAGE_")}  # noqa: TID251
        own = {
            "OPENAI_API_KEY_FILE": str(self.key_file),
            "OPENAI_BASE_URL": self.base_url,
            "GPT_IMAGE_2_STATE_DIR": str(self.state),
            "GPT_IMAGE_2_OUTPUT_DIR": str(self.pictures),
            "GPT_IMAGE_2_WORKER": "process",
            "GPT_IMAGE_2_MCP_DEBUG": "1",
        }
        return kept | own | changes

    def live_workers(self) -> list[int]:
        """The worker processes of this folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                ours = (process / "cwd").readlink() == self.state
                if ours and b"gpt_image_2_mcp.worker" in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
        self.workers.update(found)
        return found

    def command(self, *arguments: str) -> str:
        """What a command of ours prints."""
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environment(), cwd=self.home, capture_output=True, check=True
        )
        return done.stdout.decode()

    def scene(self, posts: list[Post], unfinished: tuple[str, ...] = ()) -> Scene:
        logs = b"".join(path.read_bytes() for path in self.home.glob("stderr-*"))
        pids = tuple(self.workers)
        out = bytes(self.stdout)
        return Scene(self.state, (self.pictures,), None, posts, logs, out, pids, unfinished)


class Server:
    """One server process, greeted; leaving kills it with whatever signal is still needed."""

    def __init__(self, place: Place, stderr: int | None = None, **changes: str) -> None:
        self._place, self._answers, self._next = place, dict[int, dict[str, Any]](), 0
        number = len(list(place.home.glob("stderr-*")))
        with (place.home / f"stderr-{number}").open("wb") as log:
            self.process = subprocess.Popen(
                COMMAND,
                cwd=place.home,
                env=place.environment(**changes),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log if stderr is None else stderr,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.answer(self.ask("initialize", HELLO))
        self._send({"method": "notifications/initialized"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill(signal.SIGKILL)
        self.process.wait()
        self._reader.join(10)
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                _there(pipe).close()

    def ask(self, method: str, params: dict[str, Any]) -> int:
        """Send a request; its id."""
        self._next += 1
        self._send({"id": self._next, "method": method, "params": params})
        return self._next

    def call(self, tool: str, **arguments: Any) -> int:
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def cancel(self, request: int) -> None:
        self._send({"method": "notifications/cancelled", "params": {"requestId": request}})

    def answer(self, request: int, within: float = 20) -> dict[str, Any]:
        """The result of a request."""
        until(lambda: request in self._answers, within)
        result: dict[str, Any] = self._answers[request]["result"]
        return result

    def told(self, request: int, within: float = 20) -> str:
        """The text of a tool's result."""
        text: str = self.answer(request, within)["content"][-1]["text"]
        return text

    def made(self, request: int, within: float = 20) -> dict[str, Any]:
        """The structured content of a tool's result."""
        result = self.answer(request, within)
        assert not result.get("isError"), result
        content: dict[str, Any] = result["structuredContent"]
        return content

    def close_stdin(self) -> None:
        _there(self.process.stdin).close()

    def kill(self, number: int) -> None:
        """Signal the server's whole group, as clients do."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _send(self, message: dict[str, Any]) -> None:
        _there(self.process.stdin).write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        _there(self.process.stdin).flush()

    def _read(self) -> None:
        for line in _there(self.process.stdout):
            self._place.stdout += line
            with suppress(ValueError):
                said = json.loads(line)
                if "result" in said or "error" in said:
                    self._answers[said["id"]] = said


def _there(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
