"""A server on loopback that answers every GET alike, as an API that is asked for its models may."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gpt_image_2_mcp.capabilities import MODELS


def listed(**shutdowns: str | None) -> dict[str, Any]:
    """The list in which every model of our table stands, with other days where they are given."""
    named = {name.replace("_", "-"): day for name, day in shutdowns.items()}
    known = {model.id: model.shutdown and model.shutdown.isoformat() for model in MODELS}
    rows = [{"id": name, "object": "model", "shutdown_date": day} for name, day in (known | named).items()]
    return {"object": "list", "data": rows}


def refused(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


@contextmanager
def answering(
    body: object = None,
    status: int = 200,
    skew: timedelta = timedelta(),
    tls: ssl.SSLContext | None = None,
) -> Iterator[str]:
    """Serves, and gives the base URL; its clock is `skew` ahead."""
    content = json.dumps(listed() if body is None else body).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers: Mapping[str, str] = {
                "Date": format_datetime(datetime.now(UTC) + skew, usegmt=True),
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
            }
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 - its signature

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that trusts nobody leaves
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
