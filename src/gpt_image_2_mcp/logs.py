"""Logging to stderr: single lines, redacted; stdout belongs to JSON-RPC."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Final

from gpt_image_2_mcp.redaction import Redact, one_line, whereabouts

_LINES: Final = 1000
_LINE_CHARS: Final = 40_000
"""A prompt of the greatest length still fits."""
_FLUSH_S: Final = 0.3


class Lines(logging.Formatter):
    """One line a record, whatever stands in it.

    Of an exception only its whereabouts are told: its text, in a library's records too, could hold a prompt.
    """

    def __init__(self, start: str, redact: Redact) -> None:
        super().__init__(f"{start}%(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # kept there by a formatter that tells more
        return one_line(self._redact(super().format(record)[:_LINE_CHARS]))

    def formatException(  # noqa: N802 - logging's name
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return whereabouts(ei[1]) if ei[1] else ""


class _Unhurried(logging.Handler):
    """Writes from a thread of its own, and loses the oldest lines rather than wait: nobody may be reading."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: queue.Queue[str] = queue.Queue(_LINES)
        self._lost = 0
        threading.Thread(target=self._write, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        while True:
            try:
                self._lines.put_nowait(line)
            except queue.Full:
                with suppress(queue.Empty):
                    self._lines.get_nowait()
                    self._lines.task_done()
                    self._lost += 1
            else:
                return

    def flush(self) -> None:
        """Give what is waiting a moment to be written."""
        deadline = time.monotonic() + _FLUSH_S
        while self._lines.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            lost, self._lost = self._lost, 0
            with suppress(OSError, ValueError):  # nobody is there any more
                sys.stderr.write(f"({lost} lines were lost)\n{line}\n" if lost else f"{line}\n")
                sys.stderr.flush()
            self._lines.task_done()


def configure_logging(
    redact: Redact, *, debug: bool, timestamps: bool = False, usual: int = logging.INFO
) -> None:
    """Our lines at `usual` (DEBUG if asked), all others at WARNING: libraries log bodies, with prompts."""
    handler = _Unhurried()
    handler.setFormatter(Lines("%(asctime)s %(process)d " if timestamps else "", redact))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("gpt_image_2_mcp").setLevel(logging.DEBUG if debug else usual)
