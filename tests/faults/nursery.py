"""Forks processes that have everything imported already, so that thousands can live and die in a test.

The nursery has one thread, as a process that forks must. Each child has a guardian, which waits for it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

Target = Callable[[dict[str, Any]], None]
_MOST_BYTES: Final = 64 * 1024


@dataclass
class Child:
    """A process that the nursery started. Closing `stdin` tells it to end, if it listens."""

    pid: int
    stdin: BinaryIO
    stdout: BinaryIO
    _status: BinaryIO

    def wait(self) -> int:
        """0 when it ended well, the negative number of the signal that killed it, or 1. Blocks."""
        status = self.died()
        with suppress(OSError):
            self.stdout.close()
        return status

    def died(self) -> int:
        """As `wait`, and what it said last can still be read."""
        status = os.waitstatus_to_exitcode(int(self._status.readline() or b"256"))
        for file in (self.stdin, self._status):
            with suppress(OSError):
                file.close()
        return status

    def has_ended(self) -> bool:
        """Whether `wait` would return at once."""
        return bool(select.select([self._status], [], [], 0)[0]) if not self._status.closed else True

    def read(self) -> tuple[int, list[str]]:
        """Everything it says till its end, after its status. Blocks."""
        said = self.stdout.read().decode().splitlines()
        return self.wait(), said

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class Nursery:
    """`channel` leads to the process that forks."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    @classmethod
    def spawned(cls, environment: dict[str, str]) -> Self:
        """A nursery in a new process, which may be made by one that has threads."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.faults.nursery", str(theirs.fileno())]
            nursery = cls(ours)
            nursery._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)
        return nursery

    @classmethod
    def forked(cls) -> Self:
        """A nursery made of this process, which must not have threads yet."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if not os.fork():
            ours.close()
            _tend(theirs)
        theirs.close()
        return cls(ours)

    _process: subprocess.Popen[bytes] | None = None

    def start(self, target: str, argument: dict[str, Any]) -> Child:
        """Have `target`, as `module:function`, called in a new process. Blocks for some milliseconds."""
        stdin_theirs, stdin = os.pipe()
        status, status_theirs = os.pipe()
        said, stdout_theirs = os.pipe()
        order = json.dumps({"target": target, "argument": argument}).encode()
        socket.send_fds(self._channel, [order], [stdin_theirs, stdout_theirs, status_theirs])
        for theirs in (stdin_theirs, stdout_theirs, status_theirs):
            os.close(theirs)
        file = os.fdopen(status, "rb", buffering=0)
        pid = int(file.readline())
        return Child(pid, os.fdopen(stdin, "wb", buffering=0), os.fdopen(said, "rb"), file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        if self._process:
            self._process.wait(10)


def _tend(channel: socket.socket) -> None:
    """Fork whatever is ordered until the orders end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guardians are waited for by nobody
    while True:
        order, fds, _flags, _address = socket.recv_fds(channel, _MOST_BYTES, 3)
        if not order:
            os._exit(0)
        if not os.fork():
            channel.close()
            _guard(json.loads(order), *fds)
        for fd in fds:
            os.close(fd)


def _guard(order: dict[str, Any], stdin: int, stdout: int, status: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if not pid:
        os.close(status)
        _live(order, stdin, stdout)
    os.close(stdin)
    os.close(stdout)
    with suppress(BrokenPipeError):  # whoever ordered it is dead; the child lives on
        os.write(status, f"{pid}\n".encode())
    _, how = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        os.write(status, f"{how}\n".encode())
    os._exit(0)


def _live(order: dict[str, Any], stdin: int, stdout: int) -> None:
    """Be the child: a session of its own, the two pipes in their places, then the target."""
    os.setsid()
    for ours, standard in ((stdin, 0), (stdout, 1)):
        os.dup2(ours, standard)
        os.close(ours)
    module, _, name = order["target"].partition(":")
    try:
        target: Target = getattr(import_module(module), name)
        target(order["argument"])
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - the outermost door of a forked process
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    for module in ("tests.faults.lives", "anyio._backends._asyncio", "httpcore2"):
        import_module(module)
    _tend(socket.socket(fileno=int(sys.argv[1])))
