"""Says why a server could not be reached: what stands in the way, and what to look at."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

from gpt_image_2_mcp.errors import Unreachable, Unsendable
from gpt_image_2_mcp.redaction import clean

_CUT_SHORT: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError)
"""What stands behind a handshake that a time-out or a reset ended: no refusal."""
_LOOK_AT_PROXY: Final = (
    "Nothing was sent, so nothing was billed: check the network, OPENAI_BASE_URL, and the proxy that "
    "HTTPS_PROXY or ALL_PROXY names, then call again."
)


def unreachable(host: str, error: Exception, *, may_be_proxied: bool) -> Unreachable:
    """The error that a connection which was never made is; `error` is httpx2's."""
    refused = _tls_refusal(error)
    if refused:
        return Unsendable(
            f"The connection to {host} is not secure: {clean(refused, 200)}.",
            hint="Nothing was sent: check OPENAI_BASE_URL, this machine's clock, and SSL_CERT_FILE if a "
            "company's proxy reads the traffic.",
        )
    hint = _LOOK_AT_PROXY if may_be_proxied else None
    return Unreachable(f"{host} could not be reached ({_obstacle(error)}).", hint=hint)


def _tls_refusal(error: Exception) -> str | None:
    """What TLS did not like, where that is the reason."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate was not accepted ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _CUT_SHORT):
            return f"TLS failed ({cause.reason or 'handshake'})"
    return None


def _obstacle(error: Exception) -> str:
    """In words where they are known."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "its name was not found"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
    return type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
