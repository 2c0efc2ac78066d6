"""The stand-in for the API: canned answers sent by the kernel, from a process of its own.

    python -m benchmarks.upstream FOLDER MB [MB ...]

A prompt says what is wanted: "1.5 1" is a picture of 1.5 MB after a second, "10 0 slow" one of 10 MB that
comes in pieces over a second. GET /peak gives how many requests there were at once since it was last asked.
"""

from __future__ import annotations

import base64
import json
import random
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from subprocess import PIPE, Popen
from typing import BinaryIO, Final
from urllib.request import urlopen

from PIL import Image

MB: Final = 1024 * 1024
PIECES: Final = 20
_PROMPT: Final = re.compile(rb'name="prompt"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r]*)\r\n|"prompt" ?: ?"([^"]*)"')


def picture(size_bytes: int) -> bytes:
    """A PNG of about that many bytes: noise does not compress."""
    edge = int((size_bytes / 3) ** 0.5)
    buffer = BytesIO()
    noise = random.Random(edge).randbytes(edge * edge * 3)
    Image.frombytes("RGB", (edge, edge), noise).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def answer(size_mb: float) -> bytes:
    usage = {"input_tokens": 10, "output_tokens": 196, "total_tokens": 206}
    text = base64.b64encode(picture(int(size_mb * MB))).decode()
    return json.dumps({"created": 1, "data": [{"b64_json": text}], "usage": usage}).encode()


class Upstream:
    """Answers each connection in a thread; bodies are files, which the kernel sends."""

    def __init__(self, folder: Path, sizes_mb: list[str]) -> None:
        self._files = {size: folder / f"{size}.json" for size in sizes_mb}
        for size, file in self._files.items():
            file.write_bytes(answer(float(size)))
        self._lock = threading.Lock()
        self._in_flight = self._peak = 0

    def serve(self) -> None:
        """Say the port on stdout, then answer until killed."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        print(listening.getsockname()[1], flush=True)
        while True:
            connection, _ = listening.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as incoming:
            try:
                while head := incoming.readline():
                    body = _body(incoming)
                    if head.startswith(b"GET /peak"):
                        told, self._peak = str(self._peak).encode(), 0
                        connection.sendall(_head(len(told)) + told)
                    else:
                        self._answer(connection, body)
            except ConnectionError:
                return

    def _answer(self, connection: socket.socket, body: bytes) -> None:
        found = _PROMPT.search(body)
        assert found, body[:500]
        size, seconds, *slow = (found[1] or found[2]).decode().split()
        with self._lock:
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)
        try:
            time.sleep(float(seconds))
            _send(connection, self._files[size], pieces=PIECES if slow else 1)
        finally:
            with self._lock:
                self._in_flight -= 1


def _body(incoming: BinaryIO) -> bytes:
    length, chunked = 0, False
    while (line := incoming.readline().lower().strip()) != b"":
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
        chunked |= line.startswith(b"transfer-encoding:") and b"chunked" in line
    if not chunked:
        return incoming.read(length)
    parts = []
    while size := int(incoming.readline(), 16):
        parts.append(incoming.read(size))
        incoming.readline()
    incoming.readline()
    return b"".join(parts)


def _head(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % length


def _send(connection: socket.socket, file: Path, pieces: int) -> None:
    length = file.stat().st_size
    connection.sendall(_head(length))
    step = -(-length // pieces)
    with file.open("rb") as body:
        for start in range(0, length, step):
            connection.sendfile(body, start, min(step, length - start))
            if pieces > 1:
                time.sleep(1 / pieces)


def direct_s(port: int, size_mb: str, seconds: float = 0) -> float:
    """The upstream's own time: one POST, the answer read and thrown away."""
    body = json.dumps({"prompt": f"{size_mb} {seconds:g}"}).encode()
    room = bytearray(MB)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        began = time.perf_counter()
        connection.sendall(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        head = connection.recv(64 * 1024)
        left = int(head.split(b"content-length: ")[1].split(b"\r\n")[0]) - len(head.partition(b"\r\n\r\n")[2])
        while left:
            left -= connection.recv_into(room)
        return time.perf_counter() - began


def peak_in_flight(port: int) -> int:
    """How many requests there were at the same time since this was last asked."""
    with urlopen(f"http://127.0.0.1:{port}/peak") as told:
        return int(told.read())


@contextmanager
def upstream(folder: Path, sizes_mb: list[str]) -> Iterator[int]:
    """The stand-in at work; its port."""
    process = Popen(
        [sys.executable, "-m", "benchmarks.upstream", str(folder), *sizes_mb], stdout=PIPE, text=True
    )
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    Upstream(Path(sys.argv[1]), sys.argv[2:]).serve()
