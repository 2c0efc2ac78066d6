"""images/generations through the official client and over plain HTTP."""

import base64
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .clients import SMALL, app_of, asked, http_client, opened, refusal, sdk_client

pytestmark = pytest.mark.anyio


async def test_a_picture_comes_in_the_size_asked_for_with_every_setting_reported() -> None:
    answer = await sdk_client().images.generate(**asked())
    assert answer.data is not None
    picture = opened(answer.data[0].b64_json)
    assert (picture.size, picture.format, picture.mode) == ((1024, 640), "PNG", "RGB")
    reported = (answer.size, answer.quality, answer.background, answer.output_format)
    assert reported == (SMALL, "low", "opaque", "png")
    assert answer.usage is not None
    assert answer.usage.output_tokens == 107
    assert answer.usage.output_tokens_details is not None
    assert answer.usage.output_tokens_details.image_tokens == 107
    assert answer.usage.total_tokens == answer.usage.input_tokens + 107


async def test_several_pictures_differ_and_are_all_billed() -> None:
    answer = await sdk_client().images.generate(**asked(n=3))
    assert answer.data is not None
    assert len({item.b64_json for item in answer.data}) == 3
    assert answer.usage is not None
    assert answer.usage.output_tokens == 3 * 107


async def test_the_same_request_to_the_same_seed_gives_the_same_picture() -> None:
    answers = [await sdk_client(app_of(seed=seed)).images.generate(**asked()) for seed in (4, 4, 5)]
    first, second, other = [answer.data[0].b64_json for answer in answers if answer.data]
    assert first == second
    assert first != other


async def test_auto_is_reported_as_what_was_chosen() -> None:
    answer = await sdk_client().images.generate(model="gpt-image-2", prompt="a fox", background="auto")
    assert (answer.size, answer.quality, answer.background) == ("1024x1024", "medium", "opaque")


async def test_an_older_model_draws_its_fixed_sizes_and_writes_text() -> None:
    answer = await sdk_client().images.generate(**asked(model="gpt-image-1.5", size="1024x1536"))
    assert answer.data is not None
    assert opened(answer.data[0].b64_json).size == (1024, 1536)
    assert answer.usage is not None
    assert answer.usage.output_tokens_details is not None
    assert answer.usage.output_tokens_details.image_tokens == 408
    assert answer.usage.output_tokens_details.text_tokens > 0


@pytest.mark.parametrize(("output_format", "pillow"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
async def test_every_format_is_what_it_says(output_format: Any, pillow: str) -> None:
    compression = {} if output_format == "png" else {"output_compression": 40}
    answer = await sdk_client().images.generate(**asked(output_format=output_format, **compression))
    assert answer.data is not None
    assert opened(answer.data[0].b64_json).format == pillow


async def test_a_transparent_background_is_transparent() -> None:
    asking = asked(model="gpt-image-2.5-flare", background="transparent", output_format="webp")
    answer = await sdk_client().images.generate(**asking)
    assert answer.data is not None
    assert answer.background == "transparent"
    assert opened(answer.data[0].b64_json).convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]


async def test_a_gif_has_its_frames_and_is_billed_by_its_sheet() -> None:
    asking = asked(
        model="gpt-image-2.6-flare", output_format="gif", size="512x512", frame_count=4, frame_duration_ms=96
    )
    answer = await sdk_client().images.generate(**asking)
    assert answer.data is not None
    picture = opened(answer.data[0].b64_json)
    assert (picture.format, picture.size, picture.n_frames) == ("GIF", (512, 512), 4)  # type: ignore[attr-defined]
    assert picture.info["duration"] == 100
    sheet = await sdk_client().images.generate(**asked(model="gpt-image-2.6-flare", size="2048x1024"))
    assert answer.usage == sheet.usage


async def test_a_gif_of_no_chosen_size_has_nine_frames_that_fit_their_sheet() -> None:
    asking = asked(model="gpt-image-2.6-flare", output_format="gif", size="auto")
    answer = await sdk_client().images.generate(**asking)
    assert answer.data is not None
    assert answer.size == "512x512"
    assert opened(answer.data[0].b64_json).n_frames == 9  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("svg", "author"),
    [
        (None, "sandbox-svg-author"),
        ({"model": "gpt-5.5"}, "gpt-5.5"),
        ({"model": "gpt-5.5", "reasoning": {"effort": "low"}}, "gpt-5.5"),
    ],
)
async def test_an_svg_is_a_document_with_its_authors_usage(svg: Any, author: str) -> None:
    asking = asked(model="gpt-image-2.6-sunburst", output_format="svg", svg=svg)
    async with http_client() as http:
        body = (await http.post("images/generations", json=asking)).json()
    assert base64.b64decode(body["data"][0]["b64_json"]).startswith(b"<svg ")
    assert body["svg_usage"]["model"] == author
    assert body["svg_usage"]["total_tokens"] == body["svg_usage"]["input_tokens"] + 900


async def test_only_two_six_names_its_pictures() -> None:
    async with http_client() as http:
        newest = await http.post(
            "images/generations", json=asked(model="gpt-image-2.6-flare", complexity="low")
        )
        older = await http.post("images/generations", json=asked())
    assert newest.json()["data"][0]["generation_id"].startswith("gen_")
    assert set(older.json()["data"][0]) == {"b64_json"}


@pytest.mark.parametrize(
    ("names", "echoed"),
    [
        ({"safety_identifier": "s1", "user": "u1"}, "s1"),
        ({"user": "u1"}, "u1"),
        ({"safety_identifier": "", "user": "u1"}, "u1"),
        ({}, None),
    ],
)
async def test_the_safety_identifier_is_echoed(names: dict[str, str], echoed: str | None) -> None:
    async with http_client() as http:
        body = (await http.post("images/generations", json=asked(**names))).json()
    assert body.get("safety_identifier") == echoed


async def test_nulls_count_as_absent() -> None:
    nulls = dict.fromkeys(["n", "background", "output_format", "stream", "svg", "moderation", "user"])
    async with http_client() as http:
        assert (await http.post("images/generations", json=asked(**nulls))).status_code == 200


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(40, 80), height=st.integers(40, 80))
async def test_every_legal_size_is_met_exactly(width: int, height: int) -> None:
    width, height = width * 16, height * 16
    async with http_client() as http:
        asking = asked(size=f"{width}x{height}", output_format="jpeg")
        response = await http.post("images/generations", json=asking)
    if width * height < 655_360:
        assert (await refusal(response, 400))["param"] == "size"
    else:
        body = response.json()
        assert opened(body["data"][0]["b64_json"]).size == (width, height)
        assert body["size"] == f"{width}x{height}"


USER = "image_generation_user_error"
REQUEST = "invalid_request_error"

REFUSALS = [
    ({"prompt": None}, 400, REQUEST, "missing_required_parameter", "prompt", "Missing required parameter"),
    ({"prompt": ""}, 400, REQUEST, "empty_string", "prompt", "empty string"),
    ({"prompt": 7}, 400, REQUEST, "invalid_type", "prompt", "expected a string, but got an integer"),
    ({"prompt": "x" * 32_001}, 400, REQUEST, "string_above_max_length", "prompt", "maximum length 32000"),
    ({"model": None}, 400, REQUEST, "missing_required_parameter", "model", "'model'"),
    (
        {"model": "gpt-image-9"},
        404,
        REQUEST,
        "model_not_found",
        None,
        "The model 'gpt-image-9' does not exist",
    ),
    ({"model": "dall-e-3"}, 404, REQUEST, "model_not_found", None, "deprecated"),
    ({"model": "gpt-image-1"}, 404, REQUEST, "model_not_found", None, "deprecated"),
    (
        {"response_format": "b64_json"},
        400,
        REQUEST,
        "unknown_parameter",
        "response_format",
        "Unknown parameter: 'response_format'.",
    ),
    ({"input_fidelity": "low"}, 400, REQUEST, "unknown_parameter", "input_fidelity", "Unknown parameter"),
    ({"n": 0}, 400, REQUEST, "integer_below_min_value", "n", "Expected a value >= 1, but got 0"),
    ({"n": 11}, 400, REQUEST, "integer_above_max_value", "n", "Expected a value <= 10, but got 11"),
    ({"n": "3"}, 400, REQUEST, "invalid_type", "n", "expected an integer, but got a string"),
    ({"n": True}, 400, REQUEST, "invalid_type", "n", "got a boolean"),
    ({"n": 1.5}, 400, REQUEST, "invalid_type", "n", "got a decimal number"),
    ({"n": [1]}, 400, REQUEST, "invalid_type", "n", "got an array"),
    ({"stream": "yes"}, 400, REQUEST, "invalid_type", "stream", "expected a boolean"),
    (
        {"size": "4096x4096"},
        400,
        USER,
        "invalid_value",
        "size",
        "Invalid size '4096x4096'. The longest edge must be less than or equal to 3840.",
    ),
    (
        {"size": "576x1024"},
        400,
        USER,
        "invalid_value",
        "size",
        "Invalid size '576x1024'. Requested resolution is below the current minimum pixel budget.",
    ),
    (
        {"size": "3840x2880"},
        400,
        USER,
        "invalid_value",
        "size",
        "Requested resolution exceeds the current pixel budget",
    ),
    (
        {"size": "1000x1000"},
        400,
        REQUEST,
        "invalid_value",
        "size",
        "Invalid size '1000x1000'. Width and height must be divisible by 16.",
    ),
    ({"size": "1920x1080"}, 400, REQUEST, "invalid_value", "size", "divisible by 16"),
    ({"size": "3200x800"}, 400, USER, "invalid_value", "size", "between 1:3 and 3:1"),
    ({"size": "wide"}, 400, REQUEST, "invalid_value", "size", "WIDTHxHEIGHT"),
    ({"size": "-16x16"}, 400, REQUEST, "invalid_value", "size", "WIDTHxHEIGHT"),
    (
        {"model": "gpt-image-1.5"},
        400,
        REQUEST,
        "invalid_value",
        "size",
        "Supported values are: '1024x1024', '1536x1024', '1024x1536', and 'auto'.",
    ),
    (
        {"quality": "xhigh"},
        400,
        REQUEST,
        "invalid_value",
        "quality",
        "The model 'gpt-image-2' does not support quality 'xhigh'",
    ),
    (
        {"quality": "hd"},
        400,
        REQUEST,
        "invalid_value",
        "quality",
        "Supported values are: 'low', 'medium', 'high', and 'auto'.",
    ),
    (
        {"background": "transparent"},
        400,
        REQUEST,
        "invalid_value",
        "background",
        "Transparent background is not supported for this model.",
    ),
    (
        {"model": "gpt-image-2.5-flare", "background": "transparent", "output_format": "jpeg"},
        400,
        REQUEST,
        "invalid_value",
        "background",
        "output format 'jpeg'",
    ),
    (
        {"background": "blue"},
        400,
        REQUEST,
        "invalid_value",
        "background",
        "'transparent', 'opaque', and 'auto'",
    ),
    ({"output_format": "bmp"}, 400, REQUEST, "invalid_value", "output_format", "Supported values"),
    (
        {"output_format": "gif"},
        400,
        REQUEST,
        "invalid_value",
        "output_format",
        "does not support output format",
    ),
    ({"output_compression": 50}, 400, REQUEST, "invalid_value", "output_compression", "'png'"),
    ({"output_compression": 101}, 400, REQUEST, "integer_above_max_value", "output_compression", "<= 100"),
    (
        {"partial_images": 4, "stream": True},
        400,
        REQUEST,
        "integer_above_max_value",
        "partial_images",
        "<= 3",
    ),
    ({"partial_images": 2}, 400, REQUEST, "invalid_value", "partial_images", "'stream' is true"),
    ({"complexity": "low"}, 400, REQUEST, "invalid_value", "complexity", "does not support the 'complexity'"),
    ({"moderation": "off"}, 400, REQUEST, "invalid_value", "moderation", "'auto', and 'low'"),
    ({"frame_count": 4}, 400, REQUEST, "invalid_value", "frame_count", "'output_format' is 'gif'"),
    (
        {"frame_duration_ms": 40},
        400,
        REQUEST,
        "invalid_value",
        "frame_duration_ms",
        "'output_format' is 'gif'",
    ),
    ({"svg": {"model": "m"}}, 400, REQUEST, "invalid_value", "svg", "'output_format' is 'svg'"),
]


@pytest.mark.parametrize(("changes", "status", "kind", "code", "param", "words"), REFUSALS)
async def test_a_bad_parameter_is_refused_in_openais_words(
    changes: dict[str, Any], status: int, kind: str, code: str, param: str | None, words: str
) -> None:
    async with http_client() as http:
        error = await refusal(await http.post("images/generations", json=asked(**changes)), status)
    assert (error["type"], error["code"], error["param"]) == (kind, code, param)
    assert words in error["message"]


GIF = {"model": "gpt-image-2.6-flare", "output_format": "gif", "size": "512x512"}
SVG = {"model": "gpt-image-2.6-flare", "output_format": "svg"}


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        (GIF | {"frame_count": 1}, "frame_count"),
        (GIF | {"frame_count": 17}, "frame_count"),
        (GIF | {"frame_duration_ms": 0}, "frame_duration_ms"),
        (GIF | {"stream": True}, "stream"),
        (GIF | {"output_compression": 100}, "output_compression"),
        (GIF | {"background": "transparent"}, "background"),
        (GIF | {"size": "1024x1024", "frame_count": 6}, "size"),
        (GIF | {"size": "256x256", "frame_count": 4}, "size"),
        (SVG | {"n": 2}, "n"),
        (SVG | {"stream": True}, "stream"),
        (SVG | {"output_compression": 100}, "output_compression"),
        (SVG | {"svg": {}}, "svg.model"),
        (SVG | {"svg": {"model": ""}}, "svg.model"),
        (SVG | {"svg": "gpt-5.5"}, "svg"),
        (SVG | {"svg": {"model": "m", "voice": 1}}, "svg.voice"),
        (SVG | {"svg": {"model": "m", "reasoning": {"effort": "huge"}}}, "svg.reasoning.effort"),
    ],
)
async def test_moving_and_vector_pictures_have_limits_of_their_own(
    changes: dict[str, Any], param: str
) -> None:
    async with http_client() as http:
        error = await refusal(await http.post("images/generations", json=asked(**changes)), 400)
    assert error["param"] == param


@pytest.mark.parametrize(
    ("content", "content_type", "words"),
    [
        (b"{", "application/json", "could not parse the JSON"),
        (b"[1]", "application/json", "could not parse the JSON"),
        (b"\xff", "application/json", "could not parse the JSON"),
        (b"prompt=x", "application/x-www-form-urlencoded", "Unsupported content type"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(
    content: bytes, content_type: str, words: str
) -> None:
    async with http_client() as http:
        response = await http.post(
            "images/generations", content=content, headers={"content-type": content_type}
        )
    assert words in (await refusal(response, 400))["message"]


@pytest.mark.parametrize("stage", ["input", "output", "unknown"])
async def test_a_marked_prompt_is_refused_by_the_safety_system(stage: str) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        await sdk_client().images.generate(**asked(prompt=f"a fox [moderation:{stage}:violence,self-harm]"))
    error = raised.value
    assert (error.code, error.type) == ("moderation_blocked", USER)
    assert isinstance(error.body, dict)
    assert error.body["moderation_details"] == {
        "moderation_stage": stage,
        "categories": ["violence", "self-harm"],
    }
    assert error.request_id is not None
    assert error.request_id in error.message
    assert (
        error.message.endswith("safety_violations=[violence, self-harm].'") or "self-harm]" in error.message
    )


async def test_text_that_only_resembles_a_marker_is_drawn() -> None:
    answer = await sdk_client().images.generate(
        **asked(prompt="[moderation:late:violence] [moderation:input:]")
    )
    assert answer.data
