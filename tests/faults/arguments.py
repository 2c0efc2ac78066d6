"""Arguments that nobody expects: wrong, huge, deep, misspelt, disguised, and now and then right."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gpt_image_2_mcp.server.tools import ToolSpec

MILLION: Final = 10**6
WORDS: Final = (
    *("auto", "AUTO ", "low", "lowest", "medium", "high", "xhigh", "hd", "png", "jpg", "jpeg", "gif", "svg"),
    *(
        "transparent",
        "transparant",
        "opaque",
        "gpt-image-2",
        "gpt-image-1",
        "dall-e-3",
        "null",
        "None",
        "true",
    ),
    *(
        "",
        " ",
        "\n",
        "0",
        "-1",
        "1",
        "2",
        "10",
        "11",
        "1.0",
        "1e3",
        "0x10",
        "\u0663",
        "\u00b2",
        "NaN",
        "9" * 400,
    ),
)
SIZES: Final = (
    *("1024x1024", "1536x1024", "1024x1536", "1024X640", "1024 x 640", "1024*640", "1024\u00d7640", "auto"),
    *(
        "1023x1024",
        "16x16",
        "4096x16",
        "3840x2160",
        "99999999999999999999x1",
        "0x0",
        "-1x-1",
        "x",
        "1024x",
        "\u0661x1",
    ),
    *("1024x1024x1024", "1" + " " * 200_000 + "x1", " " * 200_000, "1024" + "\t" * 50_000 + "1024"),
)
SOURCES: Final = (
    *(
        "in.png",
        "./in.png",
        "/etc/passwd",
        "/etc/passwd.png",
        "/proc/self/environ",
        "/dev/zero",
        "../../../../x",
    ),
    *("~root/.ssh/id_rsa", "C:\\Windows\\win.ini", "\\\\host\\share\\a.png", "CON", "a\0b.png", "a" * 5000),
    *("file:///etc/passwd", "file://host/a.png", "file:///a%00.png", "https://", "https://127.0.0.1/a.png"),
    *(
        "https://user:secret@169.254.169.254/latest",
        "https://[::1]/",
        "http://example.com/a.png",
        "ftp://x/y",
    ),
    *(
        "javascript:alert(1)",
        "image://1",
        "latest",
        "clipboard",
        "[Image: source: /etc/passwd]",
        "[Image: source: " + " " * 200_000,
        "[Image: source: " * 20_000,
        "[image: source: ]" * 20_000,
        '"' * 5_000,
        '"' * 200_000,
        "data:,",
        "data:",
    ),
    *(
        "data:image/png;base64,AAAA",
        "data:image/png;base64,%zz",
        "data:;base64," + "A" * MILLION,
        "data:" * 20_000,
    ),
)
STRANGE: Final = (
    *(
        "\u202egnp.xof",
        "a\u200bb",
        "\ufeffA fox",
        "\x1b[2J\x1b]0;owned\x07",
        "\r\n[error] forged",
        "\ud800",
        "a\udfff",
    ),
    *(
        "\U000e0041\U000e0042",
        "\u0000",
        "\x7f\x80",
        "\u2028\u2029",
        "e\u0301" * 500,
        "\U0001f98a" * 200,
        "\u1e9e\u0130",
    ),
    *(
        "' OR 1=1 --",
        "{{7*7}}",
        "$(reboot)",
        "%s%n",
        "<svg onload=x>",
        "Bearer abcdef123456",
        "sk-" + "a" * 40,
    ),
)
NAMES: Final = (
    *(
        "promt",
        "Prompt",
        "PROMPT",
        "prompts",
        "image",
        "images[]",
        "imags",
        "sise",
        "qualtiy",
        "count",
        "N",
        "size ",
    ),
    *(
        "",
        " ",
        "self",
        "cls",
        "__class__",
        "__init__",
        "model_config",
        "model_fields",
        "n" * MILLION,
        "\ud800",
        "\u202en",
    ),
    *(
        "style",
        "response_format",
        "stream",
        "session",
        "sessionId",
        "session-id",
        "output",
        "a.b.c",
        "0",
        "\x00",
        "prompt\n",
    ),
)

ALPHABET: Final = "".join(map(chr, (*range(128), *random.Random(0).sample(range(128, 0x11_0000), 128))))
"""As many characters of ASCII as of all the rest."""


def nested(depth: int, kind: type = list) -> Any:
    """That many containers in each other."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


# Made once: a million things take their time.
HUGE: Final[tuple[Any, ...]] = (
    ["in.png"] * MILLION,
    list(range(MILLION)),
    [[]] * MILLION,
    {f"key{number}": number for number in range(100_000)},
    "A fox " * 200_000,
    "[" * MILLION,
    "[" + "1," * 500_000 + "1]",
    '["' + "a" * MILLION + '"]',
    10**3000,
    nested(700),
    nested(700, dict),
)
LEGAL: Final[dict[str, Any]] = {
    "prompt": "A red fox",
    "images": ["in.png"],
    "source": "in.png",
    "session_id": "edit-1",
    "operation_id": "0" * 32,
    "wait_seconds": 0,
}


class Arguments:
    """A stream of argument sets, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        chance = self._chance
        self._plain: tuple[Callable[[], Any], ...] = (
            self._number,
            self._text,
            lambda: chance.choice(WORDS),
            lambda: chance.choice(SIZES),
            lambda: chance.choice(SOURCES),
            lambda: chance.choice(STRANGE),
            lambda: chance.choice((None, True, False, float("nan"), float("inf"), -0.0, 1.5, {}, [])),
        )
        self._values = (
            *self._plain,
            lambda: [chance.choice(self._plain)() for _ in range(chance.choice((0, 1, 2, 3, 16, 17, 40)))],
            lambda: {self._name(): chance.choice(self._plain)() for _ in range(chance.randint(0, 3))},
            lambda: nested(chance.randint(1, 50), chance.choice((list, dict))),
        )

    def for_tool(self, spec: ToolSpec) -> dict[str, Any]:
        """One set: most begin with what is required and have some of it spoilt; some have nothing right."""
        known = list(spec.request.model_fields)
        start: Mapping[str, Any] = LEGAL if self._chance.random() < 0.9 else {}
        made = {name: value for name, value in start.items() if name in known}
        for _ in range(self._chance.choice((1, 1, 2, 2, 3, 6))):
            made[self._one_of(known)] = self.value()
        if self._chance.random() < 0.05 and made:
            del made[self._chance.choice(list(made))]
        if self._chance.random() < 0.002:
            made |= HUGE[3]
        return made

    def _one_of(self, known: Sequence[str]) -> str:
        """A name: often one of the few that matter most, now and then one that there is not."""
        weighty = [name for name in known if name in LEGAL]
        if not known or self._chance.random() < 0.2:
            return self._name()
        return self._chance.choice(weighty if weighty and self._chance.random() < 0.2 else known)

    def value(self) -> Any:
        """Anything that JSON can say."""
        if self._chance.random() < 0.01:
            return self._chance.choice(HUGE)
        return self._chance.choice(self._values)()

    def _name(self) -> str:
        return self._chance.choice(NAMES) if self._chance.random() < 0.7 else self._text()

    def _number(self) -> Any:
        small = self._chance.randint(-3, 120)
        return self._chance.choice(
            (small, small, 2**31, 2**63, -(2**63) - 1, 10**30, 1e308, small + 0.5, float(small))
        )

    def _text(self) -> str:
        return "".join(self._chance.choices(ALPHABET, k=self._chance.choice((1, 3, 10, 40, 300))))
