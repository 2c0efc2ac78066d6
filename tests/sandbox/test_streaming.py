"""Streams of the Images API."""

import json
from typing import Any

import httpx2
import openai
import pytest

from .clients import app_of, asked, http_client, image_parts, opened, png, refusal, sdk_client

pytestmark = pytest.mark.anyio


def events_of(response: httpx2.Response) -> list[tuple[str, dict[str, Any]]]:
    """Event names and data of a whole stream."""
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.split("\n\n")[:-1]:
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def streamed(**changes: Any) -> list[tuple[str, dict[str, Any]]]:
    async with http_client() as http:
        return events_of(await http.post("images/generations", json=asked(stream=True, **changes)))


@pytest.mark.parametrize("partial_images", [0, 1, 3])
async def test_a_stream_has_its_partials_then_the_picture_and_bills_both(partial_images: int) -> None:
    events = await streamed(partial_images=partial_images)
    assert [name for name, _ in events] == [
        *["image_generation.partial_image"] * partial_images,
        "image_generation.completed",
    ]
    assert all(name == data["type"] for name, data in events)
    usage = events[-1][1]["usage"]
    assert usage["output_tokens"] == 107 + 100 * partial_images
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_events_have_the_documented_members_and_no_others() -> None:
    (_, partial), (_, completed) = await streamed(partial_images=1)
    shared = {"type", "b64_json", "created_at", "size", "quality", "background", "output_format"}
    assert set(partial) == shared | {"partial_image_index"}
    assert set(completed) == shared | {"usage"}
    assert set(completed["usage"]) == {
        "input_tokens",
        "input_tokens_details",
        "output_tokens",
        "total_tokens",
    }
    assert opened(partial["b64_json"]).size == opened(completed["b64_json"]).size == (1024, 640)
    assert partial["b64_json"] != completed["b64_json"]


async def test_the_streamed_picture_is_the_one_that_would_come_at_once() -> None:
    answer = await sdk_client().images.generate(**asked())
    assert answer.data is not None
    assert (await streamed())[-1][1]["b64_json"] == answer.data[0].b64_json


async def test_several_streamed_pictures_come_one_after_another_each_with_its_usage() -> None:
    events = await streamed(n=2, safety_identifier="s1")
    assert [data["usage"]["output_tokens"] for _, data in events] == [107, 107]
    assert events[0][1]["b64_json"] != events[1][1]["b64_json"]
    assert events[0][1]["safety_identifier"] == "s1"


async def test_the_official_client_reads_the_stream() -> None:
    stream = await sdk_client().images.generate(**asked(stream=True, partial_images=2))
    kinds = [event.type async for event in stream]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


async def test_edits_stream_under_their_own_names() -> None:
    client = sdk_client()
    stream = await client.images.edit(
        image=("a.png", png(), "image/png"), **asked(stream=True, partial_images=1)
    )
    kinds = [event.type async for event in stream]
    assert kinds == ["image_edit.partial_image", "image_edit.completed"]


async def test_a_prompt_refused_at_once_has_no_stream() -> None:
    async with http_client() as http:
        asking = asked(stream=True, prompt="[moderation:input:sexual]")
        error = await refusal(await http.post("images/generations", json=asking), 400)
    assert error["code"] == "moderation_blocked"


async def test_a_picture_refused_late_ends_the_stream_with_an_error_event() -> None:
    events = await streamed(prompt="[moderation:output:sexual]", partial_images=1)
    assert [name for name, _ in events] == ["image_generation.partial_image", "error"]
    error = events[-1][1]
    assert error["sequence_number"] == 0
    assert (error["error"]["type"], error["error"]["code"]) == (
        "image_generation_user_error",
        "moderation_blocked",
    )
    assert error["error"]["moderation_details"]["moderation_stage"] == "output"


async def test_the_official_client_raises_on_an_error_event() -> None:
    stream = await sdk_client().images.generate(**asked(stream=True, prompt="[moderation:output:sexual]"))
    with pytest.raises(openai.APIError, match="safety system"):
        async for _ in stream:
            pass


async def test_a_form_may_ask_for_a_stream() -> None:
    fields = {
        "model": "gpt-image-2",
        "prompt": "x",
        "stream": "true",
        "partial_images": "1",
        "quality": "low",
    }
    async with http_client(app_of()) as http:
        response = await http.post("images/edits", data=fields, files=image_parts(png()))
    assert len(events_of(response)) == 2
