from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import httpx2
import pytest


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def test_the_sandbox_serves_anybodys_tests_on_loopback(port: int) -> None:
    command = [sys.executable, "-m", "gpt_image_2_mcp", "sandbox", "--port", str(port)]
    command += ["--fail", "rate_limit", "--fail-count", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=dict(os.environ))  # noqa: TID251
    try:
        assert process.stderr is not None
        assert f"OPENAI_BASE_URL=http://127.0.0.1:{port}/v1" in process.stderr.readline().decode()
        url = f"http://127.0.0.1:{port}/v1/images/generations"
        body = {"model": "gpt-image-2", "prompt": "x", "size": "1024x640", "quality": "low"}
        client = httpx2.Client(headers={"Authorization": "Bearer any"}, trust_env=False)
        with client:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    first = client.post(url, json=body)
                    break
                except httpx2.ConnectError:
                    continue
            assert first.status_code == 429
            assert client.post(url, json=body).json()["size"] == "1024x640"
    finally:
        process.terminate()
        process.communicate(timeout=30)
