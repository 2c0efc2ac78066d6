"""A call as the request that each server understands."""

from __future__ import annotations

import base64
from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from gpt_image_2_mcp.contents import whole
from gpt_image_2_mcp.errors import InvalidRequest
from gpt_image_2_mcp.gateways._requests import ApiRequest, api_request, named_files, request_body
from gpt_image_2_mcp.models import ImageJob, ImageReference
from gpt_image_2_mcp.providers import COMPATIBLE, NAMES, OPENAI, Provider, named
from tests.gateways.samples import input_image, job
from tests.support.pictures import mask, picture

MASKED = job("edit", images=(input_image(data=picture()),), mask=input_image("mask.png", mask()), size="auto")


def order(provider: Provider, work: ImageJob, *, stream: bool = False) -> ApiRequest:
    return api_request(work, stream, provider)


@pytest.mark.parametrize("provider", [OPENAI, COMPATIBLE, named("litellm"), named("azure")])
def test_servers_of_all_options_get_what_openai_gets(provider: Provider) -> None:
    work = job(size="auto", quality="max", user="u", partial_images=2)
    assert order(provider, work) == ApiRequest("images/generations", json=request_body(work))
    assert list(order(provider, work).json or {}) == list(request_body(work))


def test_an_edit_is_a_form_of_texts_and_files() -> None:
    found = order(OPENAI, MASKED, stream=True)
    assert found.path == "images/edits"
    assert found.form == {"prompt": MASKED.prompt, "model": "gpt-image-2", "size": "auto", "stream": "true"}
    assert found.files == named_files(MASKED)


def test_a_server_that_does_not_stream_is_not_asked_to() -> None:
    found = order(replace(OPENAI, streams=False), job(partial_images=2), stream=True)
    assert not {"stream", "partial_images"} & set(found.json or {})


def test_auto_is_no_value_of_a_server_whose_options_are_known() -> None:
    found = order(named("sglang"), job(size="auto", quality="auto", n=1, user="u"))
    assert set(found.json or {}) == {"prompt", "model", "n", "response_format"}


def test_a_mask_is_painted_and_the_picture_left_alone() -> None:
    found = order(named("stable-diffusion.cpp"), MASKED)
    files = dict(found.files or [])
    assert files["image[]"] == named_files(MASKED)[0][1]
    painted = Image.open(BytesIO(whole(files["mask"].data)))
    assert painted.mode == "L"
    assert [painted.getpixel(at) for at in ((0, 0), (63, 47))] == [255, 0]


def test_a_mask_that_cannot_be_painted_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(InvalidRequest, match="cannot be painted"):
        order(named("stable-diffusion.cpp"), replace(MASKED, mask=input_image("mask.png", b"\x89PNG")))


def test_localai_gets_pictures_as_bare_base64_and_with_a_mask_as_a_form() -> None:
    plain = order(named("localai"), replace(MASKED, mask=None))
    assert plain.path == "images/generations"
    assert [base64.b64decode(text) for text in (plain.json or {})["ref_images"]] == [picture()]
    masked = order(named("localai"), MASKED)
    assert (masked.path, set(masked.form or {})) == ("images/inpainting", {"prompt", "model"})
    assert [name for name, _ in masked.files or []] == ["image", "mask"]


def test_openrouter_gets_pictures_as_references() -> None:
    found = order(named("openrouter"), replace(MASKED, mask=None))
    text = base64.b64encode(picture()).decode()
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{text}"}}
    assert found == ApiRequest(
        "images", json={"prompt": MASKED.prompt, "model": "openai/gpt-image-2", "input_references": [url]}
    )


@pytest.mark.parametrize("name", [name for name in NAMES if not named(name).json_edits])
def test_a_picture_that_stands_at_openai_is_for_openai_alone(name: str) -> None:
    work = replace(MASKED, images=(ImageReference("file_id", "file-1"),), mask=None)
    with pytest.raises(InvalidRequest, match="takes no pictures that stand at OpenAI"):
        order(named(name), work)
    assert order(OPENAI, work).json == {**request_body(work), "images": [{"file_id": "file-1"}]}


def test_moderation_of_an_edit_makes_it_json_for_openai_alone() -> None:
    work = replace(MASKED, options=MASKED.options.model_copy(update={"moderation": "low"}))
    assert order(OPENAI, work).json is not None
    found = order(named("litellm"), work)
    assert (found.json, "moderation" in (found.form or {})) == (None, False)


@pytest.mark.parametrize("name", NAMES)
def test_a_request_that_is_looked_at_holds_no_picture(name: str) -> None:
    work = replace(MASKED, mask=None)
    outline = api_request(work, False, named(name), outlined=True).outline()
    shown = f"{dict(outline.body)} {outline.files}"
    assert base64.b64encode(picture()).decode() not in shown
    assert str(len(picture())) in shown
    assert outline.path == order(named(name), work).path
