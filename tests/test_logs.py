"""Log lines: one a record, redacted, and never waited for."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_image_2_mcp.logs import Lines, configure_logging
from gpt_image_2_mcp.redaction import redact, redactor
from tests.support.upstreams import CANARY

KEY = "another-servers-key"


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("gpt_image_2_mcp.x", logging.INFO, "x.py", 1, message, args, trace)


def test_a_line_says_who_speaks_and_how_loud() -> None:
    assert Lines("", redact).format(record("made %d", 2)) == "INFO gpt_image_2_mcp.x: made 2"


def test_a_prompt_cannot_forge_a_line() -> None:
    line = Lines("", redact).format(record("prompt: %s", "a\nERROR root: b\r\x1b[2K\u202ec\u2028"))

    assert line == r"INFO gpt_image_2_mcp.x: prompt: a\nERROR root: b\r\x1b[2K\u202ec\u2028"


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec=None)))
def test_any_text_is_one_line_that_can_be_written_anywhere(text: str) -> None:
    line = Lines("", redact).format(record("%s", text))

    assert line.splitlines() == [line]
    assert json.loads(json.dumps(line)) == line
    line.encode()


def test_keys_are_taken_out_whatever_they_look_like() -> None:
    line = Lines("", redactor(KEY)).format(record("sent %s and %s", KEY, CANARY))

    assert line == "INFO gpt_image_2_mcp.x: sent [redacted] and [redacted]"


def test_an_exception_is_told_by_its_whereabouts_though_another_handler_told_its_text() -> None:
    try:
        raise ValueError("a secret prompt")
    except ValueError as error:
        broken = record("it broke", error=error)
    logging.Formatter().format(broken)

    line = Lines("", redact).format(broken)

    assert "ValueError at" in line
    assert "test_logs.py" in line
    assert "secret" not in line


def test_a_line_has_an_end() -> None:
    assert len(Lines("", redact).format(record("%s", "word " * 100_000))) == 40_000


@pytest.fixture
def loggers() -> Iterator[None]:
    """Puts the root logger back as it was."""
    root, ours = logging.getLogger(), logging.getLogger("gpt_image_2_mcp")
    kept = root.handlers[:], root.level, ours.level
    root.handlers = []
    yield
    root.handlers, root.level, ours.level = kept


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.usefixtures("loggers")
def test_our_own_lines_are_told_from_info_and_others_from_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    configure_logging(redact, debug=False)
    logging.getLogger("gpt_image_2_mcp.x").debug("no")
    logging.getLogger("gpt_image_2_mcp.x").info("yes")
    logging.getLogger("library").info("no")
    logging.getLogger("library").warning("yes")
    configure_logging(redact, debug=True)
    logging.getLogger("gpt_image_2_mcp.x").debug("yes")
    until(lambda: said.getvalue().count("\n") == 3)
    assert said.getvalue().count("yes") == 3


class Stuck(io.StringIO):
    """A stderr that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.entered.set()
        self.go.wait()
        return super().write(text)


@pytest.mark.usefixtures("loggers")
def test_where_nobody_reads_the_oldest_lines_are_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck()
    monkeypatch.setattr(sys, "stderr", stuck)
    configure_logging(redact, debug=False)
    logger = logging.getLogger("gpt_image_2_mcp.x")
    logger.info("line 0")
    stuck.entered.wait()
    for number in range(1, 1201):
        logger.info("line %d", number)
    stuck.go.set()
    until(lambda: stuck.getvalue().endswith("line 1200\n"))
    lines = [line.rpartition(": ")[2] for line in stuck.getvalue().splitlines()]
    assert lines[:3] == ["line 0", "(200 lines were lost)", "line 201"]
    assert len(lines) == 1002
