"""Real connections on this machine: a certificate that is not accepted, no TLS at all, nobody there."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gpt_image_2_mcp.errors import Unreachable, Unsendable, UpstreamError
from gpt_image_2_mcp.gateways._upstream import Account, Timeouts, Upstream
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.retries import RetryPolicy, Tries
from tests.support.upstreams import CANARY

pytestmark = pytest.mark.anyio
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Listener:
    """Answers every request with `{}`, and counts the bytes of those it got to read."""

    def __init__(self) -> None:
        self.received = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received += await reader.read(65536)
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()


def certificate(folder: Path, *, address: str = "127.0.0.1", days: int = 1) -> Path:
    """A self-signed certificate and its key in one file; it ran out if `days` is negative."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a stand-in")])
    end = datetime.now(UTC) + timedelta(days=days)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(end - timedelta(days=30))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, form, plain)
    )
    return path


def context_of(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def posted(port: int, folder: Path, scheme: str = "https", timeouts: Timeouts = Timeouts()) -> bytes:
    client = Upstream(Account(f"{scheme}://127.0.0.1:{port}/v1", Secret(CANARY)), timeouts=timeouts)
    try:
        came = await client.spool(
            "images/generations", [folder / "0.resp"], idempotency_key="op", json={"prompt": "a fox"}
        )
        return came.path.read_bytes()
    finally:
        await client.close()


async def refused(
    port: int, folder: Path, scheme: str = "https", timeouts: Timeouts = Timeouts()
) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        await posted(port, folder, scheme, timeouts)
    assert CANARY not in str(raised.value)
    assert not (folder / "0.resp").exists()
    return raised.value


async def test_a_certificate_of_nobodys_is_told_in_a_sentence_and_nothing_is_sent(tmp_path: Path) -> None:
    async with Listener().listening(context_of(certificate(tmp_path))) as listener:
        error = await refused(listener.port, tmp_path)
    assert type(error) is Unsendable
    assert error.message == (
        "The connection to 127.0.0.1 is not secure: its certificate was not accepted "
        "(self-signed certificate)."
    )
    assert "Nothing was sent" in error.hint
    assert "SSL_CERT_FILE" in error.hint
    assert RetryPolicy().wait_before_next(error, Tries()) is None
    assert listener.received == b""


@pytest.mark.parametrize(
    ("flaw", "said"),
    [({"days": -1}, "certificate has expired"), ({"address": "127.0.0.2"}, "IP address mismatch")],
    ids=["expired", "another host's"],
)
async def test_a_certificate_that_is_trusted_but_wrong_is_told_by_what_is_wrong(
    flaw: dict[str, int], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, **flaw)  # type: ignore[arg-type]
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    async with Listener().listening(context_of(path)) as listener:
        error = await refused(listener.port, tmp_path)
    assert type(error) is Unsendable
    assert said in error.message
    assert listener.received == b""


async def test_a_certificate_that_the_hint_has_people_trust_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    async with Listener().listening(context_of(path)) as listener:
        assert await posted(listener.port, tmp_path) == b"{}"
    assert listener.received.startswith(b"POST /v1/images/generations HTTP/1.1\r\n")


async def test_a_server_without_tls_under_an_https_address_is_told(tmp_path: Path) -> None:
    async with Listener().listening() as listener:
        error = await refused(listener.port, tmp_path)
    assert type(error) is Unsendable
    assert "is not secure: TLS failed (" in error.message
    assert b"POST" not in listener.received


async def test_nobody_listening_is_proven_unsent_and_may_be_tried_again(tmp_path: Path) -> None:
    async with Listener().listening() as listener:
        port = listener.port
    error = await refused(port, tmp_path, "http")
    assert type(error) is Unreachable
    assert error.retryable
    assert RetryPolicy().wait_before_next(error, Tries()) is not None


async def test_what_stays_on_this_machine_goes_past_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Listener().listening() as proxy, Listener().listening() as listener:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert await posted(listener.port, tmp_path, "http") == b"{}"
    assert proxy.received == b""


async def test_a_proxy_of_the_environments_carries_calls_to_the_api_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Listener().listening() as proxy, Listener().listening() as listener:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        await refused(listener.port, tmp_path)
    assert proxy.received.startswith(f"CONNECT 127.0.0.1:{listener.port} HTTP/1.1\r\n".encode())
    assert CANARY.encode() not in proxy.received
    assert listener.received == b""


class Silent(Listener):
    """Hears a handshake out and says nothing."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received += await reader.read()
        writer.close()


class Curt(Listener):
    """Resets the connection in the middle of the handshake."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received += await reader.read(16)
        writer.transport.abort()


async def test_a_handshake_that_is_reset_is_no_insecure_connection(tmp_path: Path) -> None:
    async with Curt().listening() as listener:
        error = await refused(listener.port, tmp_path)
    assert type(error) is Unreachable
    assert error.retryable
    assert "secure" not in error.message


async def test_a_handshake_that_never_ends_is_proven_unsent(tmp_path: Path) -> None:
    async with Silent().listening() as listener:
        error = await refused(listener.port, tmp_path, timeouts=Timeouts(connect=0.05))
    assert type(error) is Unreachable
    assert error.retryable
    assert b"POST" not in listener.received


@pytest.mark.parametrize("proxy", [None, "http://127.0.0.1:1"], ids=["direct", "over a proxy"])
@pytest.mark.parametrize("content", [None, b"no certificate"], ids=["missing", "garbage"])
async def test_certificates_that_cannot_be_read_are_told_in_a_sentence_and_nothing_is_sent(
    content: bytes | None, proxy: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "company.pem"
    if content:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    if proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = await refused(1, tmp_path)
    assert type(error) is Unsendable
    assert "SSL_CERT_FILE" in error.message
    assert "Nothing was sent" in error.hint
    assert RetryPolicy().wait_before_next(error, Tries()) is None
