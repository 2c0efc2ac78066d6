"""The endpoint responses with its image tool."""

import io
from datetime import date
from typing import Any

import openai
import pytest
from PIL import Image, ImageChops

from .clients import SMALL, app_of, asked, data_url, hole, http_client, opened, png, refusal, sdk_client
from .test_streaming import events_of

pytestmark = pytest.mark.anyio

HOST = "gpt-5.4-mini"
TOOL = {"type": "image_generation", "model": "gpt-image-2", "size": SMALL, "quality": "low"}


def request_body(given: Any = "a fox", tool: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "model": HOST,
        "input": given,
        "tools": [TOOL | (tool or {})],
        "tool_choice": {"type": "image_generation"},
    } | changes


def message(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def text(words: str) -> dict[str, Any]:
    return {"type": "input_text", "text": words}


async def test_a_picture_comes_as_a_tool_call_with_its_own_usage() -> None:
    response = await sdk_client().responses.create(**request_body())
    (call,) = response.output
    assert call.type == "image_generation_call"
    assert opened(call.result).size == (1024, 640)
    reported = (call.status, call.action, call.size, call.quality, call.background, call.output_format)
    assert reported == ("completed", "generate", SMALL, "low", "opaque", "png")
    assert call.revised_prompt == "Create this picture: a fox"
    assert response.status == "completed"
    assert response.usage is not None
    assert response.tool_usage is not None
    assert response.tool_usage.image_gen.output_tokens == 107
    assert response.usage.output_tokens == 42


async def test_an_edit_works_on_files_and_data_urls() -> None:
    client = sdk_client()
    file = await client.files.create(file=("a.png", png(), "image/png"), purpose="vision")
    parts = (
        text("add a hat"),
        {"type": "input_image", "file_id": file.id},
        {"type": "input_image", "image_url": data_url(png((512, 512)))},
    )
    response = await client.responses.create(**request_body(message(*parts)))
    assert response.output[0].action == "edit"
    assert response.tool_usage is not None
    assert response.tool_usage.image_gen.input_tokens_details.image_tokens == 32 * 24 + 1024


async def test_a_mask_protects_what_it_covers() -> None:
    source = png((1024, 640))
    tool = {"input_image_mask": {"image_url": data_url(hole((1024, 640), (300, 200, 700, 500)))}}
    parts = (text("a pond"), {"type": "input_image", "image_url": data_url(source)})
    response = await sdk_client().responses.create(**request_body(message(*parts), tool))
    made = opened(response.output[0].result)
    box = ImageChops.difference(Image.open(io.BytesIO(source)), made).getbbox()
    assert box is not None
    assert box >= (300, 200, 0, 0)
    assert box[2] <= 700
    assert box[3] <= 500


async def test_the_next_turn_builds_on_the_last_result() -> None:
    client = sdk_client()
    first = await client.responses.create(**request_body())
    by_response = await client.responses.create(**request_body("dusk", previous_response_id=first.id))
    call = {"type": "image_generation_call", "id": first.output[0].id}
    by_item = await client.responses.create(**request_body([call, *message(text("dusk"))]))
    assert by_response.output[0].action == "edit"
    assert by_response.output[0].result == by_item.output[0].result


async def test_a_new_picture_can_be_asked_for_in_spite_of_an_old_one() -> None:
    parts = (text("a fox"), {"type": "input_image", "image_url": data_url(png())})
    response = await sdk_client().responses.create(**request_body(message(*parts), {"action": "generate"}))
    assert response.output[0].action == "generate"


async def test_the_last_words_of_the_user_are_the_prompt() -> None:
    given = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": [text("second")]},
    ]
    response = await sdk_client().responses.create(**request_body(given))
    assert response.output[0].revised_prompt == "Create this picture: second"


async def test_the_default_model_is_the_newest() -> None:
    tool = {"type": "image_generation", "size": SMALL, "quality": "xhigh"}
    response = await sdk_client().responses.create(
        **request_body(tools=["junk", {"type": "web_search"}, tool])
    )
    assert response.output[0].quality == "xhigh"


async def test_an_svg_has_the_host_as_its_author() -> None:
    tool = {"model": "gpt-image-2.6-flare", "output_format": "svg", "svg": {"reasoning": {"effort": "low"}}}
    response = await sdk_client().responses.create(**request_body(tool=tool))
    call = response.output[0]
    assert call.type == "image_generation_call"
    assert call.svg_usage is not None
    assert call.svg_usage.model == HOST


async def test_a_refused_picture_fails_its_call_and_not_the_response() -> None:
    response = await sdk_client().responses.create(**request_body("[moderation:output:sexual]"))
    (call,) = response.output
    assert call.type == "image_generation_call"
    assert response.status == "completed"
    assert (call.status, call.result) == ("failed", None)
    assert call.error is not None
    assert call.error.code == "moderation_blocked"
    assert call.error.moderation_details is not None
    assert call.error.moderation_details.categories == ["sexual"]
    assert response.tool_usage is not None
    assert response.tool_usage.image_gen.total_tokens == 0


@pytest.mark.parametrize(
    ("choice", "called"),
    [("auto", True), ("required", True), (None, True), ("none", False), ({"type": "web_search"}, False)],
)
async def test_the_tool_is_called_unless_the_choice_forbids_it(choice: Any, called: bool) -> None:
    async with http_client() as http:
        body = (await http.post("responses", json=request_body(tool_choice=choice))).json()
    assert [item["type"] for item in body["output"]] == ["image_generation_call" if called else "message"]


async def test_a_stream_tells_the_life_of_the_call() -> None:
    async with http_client() as http:
        body = request_body(tool={"partial_images": 2}, stream=True)
        events = events_of(await http.post("responses", json=body))
    assert [name.removeprefix("response.") for name, _ in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "image_generation_call.in_progress",
        "image_generation_call.generating",
        "image_generation_call.partial_image",
        "image_generation_call.partial_image",
        "image_generation_call.completed",
        "output_item.done",
        "completed",
    ]
    assert [data["sequence_number"] for _, data in events] == list(range(10))
    assert opened(events[5][1]["partial_image_b64"]).size == (1024, 640)
    assert opened(events[8][1]["item"]["result"]).size == (1024, 640)
    final = events[9][1]["response"]
    assert final["tool_usage"]["image_gen"]["output_tokens"] == 107 + 200


async def test_the_official_client_reads_the_stream() -> None:
    stream = await sdk_client().responses.create(**request_body(stream=True))
    kinds = [event.type async for event in stream]
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


async def test_a_gif_may_be_streamed_without_partials() -> None:
    tool = {"model": "gpt-image-2.6-flare", "output_format": "gif", "size": "512x512", "frame_count": 2}
    stream = await sdk_client().responses.create(**request_body(tool=tool, stream=True))
    assert [event.type async for event in stream][-1] == "response.completed"


async def test_a_streamed_message_has_no_image_events() -> None:
    stream = await sdk_client().responses.create(**request_body(tool_choice="none", stream=True))
    kinds = [event.type async for event in stream]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]


async def faulty(mode: str, **changes: Any) -> Any:
    async with http_client() as http:
        return await http.post("responses", json=request_body(**changes), headers={"x-sandbox-fault": mode})


async def test_faults_spoil_responses_too() -> None:
    empty = (await faulty("empty")).json()
    assert empty["output"] == []
    assert empty["tool_usage"]["image_gen"]["total_tokens"] == 0
    assert "!!!" in (await faulty("bad_base64")).json()["output"][0]["result"]
    assert "!!!" in (await faulty("bad_base64", stream=True, tool={"partial_images": 1})).text
    assert (await faulty("stream_cut", stream=True)).text.count("\n\n") == 7
    failed = events_of(await faulty("stream_error", stream=True))
    assert failed[-1][0] == "error"
    assert failed[-1][1]["code"] == "server_error"
    assert (await faulty("server_error")).status_code == 500


REFUSALS: list[tuple[dict[str, Any], int, str | None, str | None]] = [
    ({"model": None}, 400, "missing_required_parameter", "model"),
    ({"model": "gpt-image-2"}, 400, "invalid_value", "model"),
    ({"model": "gpt-3"}, 404, "model_not_found", None),
    ({"input": None}, 400, "missing_required_parameter", "input"),
    ({"input": 7}, 400, "invalid_type", "input"),
    ({"input": ["x"]}, 400, "invalid_type", "input[0]"),
    ({"input": [{"role": "user", "content": 7}]}, 400, "invalid_type", "input[0].content"),
    ({"input": [{"role": "user", "content": ["x"]}]}, 400, "empty_string", "prompt"),
    (
        {"input": [{"type": "image_generation_call", "id": "ig_0"}]},
        400,
        "image_file_not_found",
        "input[0].id",
    ),
    (
        {"input": message(text("x"), {"type": "input_image"})},
        400,
        "missing_required_parameter",
        "input[0].content[1].image_url",
    ),
    (
        {"input": message(text("x"), {"type": "input_image", "file_id": "file-0"})},
        400,
        "image_file_not_found",
        "input[0].content[1].file_id",
    ),
    (
        {"input": message(text("x"), *[{"type": "input_image", "image_url": data_url(png())}] * 17)},
        400,
        "array_above_max_length",
        "image",
    ),
    ({"previous_response_id": "resp_0"}, 400, "previous_response_not_found", "previous_response_id"),
    ({"background": True}, 400, "unsupported", "background"),
    ({"tools": []}, 400, "unsupported", "tools"),
    ({"tools": None}, 400, "unsupported", "tools"),
    ({"tools": [TOOL | {"n": 2}]}, 400, "unknown_parameter", "n"),
    ({"tools": [TOOL | {"size": "1000x1000"}]}, 400, "invalid_value", "size"),
    ({"tools": [TOOL | {"action": "edit"}]}, 400, "invalid_value", "action"),
    ({"tools": [TOOL | {"partial_images": 1}]}, 400, "invalid_value", "partial_images"),
    (
        {"tools": [TOOL | {"input_image_mask": {"file_id": "file-0"}}]},
        400,
        "invalid_value",
        "input_image_mask",
    ),
]


@pytest.mark.parametrize(("changes", "status", "code", "param"), REFUSALS)
async def test_a_bad_request_is_refused(
    changes: dict[str, Any], status: int, code: str | None, param: str | None
) -> None:
    async with http_client() as http:
        error = await refusal(await http.post("responses", json=request_body(**changes)), status)
    assert (error["code"], error["param"]) == (code, param)


@pytest.mark.parametrize("host", ["gpt-4o", "gpt-4.1-mini"])
async def test_older_hosts_serve_until_their_shutdown(host: str) -> None:
    before = await sdk_client().responses.create(**request_body(model=host))
    assert before.status == "completed"
    with pytest.raises(openai.NotFoundError, match="deprecated"):
        await sdk_client(app_of(today=date(2027, 1, 14))).responses.create(**request_body(model=host))


async def test_the_images_endpoint_and_the_tool_draw_the_same_picture() -> None:
    answer = await sdk_client().images.generate(**asked())
    response = await sdk_client().responses.create(**request_body())
    assert answer.data is not None
    assert response.output[0].result == answer.data[0].b64_json
