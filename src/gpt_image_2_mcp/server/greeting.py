"""Answers what needs no service by heart, before and while the SDK is imported, as the server would have."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final, NoReturn, TypeVar

from gpt_image_2_mcp.server.profiles import Profile, recognise

T = TypeVar("T")

_MOST_BYTES: Final = 64 * 1024
"""Of what is read ahead; a handshake is shorter."""
_PIECE: Final = 16 * 1024
_LAST_WRITES_MS: Final = 1000
LOOK_EVERY_S: Final = 300.0
"""How often a server at rest looks whether another one has died over a call."""
STDIN: Final = 0
STDOUT: Final = 1


@dataclass(frozen=True, slots=True)
class Greeted:
    """How far a client got: what the server is still to read, which of its answers it has had already, and
    whether it knows the tools.
    """

    unread: bytes = b""
    answered: frozenset[int | str] = frozenset()
    listed: bool = False


NOBODY: Final = Greeted()


class Greeting:
    """The handshake of the protocol versions that have one, and what clients list after it. All else is left
    to the server.

    `greeting.json` holds the server's own answers; it is generated, and checked against them. `pictures`
    gives the result of resources/list, or None where only a service can tell. The server is told of the
    handshake again when it is there, and what it then says is not sent twice.
    """

    def __init__(self, profile: Profile | None = None, pictures: Callable[[], Any] = lambda: None) -> None:
        known = json.loads(files("gpt_image_2_mcp.server").joinpath("greeting.json").read_bytes())
        self._hello: dict[str, Any] = known.pop("initialize")
        self._tools: dict[str, Any] = known.pop("tools/list")
        self._others: dict[str, Any] = known
        self._profile, self._hides_images = profile, False
        self._pictures = pictures
        self._ahead = bytearray()
        self._unread = bytearray()
        self._answered: set[int | str] = set()
        self._listed = self.over = False

    @property
    def greeted(self) -> Greeted:
        return Greeted(bytes(self._unread + self._ahead), frozenset(self._answered), self._listed)

    @property
    def is_through(self) -> bool:
        """Whether everything that was heard has been answered."""
        return not self.over and not self._ahead

    def hear(self, data: bytes) -> bytes:
        """Take what has come from the client; gives what is to be sent to it."""
        self._ahead += data
        said = b""
        while not self.over and (line := self._next_line()):
            said += self._answer(line)
        self.over |= len(self._ahead) + len(self._unread) > _MOST_BYTES
        return said

    def _next_line(self) -> bytes:
        end = self._ahead.find(b"\n") + 1
        line = bytes(self._ahead[:end])
        del self._ahead[:end]
        return line

    def _answer(self, line: bytes) -> bytes:
        match _request(line):
            case ("initialize", int() | str() as id_, params) if not self._answered and self._knows(params):
                client = params["clientInfo"]
                profile = self._profile or recognise(client["name"], client["version"])
                self._hides_images = profile.hides_images
                self._unread += line
                self._answered.add(id_)
                return _response(id_, self._hello[params["protocolVersion"]])
            case ("notifications/initialized", None, _) if self._answered:
                self._unread += line
                return b""
            case (method, None, _) if self._answered and method.startswith("notifications/"):
                return b""  # of roots, or of a request that has its answer: the server makes nothing of them
            case (method, int() | str() as id_, params) if self._answered and params.keys() <= {"_meta"}:
                if (known := self._by_heart(method)) is not None:
                    return _response(id_, known)
        self._unread += line
        self.over = True
        return b""

    def _by_heart(self, method: str) -> Any:
        if method == "tools/list":
            self._listed = True
            return self._tools["hidden" if self._hides_images else "shown"]
        return self._pictures() if method == "resources/list" else self._others.get(method)

    def _knows(self, params: dict[str, Any]) -> bool:
        client = params.get("clientInfo")
        return (
            params.get("protocolVersion") in self._hello
            and isinstance(params.get("capabilities"), dict)
            and isinstance(client, dict)
            and all(isinstance(client.get(name), str) for name in ("name", "version"))
        )


def _request(line: bytes) -> tuple[Any, Any, dict[str, Any]] | None:
    """Method, id and parameters; None of what is no plain request.

    What the server would not parse is none: a line that begins with a byte order mark, and halves of UTF-16
    pairs, which json alone takes.
    """
    if b"\\ud" in line.lower():
        return None
    try:
        message = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return None
    params = message.get("params", {})
    named = isinstance(message.get("method"), str) and not isinstance(message.get("id"), bool)
    known = named and isinstance(params, dict)
    return (message["method"], message.get("id"), params) if known else None


def _response(id_: int | str, result: Any) -> bytes:
    message = {"jsonrpc": "2.0", "id": id_, "result": result}
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def rest(greeting: Greeting, left_over: Callable[[], Collection[str]]) -> bool:
    """Answer by heart as long as that is enough; False if the client has left meanwhile.

    A server that nobody calls needs nothing else, save where there is something to recover: what is
    `left_over` when it starts, or is still there after a while, which no call of a living server is.
    """
    if sys.platform == "win32" or left_over():  # select takes no pipes there
        return True
    seen: Collection[str] = ()
    look_at = time.monotonic() + LOOK_EVERY_S
    while not greeting.over:
        ready, _, _ = select.select([STDIN], [], [], max(look_at - time.monotonic(), 0))
        if ready and not _hear(greeting):
            return not greeting.is_through
        if time.monotonic() >= look_at:
            before, seen = seen, left_over()
            if set(before) & set(seen):
                return True
            look_at += LOOK_EVERY_S
    return True


def greet_while(work: Callable[[], T], greeting: Greeting) -> T:
    """Do `work` in a thread, and meanwhile answer who is on stdin."""
    if sys.platform == "win32":
        return work()
    done, doing = os.pipe()
    try:
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            future.add_done_callback(lambda _future: os.close(doing))
            _converse(greeting, done)
            return future.result()
    finally:
        os.close(done)


def _converse(greeting: Greeting, done: int) -> None:
    while not greeting.over:
        ready, _, _ = select.select([STDIN, done], [], [])
        if done in ready or not _hear(greeting):
            return


def _hear(greeting: Greeting) -> bool:
    """Take what is there, and answer it; False where the client is gone."""
    data = os.read(STDIN, _PIECE)
    try:
        return _say(greeting.hear(data)) and bool(data)
    except BrokenPipeError:
        leave()


def _say(said: bytes) -> bool:
    """Write as the client reads; False where it closes its end and leaves what is said unread."""
    while said:
        if not _is_taken():
            return False
        said = said[os.write(STDOUT, said[: select.PIPE_BUF]) :]
    return True


def _is_taken() -> bool:
    """Wait until a piece can be written without waiting."""
    both, outlet = select.poll(), select.poll()
    both.register(STDIN, 0)  # a hang-up is always told
    for one in (both, outlet):
        one.register(STDOUT, select.POLLOUT)
    return STDOUT in dict(both.poll()) or bool(outlet.poll(_LAST_WRITES_MS))


def leave_at_signals() -> None:
    """As long as nothing is under way, a signal ends the process at once; the server sets its own."""
    if sys.platform != "win32":
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, leave)


def leave(*_signal: object) -> NoReturn:
    os._exit(0)
