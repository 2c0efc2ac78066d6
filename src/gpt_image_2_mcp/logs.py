"""Logging to stderr, redacted; stdout belongs to JSON-RPC."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from contextlib import suppress
from typing import Final

from gpt_image_2_mcp.redaction import redact

_LINES: Final = 1000
_FLUSH_S: Final = 0.3


class _Unhurried(logging.Handler):
    """Writes from a thread of its own, and drops lines rather than wait: nobody may be reading stderr."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: queue.Queue[str] = queue.Queue(_LINES)
        threading.Thread(target=self._write, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(queue.Full):
            self._lines.put_nowait(redact(self.format(record)))

    def flush(self) -> None:
        """Give what is waiting a moment to be written."""
        deadline = time.monotonic() + _FLUSH_S
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            with suppress(OSError, ValueError):  # nobody is there any more
                sys.stderr.write(f"{line}\n")
                sys.stderr.flush()
            self._lines.task_done()


def configure_logging(*, debug: bool, timestamps: bool = False) -> None:
    """Our lines at INFO (DEBUG if asked), everybody else's at WARNING: libraries log bodies, with prompts."""
    handler = _Unhurried()
    start = "%(asctime)s %(process)d " if timestamps else ""
    handler.setFormatter(logging.Formatter(f"{start}%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("gpt_image_2_mcp").setLevel(logging.DEBUG if debug else logging.INFO)
