"""The server as other people's clients meet it: a process, over an API that at first is busy for a second."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import uvicorn

from gpt_image_2_mcp.sandbox import Faults, create_app
from gpt_image_2_mcp.server.http import listen
from gpt_image_2_mcp.server.terms import Address
from tests.support.installed import ROOT
from tests.support.installed import installed as beside
from tests.support.upstreams import CANARY

COMMAND: Final = (sys.executable, "-m", "gpt_image_2_mcp")
CLIENTS: Final = ROOT / ".clients"
TOKEN: Final = "a-token-of-the-tests"


def installed(program: str) -> Path:
    """A program below .clients."""
    return beside(CLIENTS / program, "scripts/clients")


def node_path() -> str:
    return f"{CLIENTS / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"  # noqa: TID251 - for a child


@dataclass(frozen=True)
class Stand:
    """Where a server is to live, and what it is told."""

    home: Path
    api: str

    def environment(self) -> dict[str, str]:
        # coverage.py measures children by its variables, where it is at work
        kept = {k: v for k, v in os.environ.items() if k == "PYTHONPATH" or k.startswith("COVERAGE_")}  # noqa: TID251
        return kept | {
            "PATH": node_path(),
            "HOME": str(self.home),
            "OPENAI_API_KEY": CANARY,
            "OPENAI_BASE_URL": self.api,
            "GPT_IMAGE_2_HTTP_TOKEN": TOKEN,
        }

    @contextmanager
    def over(self, transport: str) -> Iterator[list[str]]:
        """What a client is told of the server: `stdio` and its command, or `http`, its URL and the token."""
        if transport == "stdio":
            yield ["stdio", *COMMAND]
        else:
            with self.serving() as url:
                yield ["http", url, TOKEN]

    @contextmanager
    def serving(self) -> Iterator[str]:
        with subprocess.Popen(
            [*COMMAND, "serve", "--http", "127.0.0.1:0"],
            cwd=self.home,
            env=self.environment(),
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            try:
                # It first says that another API address is set.
                (line,) = islice((line for line in process.stderr if line.startswith("Serving MCP")), 1)
                yield line.split()[3].rstrip(";")
            finally:
                process.terminate()
            process.communicate(timeout=30)
        assert process.returncode == 0


@contextmanager
def busy_api() -> Iterator[str]:
    """The sandbox on a loopback port; the first call is told to come again in a second."""
    app = create_app(Faults(mode="rate_limit", count=1, retry_after=1))
    listening = listen(Address("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    server.should_exit = True
    thread.join()
