"""Addresses of our pictures, `image://<id>`: what they look like, and the id in one."""

from __future__ import annotations

import re
from typing import Final

SCHEME: Final = "image://"
_ADDRESS: Final = re.compile(r"(?:image:)/*([\w-]+)(?:/preview)?/?", re.ASCII | re.IGNORECASE)
_SHORT_ID: Final = re.compile(r"[0-9a-f]{12}(?:[0-9a-f]{20})?-\d{1,3}", re.ASCII | re.IGNORECASE)


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
