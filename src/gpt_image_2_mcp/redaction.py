"""Makes text from outside safe to show: no key, token, base64, invisible or control character."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

ERROR_TEXT_LIMIT: Final = 500
SHORTEST_KEY: Final = 12
"""Characters; below it stand the words that local servers take for a key, such as `none`."""

Redact = Callable[[str], str]
_GONE: Final = "[redacted]"
# Every alternative begins with what few texts hold and goes on with one class of characters: a text is looked
# through in one pass.
_SECRETS = re.compile(
    r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_*.-]{6,}"  # OpenAI keys, also half masked as OpenAI echoes them
    r"|\b(?:Bearer|Basic)\s+[\w.~+/=-]{6,}"
    r"|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"  # user:password in a URL
    r"|(?<![\w-])eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?"  # JSON Web Tokens
    r"|(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS
    r"|(?<![A-Za-z0-9])(?:(?:gh[opsur]|hf)_[A-Za-z0-9]{30,}|github_pat_\w{30,}|xox[abeprs]-[\w-]{16,})"
    r"|(?<![A-Za-z0-9])AIza[\w-]{30,}"
    r"|(?<=-----BEGIN)[A-Z ]* PRIVATE KEY-----[^-]*"
    r"|data:[\w./+-]+;base64,[A-Za-z0-9+/=]*"
    # A run of 64 with a stretch of 32 without a slash: long paths of plain words are left alone.
    r"|(?<![A-Za-z0-9+/])(?=[A-Za-z0-9+/]{64})[A-Za-z0-9+/]*?[A-Za-z0-9+]{32}[A-Za-z0-9+/]*={0,2}",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"(\b(?:[\w-]{0,20}api[_-]?key|aws_secret_access_key|x-amz-signature|\w{0,20}(?:token|secret|password)|sig)"
    r"[\"']?\s?[:=]\s?[\"']?)"
    r"(?=[^\s&\"',;]{0,80}[0-9_+/=-])[^\s&\"',;]{8,}",
    re.IGNORECASE,
)
"""A value that is called a secret, and looks like one by a digit or sign in it: header, field or query."""


def redact(text: str) -> str:
    """`text` with keys, tokens, passwords in URLs and base64 runs replaced by `[redacted]`."""
    return _SECRETS.sub(_GONE, _NAMED.sub(rf"\1{_GONE}", text))


def redactor(*keys: str) -> Redact:
    """`redact`, and exactly these keys with it: those of other servers than OpenAI's look like anything."""
    forms = {form for key in keys if len(key) >= SHORTEST_KEY for form in (key, quote(key, safe=""))}
    if not forms:
        return redact
    exact = re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))
    return lambda text: redact(exact.sub(_GONE, text))


def one_line(text: str) -> str:
    """`text` with everything escaped that is not printable: it cannot end a line, nor disguise itself."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def clean(text: str, limit: int = ERROR_TEXT_LIMIT) -> str:
    """One line of `text`, redacted and at most `limit` characters, fit for an error or a log.

    Control, zero-width, bidirectional and tag characters (Unicode categories Cc, Cf, Cs, Co) go: an upstream
    message must not be able to disguise itself to a model or a terminal.
    """
    visible = " ".join(text[: limit * 8].split())
    if not visible.isprintable():
        visible = "".join(c for c in visible if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn"})
    redacted = redact(visible)
    return redacted if len(redacted) <= limit else f"{redacted[: limit - 3]}..."


def whereabouts(error: BaseException) -> str:
    """The kind of an error and the lines it came through; its text could hold a prompt."""
    lines, trace = [], error.__traceback__
    while trace:
        lines.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' > '.join(lines[-4:])}"
