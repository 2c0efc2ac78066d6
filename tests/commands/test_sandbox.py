from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import httpx2
from click.testing import CliRunner

from gpt_image_2_mcp.cli import cli


def test_the_sandbox_serves_anybodys_tests_on_loopback() -> None:
    command = [sys.executable, "-m", "gpt_image_2_mcp", "sandbox", "--port", "0"]
    command += ["--fail", "rate_limit", "--fail-count", "1", "--images-per-minute", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=dict(os.environ))  # noqa: TID251
    try:
        assert process.stderr is not None
        line = process.stderr.readline().decode().strip()
        base = line.removeprefix("Sandbox Images API: OPENAI_BASE_URL=")
        body = {"model": "gpt-image-2", "prompt": "x", "size": "1024x640", "quality": "low"}
        headers = {"Authorization": "Bearer any"}
        with httpx2.Client(base_url=base, headers=headers, trust_env=False, timeout=30) as client:
            assert client.post("images/generations", json=body).status_code == 429
            assert client.post("images/generations", json=body).json()["size"] == "1024x640"
            assert "Limit 2" in client.post("images/generations", json={**body, "n": 2}).text
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_script_reads_where_the_sandbox_is() -> None:
    command = [sys.executable, "-m", "gpt_image_2_mcp", "sandbox", "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ))  # noqa: TID251
    try:
        assert process.stdout is not None
        base = json.loads(process.stdout.readline())["base_url"]
        headers = {"Authorization": "Bearer any"}
        with httpx2.Client(base_url=base, headers=headers, trust_env=False, timeout=30) as client:
            assert client.get("models").status_code == 200
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_count_of_failures_needs_a_failure() -> None:
    result = CliRunner().invoke(cli, ["sandbox", "--fail-count", "2"])
    assert result.exit_code == 2
    assert "give both" in result.output


def test_a_port_that_is_taken_is_told_and_is_no_matter_of_money() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(cli, ["sandbox", "--port", str(port)])
    assert result.exit_code == 2
    assert f"127.0.0.1:{port} cannot be listened on" in result.output


def test_a_port_that_is_none_is_refused() -> None:
    result = CliRunner().invoke(cli, ["sandbox", "--port", "65536"])
    assert result.exit_code == 2
    assert "0<=x<=65535" in result.output
