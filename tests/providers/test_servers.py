"""Pictures from servers other than OpenAI's: a generation and an edit each, through the whole service."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.errors import (
    ImageServerError,
    InvalidRequest,
    ModelNotFound,
    ModerationBlocked,
    Rejected,
    UpstreamFailure,
)
from gpt_image_2_mcp.providers import Provider, named
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest
from gpt_image_2_mcp.results import DryRunResult, ImageResult
from tests.providers import servers
from tests.support.pictures import mask, picture
from tests.support.services import Bench, made
from tests.support.upstreams import Recorder

pytestmark = pytest.mark.anyio
AZURE = replace(named("azure"), deployments=(("my-images", "gpt-image-2"),))
VLLM = replace(named("vllm-omni"), deployments=(("Qwen/Qwen-Image", "gpt-image-2"),))
Server = tuple[Provider, str, Callable[[], Recorder]]
SERVERS: dict[str, Server] = {
    "azure": (AZURE, "https://res.openai.azure.com/openai/v1", servers.azure),
    "stable-diffusion.cpp": (named("stable-diffusion.cpp"), "http://127.0.0.1:1234/v1", servers.sd_cpp),
    "localai": (named("localai"), "http://localhost:8080/v1", lambda: servers.LocalAi().recorder()),
    "vllm-omni": (VLLM, "http://localhost:8000/v1", servers.vllm_omni),
    "sglang": (named("sglang"), "http://localhost:30000/v1", servers.sglang),
    "litellm": (named("litellm"), "http://localhost:4000/v1", servers.litellm),
    "openrouter": (named("openrouter"), "https://openrouter.ai/api/v1", servers.openrouter),
}
COUNTED = ("azure", "litellm")
"""They pass on what OpenAI counted."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    (tmp_path / "in.png").write_bytes(picture())
    (tmp_path / "mask.png").write_bytes(mask())
    yield bench
    await bench.close()


def use(bench: Bench, server: str, **changes: Any) -> None:
    provider, bench.base_url, recorder = SERVERS[server]
    bench.provider, bench.recorder = replace(provider, **changes), recorder()


def generating(**options: Any) -> GenerateRequest:
    return GenerateRequest(**{"prompt": "a fox", **options})


def editing(**options: Any) -> EditRequest:
    return EditRequest(**{"prompt": "a hat", "images": ["in.png"], **options})


async def refused(bench: Bench, request: GenerateRequest | EditRequest) -> ImageServerError:
    service = bench.service()
    with pytest.raises(ImageServerError) as caught:
        await (service.edit(request) if isinstance(request, EditRequest) else service.generate(request))
    return caught.value


def of(result: ImageResult) -> bytes:
    return Path(result.images[0].file_path).read_bytes()


@pytest.mark.parametrize("server", SERVERS)
async def test_a_picture_is_generated(bench: Bench, server: str) -> None:
    use(bench, server)
    result = made(await bench.service().generate(generating(size="1024x1024")))
    assert of(result) == servers.MADE
    assert len(bench.recorder.posts) == 1
    assert (result.usage is not None) == (server in COUNTED)
    assert (result.cost_usd_estimated is not None) == (server in COUNTED)
    assert result.model == "gpt-image-2"


@pytest.mark.parametrize("server", SERVERS)
async def test_a_picture_is_edited(bench: Bench, server: str) -> None:
    use(bench, server)
    result = made(await bench.service().edit(editing(images=["in.png", "in.png"])))
    assert of(result) == servers.MADE
    assert len(bench.recorder.posts) == 1


@pytest.mark.parametrize("server", SERVERS)
async def test_what_changes_no_picture_troubles_no_server(bench: Bench, server: str) -> None:
    use(bench, server)
    request = generating(user="u-1", moderation="low", partial_images=2, size="auto", quality="auto", n=1)
    assert of(made(await bench.service().generate(request))) == servers.MADE


@pytest.mark.parametrize(
    ("server", "request_", "argument"),
    [
        ("stable-diffusion.cpp", generating(quality="high"), "`quality`"),
        ("stable-diffusion.cpp", generating(background="transparent"), "`background`"),
        ("stable-diffusion.cpp", editing(output_format="webp"), "no edit as webp, only as png or jpeg"),
        ("localai", generating(output_format="webp"), "`output_format`"),
        ("localai", editing(mask="mask.png", size="1024x1024"), "`size`"),
        ("vllm-omni", generating(output_format="jpeg", output_compression=50), "`output_compression`"),
        ("vllm-omni", editing(mask="mask.png"), "`mask`"),
        ("sglang", editing(mask="mask.png"), "`mask`"),
        ("sglang", editing(markup="mask.png", model="gpt-image-2.5-flare"), "`markup`"),
        ("stable-diffusion.cpp", generating(model="gpt-image-2.6-flare", complexity="low"), "`complexity`"),
        ("openrouter", editing(mask="mask.png"), "`mask`"),
    ],
)
async def test_what_would_change_the_picture_and_is_not_done_is_refused_before_it_is_sent(
    bench: Bench, server: str, request_: GenerateRequest | EditRequest, argument: str
) -> None:
    use(bench, server)
    error = await refused(bench, request_)
    assert isinstance(error, InvalidRequest)
    assert bench.provider.title in error.message
    assert argument in error.message
    assert bench.recorder.requests == []


# Each one's ways


@pytest.mark.parametrize("image_field", ["image[]", "image"])
async def test_the_field_of_input_pictures_is_the_one_that_is_set(bench: Bench, image_field: Any) -> None:
    use(bench, "azure", image_field=image_field)
    bench.recorder = servers.azure(image_field)
    request = editing(images=["in.png", "in.png"], mask="mask.png")
    assert of(made(await bench.service().edit(request))) == servers.MADE


async def test_azure_that_wants_the_other_field_says_so_as_openai_does(bench: Bench) -> None:
    use(bench, "azure")
    bench.recorder = servers.azure("image")
    error = await refused(bench, editing())
    assert isinstance(error, Rejected)
    assert error.message.startswith("Azure OpenAI refused the request (400): Invalid image file or mode")


async def test_a_deployment_that_azure_does_not_have_is_asked_for_by_its_setting(bench: Bench) -> None:
    use(bench, "azure", deployments=())
    error = await refused(bench, generating())
    assert isinstance(error, ModelNotFound)
    assert "GPT_IMAGE_2_DEPLOYMENTS" in error.hint


async def test_the_model_behind_a_deployment_says_what_it_can_and_costs(bench: Bench) -> None:
    use(bench, "azure")
    service = bench.service()
    result = made(await service.generate(generating(model="my-images", size="1024x1024")))
    assert (result.model, result.cost_usd_estimated) == ("gpt-image-2", 0.00596)
    with pytest.raises(InvalidRequest, match="not legal for gpt-image-2"):
        await service.generate(generating(model="my-images", size="1000x1000"))


async def test_azures_content_filter_is_moderation(bench: Bench) -> None:
    use(bench, "azure")
    error = await refused(bench, generating(prompt="something forbidden"))
    assert isinstance(error, ModerationBlocked)
    assert error.message.startswith("Azure OpenAI's moderation blocked")


async def test_a_mask_is_painted_for_those_who_look_at_its_brightness(bench: Bench) -> None:
    use(bench, "stable-diffusion.cpp")
    assert of(made(await bench.service().edit(editing(mask="mask.png")))) == servers.MADE


async def test_a_server_that_draws_with_its_own_model_is_said_to(bench: Bench) -> None:
    use(bench, "stable-diffusion.cpp")
    result = made(await bench.service().generate(generating()))
    assert result.note == bench.provider.note
    assert "whatever `model` says" in (result.note or "")


async def test_an_error_that_is_a_word_beside_its_message_is_told_whole(bench: Bench) -> None:
    use(bench, "stable-diffusion.cpp")
    error = await refused(bench, generating(prompt="crash"))
    assert isinstance(error, UpstreamFailure)
    assert error.message.endswith("stable-diffusion.cpp failed with status 500: server_error: out of memory")


async def test_localai_inpaints_and_its_picture_is_fetched_from_where_it_says(bench: Bench) -> None:
    use(bench, "localai")
    result = made(await bench.service().edit(editing(mask="mask.png")))
    assert of(result) == servers.MADE
    assert [r.url.path for r in bench.recorder.requests] == [
        "/v1/images/inpainting",
        "/generated-images/a.png",
    ]


async def test_localai_inpaints_one_picture(bench: Bench) -> None:
    use(bench, "localai")
    error = await refused(bench, editing(images=["in.png", "in.png"], mask="mask.png"))
    assert error.code == "invalid_request"
    assert "one picture with a mask, not 2" in error.message
    assert bench.recorder.requests == []


async def test_a_code_that_is_a_number_is_no_hindrance(bench: Bench) -> None:
    use(bench, "localai")
    error = await refused(bench, generating(model="none"))
    assert error.message.endswith("LocalAI failed with status 500: could not load model")


async def test_a_server_that_serves_another_model_says_so(bench: Bench) -> None:
    use(bench, "vllm-omni", deployments=())
    error = await refused(bench, generating())
    assert (
        error.message
        == "vLLM-Omni refused the request (400): Model mismatch: request specifies another model"
    )


async def test_a_list_of_complaints_is_told(bench: Bench) -> None:
    use(bench, "vllm-omni", options=None)
    error = await refused(bench, generating(size="auto"))
    assert error.message.endswith("(422): body.size: size must be in format 'WIDTHxHEIGHT'")


async def test_openais_models_go_by_openrouters_names_for_them(bench: Bench) -> None:
    use(bench, "openrouter")
    service = bench.service()
    for model in ("gpt-image-2", "openai/gpt-image-2"):
        result = made(
            await service.generate(generating(model=model, quality="low", output_format="webp", n=2))
        )
        assert (result.model, len(result.images)) == ("gpt-image-2", 2)
    bodies = [json.loads(request.content) for request in bench.recorder.requests]
    assert {body["model"] for body in bodies} == {"openai/gpt-image-2"}


async def test_a_rehearsal_shows_the_request_that_this_server_would_get(bench: Bench) -> None:
    use(bench, "openrouter")
    result = await bench.service().edit(editing(dry_run=True))
    assert isinstance(result, DryRunResult)
    assert result.request.path == "images"
    assert set(result.request.body) == {"model", "prompt", "input_references"}
    assert bench.recorder.requests == []


async def test_a_rehearsal_of_what_cannot_be_done_is_refused(bench: Bench) -> None:
    use(bench, "localai")
    error = await refused(bench, editing(images=["in.png", "in.png"], mask="mask.png", dry_run=True))
    assert "one picture with a mask, not 2" in error.message


async def test_the_key_goes_where_the_provider_looks_for_it(bench: Bench) -> None:
    use(bench, "azure")
    await bench.service().generate(generating())
    (request,) = bench.recorder.requests
    assert "authorization" not in request.headers
