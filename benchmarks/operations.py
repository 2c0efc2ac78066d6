"""What an operation costs over the upstream's own time: added milliseconds, memory, pings, leaving.

    python benchmarks/operations.py [--calls N] [--json]

The server runs as a client starts it, with its worker process, against a stand-in on loopback that has its
answers ready. Linux: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from PIL import Image

MB = 1024 * 1024


def picture(size_bytes: int) -> bytes:
    """A PNG of about that many bytes: noise does not compress."""
    edge = int((size_bytes / 3) ** 0.5)
    noise = random.Random(edge).randbytes(edge * edge * 3)
    buffer = BytesIO()
    Image.frombytes("RGB", (edge, edge), noise).save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


class Upstream:
    """Answers POSTs with a picture of as many MB as the prompt says, after as many seconds."""

    def __init__(self, sizes_mb: list[float]) -> None:
        usage = {"input_tokens": 10, "output_tokens": 196, "total_tokens": 206}
        self._bodies = {
            f"{size:g}": json.dumps(
                {"created": 1, "data": [{"b64_json": base64.b64encode(picture(int(size * MB))).decode()}]}
                | {"usage": usage}
            ).encode()
            for size in sizes_mb
        }

    async def serve(self) -> None:
        """Say the port on stdout, then answer until killed."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                size, seconds = json.loads(await reader.readexactly(length))["prompt"].split()
                await asyncio.sleep(float(seconds))
                body = self._bodies[size]
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
                    % len(body)
                )
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def environment(home: Path, port: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH",)}  # noqa: TID251 - starts a server as a client does
    return kept | {
        "HOME": str(home),
        "OPENAI_API_KEY": "sk-benchmark-0123456789",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "GPT_IMAGE_2_WORKER": "process",
        "GPT_IMAGE_2_OUTPUT_DIR": str(home / "out"),
        "GPT_IMAGE_2_STATE_DIR": str(home / "state"),
    }


def worker_pid(home: Path) -> int:
    """The worker, by the folder it works in."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
                if b"gpt_image_2_mcp.worker" in command and (entry / "cwd").readlink() == home / "state":
                    return int(entry.name)
            except OSError:
                continue
    raise RuntimeError("no worker is running")


def memory_mb(pid: int, field: str) -> float:
    line = next(
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field)
    )
    return int(line.split()[1]) / 1024


async def call(client: Client, size: float, seconds: float = 0) -> float:
    started = time.perf_counter()
    result = await client.call_tool("generate_image", {"prompt": f"{size:g} {seconds}"})
    assert not result.is_error, result.content
    return time.perf_counter() - started


def direct(port: int, size: float) -> float:
    """The upstream's own time: one POST, the body read."""
    with httpx2.Client(trust_env=False, timeout=60) as client:
        client.post(f"http://127.0.0.1:{port}/v1/x", json={"prompt": f"{size:g} 0"})
        started = time.perf_counter()
        client.post(f"http://127.0.0.1:{port}/v1/x", json={"prompt": f"{size:g} 0"})
        return time.perf_counter() - started


async def longest_ping(client: Client, until: asyncio.Task[float]) -> float:
    warnings.simplefilter("ignore")  # pings are of the handshake era, which is the one measured
    longest = 0.0
    while not until.done():
        started = time.perf_counter()
        await client.send_ping()
        longest = max(longest, time.perf_counter() - started)
        await asyncio.sleep(0.005)
    return longest


@contextmanager
def upstream_port() -> Iterator[int]:
    """The upstream in a process of its own: it must not hold up the client whose pings are timed."""
    process = subprocess.Popen([sys.executable, __file__, "--upstream"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


async def measure(calls: int, port: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "gpt_image_2_mcp"], env=environment(home, port)
        )
        with (home / "stderr").open("w") as log:
            async with Client(stdio_client(server, errlog=log), mode="legacy") as client:
                figures = await _calls(client, port, calls)
                figures |= await _large(client, worker_pid(home))
    return figures | _leaving(port)


async def _calls(client: Client, port: int, calls: int) -> dict[str, Any]:
    cold = await call(client, 1)
    added = sorted([await call(client, 1) - direct(port, 1) for _ in range(calls)])
    return {
        "first call, ms": round(cold * 1000),
        "1 MB picture, added median, ms": round(statistics.median(added) * 1000, 1),
        "1 MB picture, added p95, ms": round(added[int(len(added) * 0.95)] * 1000, 1),
    }


async def _large(client: Client, pid: int) -> dict[str, Any]:
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # resets the peak
    idle = memory_mb(pid, "VmRSS")
    task = asyncio.ensure_future(call(client, 45))
    ping = await longest_ping(client, task)
    return {
        "60 MB answer, wall, ms": round((await task) * 1000),
        "60 MB answer, worker's peak over idle, MB": round(memory_mb(pid, "VmHWM") - idle, 1),
        "60 MB answer, longest ping, ms": round(ping * 1000, 1),
    }


def _leaving(port: int) -> dict[str, Any]:
    return {
        f"leaving on {name} with a call in flight, ms": _leave(port, how)
        for name, how in (("EOF", None), ("SIGTERM", signal.SIGTERM), ("SIGINT", signal.SIGINT))
    }


def _leave(port: int, how: signal.Signals | None) -> int:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        process = subprocess.Popen(
            [sys.executable, "-m", "gpt_image_2_mcp"],
            env=environment(home, port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin
        assert process.stdout
        hello = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "b", "version": "1"},
        }
        asked = [
            ("initialize", hello),
            ("tools/call", {"name": "generate_image", "arguments": {"prompt": "1 3"}}),
        ]
        for number, (method, params) in enumerate(asked):
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            if number == 0:
                process.stdout.readline()
        while not list(home.glob("state/spool/*.job")):
            time.sleep(0.01)
        started = time.perf_counter()
        if how is None:
            process.stdin.close()
        else:
            process.send_signal(how)
        process.wait(timeout=30)
        left = round((time.perf_counter() - started) * 1000)
        while not list(home.glob("out/*.png")):
            time.sleep(0.05)
        return left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--calls", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--upstream", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.upstream:
        return asyncio.run(Upstream([1, 45]).serve())
    with upstream_port() as port:
        figures = asyncio.run(measure(arguments.calls, port))
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        print("\n".join(f"{name:<60} {value}" for name, value in figures.items()))
    return None


if __name__ == "__main__":
    main()
