"""The one spelling of a host that URLs and settings are compared by."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

HTTPS_PORT: Final = 443
_LONGEST = 253
_HIGHEST_PORT = 65535
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
# The URL standard takes such a host for an address (url.spec.whatwg.org, "ends in a number"): what is none in
# its plain spelling, such as 127.1, 0x7f.1 or 2130706433, is one to the C library's resolver all the same.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_HOST_AND_PORT = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|(?P<name>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?"
)


def canonical_host(host: str) -> str | None:
    """`host` in lower case, or as an address in its shortest form; None if it is neither a plain ASCII name
    (an international one in its `xn--` form) nor an address, or has a zone, a trailing dot or an escape."""
    try:
        return None if "%" in host else str(ip_address(host))
    except ValueError:
        name = host.lower()
    plain = (
        host.isascii() and len(name) <= _LONGEST and _NAME.fullmatch(name) and not _NUMERIC.fullmatch(name)
    )
    return name if plain else None


def host_and_port(text: str) -> tuple[str, int] | None:
    """`host` or `host:port`, an IPv6 address in brackets; None if it is neither, or the port is none."""
    parts = _HOST_AND_PORT.fullmatch(text)
    host = canonical_host(parts["name"] or parts["v6"]) if parts else None
    port = int(parts["port"] or HTTPS_PORT) if parts else 0
    return (host, port) if host and 0 < port <= _HIGHEST_PORT else None
