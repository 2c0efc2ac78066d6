"""Which server an address leads to, and what each takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpt_image_2_mcp.errors import ConfigurationError, InvalidRequest
from gpt_image_2_mcp.providers import (
    COMPATIBLE,
    NAMES,
    OPENAI,
    PROVIDERS,
    Provider,
    check_address,
    check_offer,
    named,
    provider_at,
)


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://API.OpenAI.com/v1", "openai"),
        ("https://api.openai.com.evil.example/v1", "compatible"),
        ("https://res.openai.azure.com/openai/v1", "azure"),
        ("https://res.services.ai.azure.com/openai/v1", "azure"),
        ("https://res.cognitiveservices.azure.com/openai/v1", "azure"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://notopenrouter.ai/api/v1", "compatible"),
        # What is not theirs alone tells nothing.
        ("https://api.groq.com/openai/v1", "compatible"),
        ("http://localhost:8080/v1", "compatible"),
        ("http://localhost:8000/v1", "compatible"),
        ("http://localhost:30000/v1", "compatible"),
    ],
)
def test_an_address_tells_its_server_where_it_is_nobody_elses(base_url: str, name: str) -> None:
    assert provider_at(base_url).name == name


@pytest.mark.parametrize(
    ("base_url", "what"),
    [
        ("https://res.openai.azure.com/openai/deployments/my-images", "older address of one deployment"),
        ("https://proxy.example/openai/deployments/my-images/images", "older address of one deployment"),
        ("https://res.openai.azure.com", "no address of Azure's v1 API"),
        ("https://res.openai.azure.com/openai", "no address of Azure's v1 API"),
        ("https://res.services.ai.azure.com/models", "no address of Azure's v1 API"),
    ],
)
def test_an_address_of_azure_that_leads_nowhere_is_told_the_one_to_use(base_url: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as caught:
        check_address(base_url)
    host = base_url.split("/")[2]
    assert f"https://{host}/openai/v1 " in caught.value.hint
    assert "GPT_IMAGE_2_DEPLOYMENTS" in caught.value.hint


@pytest.mark.parametrize(
    "base_url",
    [
        "https://res.openai.azure.com/openai/v1",
        "https://res.openai.azure.com/openai/v1/",
        "http://[::1]:1/v1",
    ],
)
def test_other_addresses_pass(base_url: str) -> None:
    check_address(base_url)


def test_names_are_what_people_type() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(name == name.lower() and " " not in name for name in NAMES)
    assert named("azure").key_header == "api-key"


@pytest.mark.parametrize("provider", PROVIDERS, ids=NAMES)
def test_every_server_takes_what_every_request_has(provider: Provider) -> None:
    asked = {"model": "m", "n": 1, "size": "auto", "quality": "auto", "background": None, "user": "u"}
    check_offer(provider, "generate", asked)
    check_offer(provider, "edit", {**asked, "output_format": "png", "moderation": "low"})


@pytest.mark.parametrize("provider", [OPENAI, COMPATIBLE, named("azure"), named("litellm")])
def test_what_only_the_server_knows_is_left_to_it(provider: Provider) -> None:
    check_offer(provider, "edit", {"quality": "max", "anything": "new"}, ["mask", "markup"])


def test_with_a_mask_localai_takes_less() -> None:
    localai = named("localai")
    check_offer(localai, "edit", {"size": "512x512", "n": 2})
    with pytest.raises(InvalidRequest, match=r"LocalAI.* takes no `n`"):
        check_offer(localai, "edit", {"n": 2}, ["mask"])


def test_a_deployment_and_its_model_stand_for_each_other() -> None:
    provider = replace(OPENAI, deployments=(("my-images", "gpt-image-2"), ("other", "gpt-image-2.5-flare")))
    assert provider.model_behind("my-images") == "gpt-image-2"
    assert provider.model_behind("gpt-image-2") == "gpt-image-2"
    assert provider.name_of("gpt-image-2.5-flare") == "other"
    assert provider.name_of("gpt-image-2.6-flare") == "gpt-image-2.6-flare"


def test_a_prefix_is_for_openais_models_alone() -> None:
    provider = named("openrouter")
    assert provider.name_of("gpt-image-2") == "openai/gpt-image-2"
    assert provider.name_of("bytedance-seed/seedream-4.5") == "bytedance-seed/seedream-4.5"
    assert provider.model_behind("openai/gpt-image-2") == "gpt-image-2"
    assert provider.model_behind("bytedance-seed/seedream-4.5") == "bytedance-seed/seedream-4.5"


@pytest.mark.parametrize("provider", PROVIDERS, ids=NAMES)
def test_what_a_model_is_called_there_leads_back_to_it(provider: Provider) -> None:
    deployed = replace(provider, deployments=(("a", "gpt-image-2"),))
    for model in ("gpt-image-2", "gpt-image-2.5-flare", "some/model"):
        assert deployed.model_behind(deployed.name_of(model)) == model
