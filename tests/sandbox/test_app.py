"""What all routes share: keys, request ids, unknown routes; and the list of models."""

from datetime import date

import anyio
import openai
import pytest

import gpt_image_2_mcp.sandbox as sandbox
from gpt_image_2_mcp.sandbox.bodies import MAX_BODY_BYTES

from .clients import app_of, asked, http_client, refusal, sdk_client

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer  ", "Basic abc"])
async def test_a_request_without_a_key_is_refused(header: str) -> None:
    async with http_client() as http:
        error = await refusal(await http.get("models", headers={"authorization": header}), 401)
    assert error["message"].startswith("You didn't provide an API key.")
    assert error["code"] is None


async def test_an_invalid_key_is_refused_and_masked() -> None:
    async with http_client(key="sk-invalid") as http:
        error = await refusal(await http.post("images/generations", json=asked()), 401)
    assert error["code"] == "invalid_api_key"
    assert "sk-...alid" in error["message"]
    assert "sk-invalid" not in error["message"]


async def test_every_answer_has_a_request_id_of_its_own() -> None:
    async with http_client() as http:
        ids = {(await http.get(path)).headers["x-request-id"] for path in ("models", "models", "nowhere")}
    assert len(ids) == 3
    assert all(name.startswith("req_") for name in ids)


async def test_an_unknown_route_is_refused_in_openais_envelope() -> None:
    async with http_client() as http:
        error = await refusal(await http.post("images/variations"), 404)
    assert error["message"] == "Invalid URL (POST /v1/images/variations)"


async def test_a_wrong_method_is_refused_in_openais_envelope() -> None:
    async with http_client() as http:
        await refusal(await http.get("images/generations"), 405)


async def test_a_body_announced_as_enormous_is_refused_unread() -> None:
    async with http_client() as http:
        headers = {"content-length": str(MAX_BODY_BYTES + 1), "content-type": "application/json"}
        await refusal(await http.post("images/generations", content=b"{}", headers=headers), 413)


async def test_models_carry_their_shutdown_dates() -> None:
    models = {model.id: model.shutdown_date async for model in sdk_client().models.list()}
    assert models["gpt-image-1.5"] == "2026-12-01"
    assert models["gpt-image-2"] is None
    assert "gpt-image-1" not in models
    assert (await sdk_client().models.retrieve("gpt-image-2.6-flare")).owned_by == "system"


async def test_models_disappear_on_their_shutdown_date() -> None:
    client = sdk_client(app_of(today=date(2026, 12, 1)))
    assert "gpt-image-1.5" not in {model.id async for model in client.models.list()}
    for name in ("gpt-image-1.5", "gpt-image-9"):
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            await client.models.retrieve(name)
    with pytest.raises(openai.NotFoundError, match="deprecated"):
        await client.images.generate(model="gpt-image-1.5", prompt="a fox")


async def test_many_requests_at_once_are_all_answered() -> None:
    client = sdk_client()
    sizes: list[str | None] = []

    async def one(number: int) -> None:
        answer = await client.images.generate(**asked(prompt=f"fox {number}"))
        sizes.append(answer.size)

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(one, number)
    assert sizes == ["1024x640"] * 8


def test_the_package_offers_three_names_and_no_more() -> None:
    assert sandbox.create_app is not None
    with pytest.raises(AttributeError, match="paint_all"):
        sandbox.paint_all  # noqa: B018
