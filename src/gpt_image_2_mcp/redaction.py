"""Makes text from outside safe to show: no key, token, base64, invisible or control character."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

ERROR_TEXT_LIMIT: Final = 500

_SECRETS = re.compile(
    r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_*.-]{6,}"  # OpenAI keys, also half masked as OpenAI echoes them
    r"|\b(?:Bearer|Basic)\s+[\w.~+/=-]{6,}"
    r"|data:[\w./+-]+;base64,[A-Za-z0-9+/=]*"
    # A run of 64 with a stretch of 32 without a slash: long paths of plain words are left alone.
    r"|(?<![A-Za-z0-9+/])(?=[A-Za-z0-9+/]{64})[A-Za-z0-9+/]*?[A-Za-z0-9+]{32}[A-Za-z0-9+/]*={0,2}",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with keys, bearer tokens and base64 runs replaced by `[redacted]`."""
    return _SECRETS.sub("[redacted]", text)


def clean(text: str, limit: int = ERROR_TEXT_LIMIT) -> str:
    """One line of `text`, redacted and at most `limit` characters, fit for an error or a log.

    Control, zero-width, bidirectional and tag characters (Unicode categories Cc, Cf, Cs, Co) go: an upstream
    message must not be able to disguise itself to a model or a terminal.
    """
    line = " ".join(text[: limit * 8].split())
    visible = "".join(c for c in line if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"})
    redacted = redact(visible)
    return redacted if len(redacted) <= limit else f"{redacted[: limit - 3]}..."


def whereabouts(error: BaseException) -> str:
    """The kind of an error and the lines it came through; its text could hold a prompt."""
    lines, trace = [], error.__traceback__
    while trace:
        lines.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' > '.join(lines[-4:])}"
