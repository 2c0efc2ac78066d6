from __future__ import annotations

from pathlib import Path

import pytest

from gpt_image_2_mcp.commands.trust import trusting
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest
from gpt_image_2_mcp.settings import read_settings


def test_the_folders_of_all_inputs_are_open_each_once(home: Path) -> None:
    inputs = {"images": ["a/1.png", "a/2.png", "https://example.com/3.png"], "mask": "b/m.png"}
    edit = EditRequest.model_validate({"prompt": "x", **inputs})
    other = EditRequest.model_validate({"prompt": "x", "images": ["a/1.png"], "markup": "c/n.png"})
    settings = read_settings({"GPT_IMAGE_2_INPUT_ROOTS": "/pictures"})
    found = trusting(settings, edit, other, GenerateRequest(prompt="x"))
    assert found.input_roots == (Path("/pictures"), home / "a", home / "b", home / "c")
    assert found.output_dir is None


def test_pictures_go_to_the_folder_that_was_typed_else_to_that_of_the_settings(home: Path) -> None:
    settings = read_settings({"GPT_IMAGE_2_OUTPUT_DIR": "/set"})
    assert trusting(settings).output_dir == Path("/set")
    assert trusting(settings, output_dir="typed").output_dir == home / "typed"


def test_a_folder_that_cannot_be_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        trusting(read_settings({}), output_dir="~there-is-no-such-user/x")
    assert caught.value.code == 1
    assert "names no folder that can be" in capsys.readouterr().err
