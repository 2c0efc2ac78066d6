"""Encodes a message as a line of JSON, in pieces: its pictures are not searched for what JSON escapes.

Base64 holds nothing of that, and the search takes longer than all else that is done to a large picture.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcp.types import JSONRPCMessage, JSONRPCResponse, jsonrpc_message_adapter
from pydantic_core import PydanticSerializationError

LONG: Final = 16 * 1024
"""Characters from which a text is worth being lifted out."""
_LISTS: Final = {"content": "data", "contents": "blob"}
"""Where results hold base64: tools' pictures, and resources."""


def is_long(message: JSONRPCMessage) -> bool:
    """Whether it has pictures that take a while to write."""
    return isinstance(message, JSONRPCResponse) and any(
        _long_text(entry, name) is not None
        for key, name in _LISTS.items()
        if isinstance(entries := message.result.get(key), list)
        for entry in entries
    )


def encoded(message: JSONRPCMessage) -> Iterator[bytes]:
    """The message's line, its end included."""
    texts: dict[bytes, str] = {}
    if isinstance(message, JSONRPCResponse):
        message = message.model_copy(update={"result": _lifted(message.result, texts)})
    rest = _dumped(message)
    for mark, text in texts.items():
        before, _, rest = rest.partition(mark)
        yield before
        yield text.encode("ascii")
    yield rest + b"\n"


def _dumped(message: JSONRPCMessage) -> bytes:
    """In UTF-8, whatever a text holds: a file's name may be none, and must not end the conversation."""
    try:
        return jsonrpc_message_adapter.dump_json(message, by_alias=True, exclude_unset=True)
    except PydanticSerializationError:
        plain = jsonrpc_message_adapter.dump_python(message, by_alias=True, exclude_unset=True)
        return json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _lifted(result: Mapping[str, Any], texts: dict[bytes, str]) -> dict[str, Any]:
    """`result` with marks in the place of long base64 texts, which are put into `texts` in their order."""

    def marked(entry: Any, name: str) -> Any:
        text = _long_text(entry, name)
        if text is None or not _is_plain(text):
            return entry
        mark = secrets.token_hex(16)
        texts[mark.encode()] = text
        return {**entry, name: mark}

    lists = ((key, name) for key, name in _LISTS.items() if isinstance(result.get(key), list))
    return {**result, **{key: [marked(entry, name) for entry in result[key]] for key, name in lists}}


def _long_text(entry: Any, name: str) -> str | None:
    text = entry.get(name) if isinstance(entry, Mapping) else None
    return text if isinstance(text, str) and len(text) >= LONG else None


def _is_plain(text: str) -> bool:
    return text.isascii() and not any(character in text for character in '"\\\n\r')
