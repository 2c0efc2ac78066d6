"""A client that costs little next to what it measures: lines are cut, and large ones are not parsed."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from subprocess import PIPE, Popen
from types import TracebackType
from typing import Any, Final, Self

HELLO: Final = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}
_END: Final = 120
_LONGEST_ERROR: Final = 16 * 1024
_READ: Final = 1024 * 1024
_ID: Final = re.compile(rb'"id": ?(\d+)')


@dataclass(frozen=True)
class Command:
    """A stdio server as a client starts it; `name` is what its column is called."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    whole: Mapping[str, Any] = field(default_factory=dict)
    """Arguments by which a call has its picture whole in the answer."""
    unseen: Mapping[str, Any] = field(default_factory=dict)
    """Arguments by which it has none there."""


class Connection:
    """One server, spawned and greeted; `started_s` is how long that took until it had listed its tools."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._ids, self._waiting = count(1), dict[int, Future[bytes]]()
        self._lock = threading.Lock()
        began = time.perf_counter()
        self._log = (command.folder / "stderr").open("ab")
        self._process = Popen(
            command.arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=self._log,
            env=dict(command.environment),
            cwd=command.folder,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.ask("initialize", HELLO)
        self._send({"method": "notifications/initialized"})
        self.tools_bytes = len(self.ask("tools/list"))
        self.started_s = time.perf_counter() - began

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, method: str, params: Mapping[str, Any] | None = None) -> Future[bytes]:
        """Send a request; the future gives the line that answers it."""
        future: Future[bytes] = Future()
        id_ = next(self._ids)
        self._waiting[id_] = future
        self._send({"id": id_, "method": method, "params": params or {}})
        return future

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> bytes:
        return self.begin(method, params).result(timeout=300)

    def begin_call(self, tool: str, **arguments: Any) -> Future[bytes]:
        return self.begin("tools/call", {"name": tool, "arguments": arguments})

    def call(self, tool: str, **arguments: Any) -> bytes:
        """The line that answers a call, which must have succeeded."""
        line = self.begin_call(tool, **arguments).result(timeout=300)
        assert succeeded(line), line[:1000]
        return line

    def left_s(self) -> float:
        """Close stdin; how long the process takes to end."""
        assert self._process.stdin
        began = time.perf_counter()
        self._process.stdin.close()
        self._process.wait(timeout=30)
        return time.perf_counter() - began

    def killed_s(self, how: signal.Signals) -> float:
        """Send a signal; how long the process takes to end."""
        began = time.perf_counter()
        self._process.send_signal(how)
        self._process.wait(timeout=30)
        return time.perf_counter() - began

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        line = json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n"
        with self._lock:
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout
        fd, rest = self._process.stdout.fileno(), bytearray()
        while piece := os.read(fd, _READ):
            rest += piece
            if b"\n" in piece:
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    self._take(bytes(line))
        for future in self._waiting.values():
            future.set_exception(EOFError(f"{self.command.name} has ended"))

    def _take(self, line: bytes) -> None:
        """Answers have their id at one end or the other; what servers ask and tell is passed over."""
        found = _ID.search(line[:_END]) or _ID.search(line[-_END:])
        if found and b'"method"' not in line[:_END]:
            self._waiting.pop(int(found[1])).set_result(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.left_s()
        self._log.close()


def succeeded(line: bytes) -> bool:
    """Whether a line answers with a result; errors are short."""
    message = {"result": {}} if len(line) > _LONGEST_ERROR else json.loads(line)
    return "result" in message and not message["result"].get("isError")
