"""Counts the steps of a paid call from outside, and does something at one of them: dies, or fails it."""

from __future__ import annotations

import inspect
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import httpx2

from gpt_image_2_mcp.ports import ImageStore, Journal, Leases, Pace, Place, Spools
from tests.faults.stack import Parts

SYSTEM_CALLS: Final = ("fsync", "replace", "link", "unlink")
_METHODS: Final = {
    "journal": ("reserve", "move", "commit"),
    "images": ("save",),
    "leases": ("give_back",),
    "place": ("turn", "learn", "withdraw"),
    "spool": (
        "save_job",
        "load_job",
        "keep_partial",
        "drop_job",
        "note_upload",
        "drop_uploads",
        "torn",
        "received",
        "discard",
    ),
}


_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reading the machine's certificates takes longer than a whole call does here."""


class Steps:
    """`act` is told the name of every step, when it is about to be done and when it was."""

    def __init__(self, act: Callable[[str], None]) -> None:
        self.act = act

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function` with its two steps."""
        if inspect.iscoroutinefunction(function):

            async def later(*args: Any, **options: Any) -> Any:
                label = _labelled(name, args, options)
                self.act(f"before {label}")
                result = await function(*args, **options)
                self.act(f"after {label}")
                return result

            return later

        def now(*args: Any, **options: Any) -> Any:
            label = _labelled(name, args, options)
            self.act(f"before {label}")
            result = function(*args, **options)
            self.act(f"after {label}")
            return result

        return now

    def bend(self, parts: Parts) -> Parts:
        """The ports with their steps counted."""
        return Parts(
            parts.database,
            cast(Journal, _Stepped(parts.journal, self, "journal")),
            cast(ImageStore, _Stepped(parts.images, self, "images")),
            cast(Spools, _SteppedSpools(parts.spools, self)),
            cast(Leases, _Stepped(parts.leases, self, "leases")),
            _SteppedPace(parts.pace, self),
        )

    def transport(self) -> httpx2.AsyncBaseTransport:
        return _SteppedTransport(self)

    def system_calls(self) -> dict[str, Callable[..., Any]]:
        """What to put into the place of functions of `os`, by name."""
        return {name: self.around(name, getattr(os, name)) for name in SYSTEM_CALLS}

    def opened_files(self) -> Callable[..., Any]:
        """What to put into the place of `os.fdopen`, so that writes are steps too."""
        fdopen = os.fdopen
        return lambda handle, *args, **options: _SteppedFile(fdopen(handle, *args, **options), self)


class _Stepped:
    def __init__(self, inner: Any, steps: Steps, kind: str) -> None:
        self._inner, self._steps, self._kind = inner, steps, kind

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if name not in _METHODS[self._kind]:
            return value
        return self._steps.around(f"{self._kind}.{name}", value)


class _SteppedSpools:
    def __init__(self, inner: Spools, steps: Steps) -> None:
        self._inner, self._steps = inner, steps

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def open(self, operation_id: str) -> _Stepped:
        return _Stepped(self._inner.open(operation_id), self._steps, "spool")


class _SteppedPace:
    def __init__(self, inner: Pace, steps: Steps) -> None:
        self._inner, self._steps = inner, steps

    def place(self, operation_id: str, model: str, pictures: int) -> Place:
        place = self._inner.place(operation_id, model, pictures)
        return cast(Place, _Stepped(place, self._steps, "place"))


class _SteppedFile:
    def __init__(self, inner: Any, steps: Steps) -> None:
        self._inner = inner
        self.write = steps.around(f"write to {_kind_of(inner.fileno())}", inner.write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __enter__(self) -> _SteppedFile:
        return self

    def __exit__(self, *_error: object) -> None:
        self._inner.close()


class _SteppedTransport(httpx2.AsyncBaseTransport):
    def __init__(self, steps: Steps) -> None:
        self._inner, self._steps = httpx2.AsyncHTTPTransport(verify=_NO_TLS), steps

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._steps.act(f"before {request.method} {request.url.path}")
        response = await self._inner.handle_async_request(request)
        self._steps.act(f"after the headers of {request.url.path}")
        stream = cast(httpx2.AsyncByteStream, response.stream)
        response.stream = _SteppedStream(stream, self._steps)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _SteppedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, steps: Steps) -> None:
        self._inner, self._steps = inner, steps

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._steps.act("after a piece of the body")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _labelled(name: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """A step's name with what it is done to: a state, or what kind of file."""
    if name == "journal.move":
        return f"{name} to {args[2]}"
    if name in SYSTEM_CALLS:
        folder = options.get("dir_fd", options.get("src_dir_fd"))
        return f"{name} of {_kind_of(args[0] if folder is None else _path_of(folder) / args[0])}"
    return name


def _path_of(handle: int) -> Path:
    return Path(f"/proc/self/fd/{handle}").resolve()


def _kind_of(file: int | str | os.PathLike[str]) -> str:
    path = _path_of(file) if isinstance(file, int) else Path(file)
    if path.is_dir():
        return f"the folder {path.name}"
    room = "spool" if "spool" in path.parent.name else path.parent.name
    return f"{room} {path.suffix or 'file'}"
