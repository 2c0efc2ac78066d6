"""How pictures are called that have no path: ids and addresses of ours, `image://<id>`, and a few names."""

from __future__ import annotations

import re
from typing import Final

SCHEME: Final = "image://"
LATEST: Final = "latest"
CLIPBOARD: Final = "clipboard"
SCREENSHOT: Final = "latest:screenshot"
DOWNLOAD: Final = "latest:download"
AT_HAND: Final = (CLIPBOARD, SCREENSHOT, DOWNLOAD)
"""Names of pictures on the machine that the server runs on."""
NAMES: Final = (LATEST, *AT_HAND)
_ADDRESS: Final = re.compile(r"(?:image:)/*([\w-]+)(?:/preview)?/?", re.ASCII | re.IGNORECASE)
_SHORT_ID: Final = re.compile(r"[0-9a-f]{12}(?:[0-9a-f]{20})?-\d{1,3}", re.ASCII | re.IGNORECASE)


ID_DIGITS: Final = 12
"""Hexadecimal digits of a short id: that two of 10,000 calls share one has odds of 1 in 5 million."""


def image_id(operation_id: str, number: int) -> str:
    """The id of an operation's `number`-th picture, counted from 1: short, for a model has to repeat it."""
    return f"{operation_id[:ID_DIGITS]}-{number}"


def address_of(id_: str) -> str:
    """The address of a picture by its id."""
    return f"{SCHEME}{id_}"


def id_in(text: str) -> str | None:
    """The id that `text` is or addresses, if it is any; whether there is such a picture is another question.

    Models write the id alone, and the address of a preview when they mean its picture.
    """
    if found := _ADDRESS.fullmatch(text):
        return found[1]
    return text if _SHORT_ID.fullmatch(text) else None


def label_of(source: str) -> str:
    """What a picture from elsewhere is called: its file's name, without what a URL may hold in secret."""
    if source[:5].lower() == "data:":
        return "a data: URL"
    if re.match(r"https?://", source, re.IGNORECASE):
        source = re.split(r"[?#]", source)[0]
    return re.split(r"[/\\]", source.rstrip("/\\"))[-1] or source


def title_of(action: str, prompt: str) -> str:
    """What a picture of ours is listed as: its prompt, or the origin of an imported one."""
    return f"Imported: {label_of(prompt)}" if action == "import" else prompt
