"""Why a server could not be reached, in words."""

from __future__ import annotations

import socket
import ssl

import httpx2
import pytest

from gpt_image_2_mcp.errors import Unsendable
from gpt_image_2_mcp.gateways._obstacles import unreachable


def caused_by(cause: OSError) -> httpx2.ConnectError:
    error = httpx2.ConnectError("All connection attempts failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name was not found"),
        (ConnectionRefusedError(111, "Connect call failed"), "the connection was refused"),
        (OSError(113, "No route to host"), "ConnectError"),
        (ssl.SSLEOFError(8, "EOF occurred"), "ConnectError"),
    ],
)
@pytest.mark.parametrize("may_be_proxied", [True, False])
def test_what_stands_in_the_way_is_told(cause: OSError, said: str, *, may_be_proxied: bool) -> None:
    error = unreachable("images.example", caused_by(cause), may_be_proxied=may_be_proxied)
    assert error.message == f"images.example could not be reached ({said})."
    assert error.retryable
    assert "nothing was billed" in error.hint
    assert ("HTTPS_PROXY" in error.hint) == may_be_proxied


def test_a_refusal_by_tls_is_not_tried_again() -> None:
    cause = ssl.SSLError(1, "wrong version number")
    cause.reason = "WRONG_VERSION_NUMBER"
    error = unreachable("images.example", caused_by(cause), may_be_proxied=True)
    assert type(error) is Unsendable
    assert (
        error.message == "The connection to images.example is not secure: TLS failed (WRONG_VERSION_NUMBER)."
    )
