"""The image and its compose file: what they set is what the server reads, and nobody in them is root."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from gpt_image_2_mcp.settings import read_settings
from gpt_image_2_mcp.variables import TABLE
from tests.support.installed import ROOT

DOCKERFILE: Final = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: Final = (ROOT / "compose.yaml").read_text("utf-8")
FINAL: Final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE], ids=["Dockerfile", "compose.yaml"])
def test_every_variable_that_is_set_is_a_setting(text: str) -> None:
    named = set(re.findall(r"\b(?:OPENAI|GPT_IMAGE_2)_[A-Z0-9_]+", text))
    assert named
    assert named <= {setting.name for setting in TABLE}


def test_whoever_runs_in_the_image_is_not_root() -> None:
    (user,) = re.findall(r"^USER (.+)$", FINAL, re.MULTILINE)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_what_the_image_keeps_is_in_its_volume() -> None:
    (volume,) = re.findall(r"^VOLUME (.+)$", FINAL, re.MULTILINE)
    variables = dict(re.findall(r"\b(GPT_IMAGE_2_\w+|HOME)=(\S+)", FINAL))
    settings = read_settings(variables)
    for folder in (settings.output_dir, settings.state_dir, Path(variables["HOME"])):
        assert folder is not None
        assert folder.is_relative_to(volume)


def test_all_that_is_copied_into_the_image_is_let_through_to_it() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignored[0] == "*"
    let_through = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    sources = {
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    }
    assert {Path(source).parts[0] for source in sources} == let_through
    assert all((ROOT / source).exists() for source in sources)


def test_the_check_of_health_asks_the_port_that_is_served() -> None:
    (served,) = re.findall(r'--http, "0\.0\.0\.0:(\d+)"', COMPOSE)
    assert re.findall(r"http://127\.0\.0\.1:(\d+)/readyz", COMPOSE) == [served]
    assert re.findall(r"^EXPOSE (\d+)$", FINAL, re.MULTILINE) == [served]
    assert f'"127.0.0.1:{served}:{served}"' in COMPOSE


def test_the_image_proves_its_name_to_the_registry() -> None:
    assert 'io.modelcontextprotocol.server.name="io.github.OWNER/gpt-image-2-mcp"' in FINAL
