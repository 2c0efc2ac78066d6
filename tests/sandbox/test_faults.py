"""Failures on demand."""

import base64
import binascii
import json
from typing import Any

import openai
import pytest

from gpt_image_2_mcp.sandbox import FAULT_MODES, Faults

from .clients import app_of, asked, http_client, image_parts, png, sdk_client

anyio_test = pytest.mark.anyio

REFUSALS = {
    "unverified": (403, None, "Your organization must be verified to use the model"),
    "country": (403, "unsupported_country_region_territory", "Country, region, or territory not supported"),
    "quota": (429, "insufficient_quota", "You exceeded your current quota, please check your plan"),
    "spend_limit": (429, "project_spend_limit_exceeded", "spend limit"),
    "hard_limit": (400, "billing_hard_limit_reached", "Billing hard limit has been reached."),
    "rate_limit": (429, "rate_limit_exceeded", "Please try again in 1s."),
    "slow_down": (429, "slow_down", "slow down"),
    "server_error": (500, "server_error", "The server had an error while processing your request."),
    "generation_failed": (500, "image_generation_failed", "Image generation failed"),
    "overloaded": (503, "server_is_overloaded", "overloaded"),
}


@anyio_test
@pytest.mark.parametrize("mode", REFUSALS)
async def test_a_failing_sandbox_answers_as_the_real_service_would(mode: str) -> None:
    status, code, words = REFUSALS[mode]
    with pytest.raises(openai.APIStatusError) as raised:
        await sdk_client(app_of(Faults(mode=mode))).images.generate(**asked())
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert words in raised.value.message
    assert raised.value.request_id


@anyio_test
async def test_a_rate_limit_says_when_to_come_back() -> None:
    async with http_client(app_of(Faults(mode="rate_limit", retry_after=7))) as http:
        response = await http.post("images/generations", json=asked())
    assert response.headers["retry-after"] == "7"
    assert response.headers["x-ratelimit-remaining-requests"] == "0"


@anyio_test
async def test_service_resumes_after_the_counted_failures() -> None:
    async with http_client(app_of(Faults(mode="server_error", count=2))) as http:
        statuses = [(await http.post("images/generations", json=asked())).status_code for _ in range(4)]
    assert statuses == [500, 500, 200, 200]


@anyio_test
async def test_two_sandboxes_count_apart() -> None:
    faults = Faults(mode="server_error", count=1)
    for app in (app_of(faults), app_of(faults)):
        async with http_client(app) as http:
            assert (await http.post("images/generations", json=asked())).status_code == 500


@anyio_test
async def test_the_launch_era_refusal_strikes_edits_alone_and_counts_only_them() -> None:
    app = app_of(Faults(mode="dalle2", count=1))
    fields = asked()
    async with http_client(app) as http:
        generated = await http.post("images/generations", json=asked())
        first = await http.post("images/edits", data=fields, files=image_parts(png()))
        second = await http.post("images/edits", data=fields, files=image_parts(png()))
    assert (generated.status_code, first.status_code, second.status_code) == (200, 400, 200)
    assert first.json() == {
        "error": {
            "message": "Invalid value: 'gpt-image-2'. Value must be 'dall-e-2'.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "invalid_value",
        }
    }


@anyio_test
async def test_models_and_files_are_spared() -> None:
    async with http_client(app_of(Faults(mode="server_error"))) as http:
        assert (await http.get("models")).status_code == 200


async def _asked_with(mode: str, path: str = "images/generations", **changes: Any) -> Any:
    async with http_client() as http:
        return await http.post(path, json=asked(**changes), headers={"x-sandbox-fault": mode})


@anyio_test
async def test_a_request_may_choose_its_own_fault() -> None:
    assert (await _asked_with("overloaded")).status_code == 503
    assert (await _asked_with("dalle2")).status_code == 200
    async with http_client() as http:
        response = await http.get("models", headers={"x-sandbox-fault": "server_error"})
    assert response.status_code == 500


@anyio_test
async def test_an_unknown_fault_is_refused_and_the_known_ones_named() -> None:
    response = await _asked_with("earthquake")
    assert response.status_code == 400
    assert "rate_limit" in response.json()["error"]["message"]


@anyio_test
async def test_html_comes_from_a_gateway() -> None:
    response = await _asked_with("html")
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=utf-8")


@anyio_test
async def test_an_error_may_come_with_status_200() -> None:
    response = await _asked_with("error200")
    assert response.status_code == 200
    assert response.json()["error"]["type"] == "server_error"


@anyio_test
async def test_an_answer_may_come_without_a_picture() -> None:
    assert (await _asked_with("empty")).json()["data"] == []
    assert (await _asked_with("empty", stream=True)).text == ""


@anyio_test
async def test_a_picture_may_not_be_base64() -> None:
    data = (await _asked_with("bad_base64")).json()["data"]
    with pytest.raises(binascii.Error):
        base64.b64decode(data[0]["b64_json"], validate=True)
    assert "!!!" in (await _asked_with("bad_base64", stream=True)).text


@anyio_test
async def test_a_stream_may_end_in_an_error_event() -> None:
    response = await _asked_with("stream_error", stream=True, partial_images=1)
    last = response.text.split("\n\n")[-2]
    assert last.startswith("event: error\n")
    assert json.loads(last.split("data: ")[1])["error"] == {
        "message": "Image generation failed",
        "type": "image_generation_server_error",
        "param": None,
        "code": "image_generation_failed",
    }


@anyio_test
async def test_a_stream_may_be_cut_in_its_last_event() -> None:
    whole = (await _asked_with("empty")).status_code
    text = (await _asked_with("stream_cut", stream=True, partial_images=1)).text
    assert whole == 200
    assert text.count("event: ") == 2
    assert not text.endswith("\n\n")


@anyio_test
@pytest.mark.parametrize("mode", ["stream_error", "stream_cut"])
async def test_faults_of_streams_leave_other_answers_alone(mode: str) -> None:
    assert (await _asked_with(mode)).json()["data"]


@anyio_test
async def test_an_answer_can_be_delayed() -> None:
    async with http_client(app_of(Faults(delay=0.02))) as http:
        response = await http.post("images/generations", json=asked(prompt=""))
    assert response.status_code == 400


def test_every_mode_has_one_line_of_help_and_an_answer() -> None:
    assert all(help_text and "\n" not in help_text for help_text in FAULT_MODES.values())
    answered = {*REFUSALS, "dalle2", "html", "error200", "empty", "bad_base64", "stream_error", "stream_cut"}
    assert set(FAULT_MODES) == answered


@pytest.mark.parametrize(
    "wrong", [{"mode": "earthquake"}, {"delay": -1.0}, {"count": -1}, {"retry_after": -1}]
)
def test_faults_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"unknown fault mode|must not be negative"):
        Faults(**wrong)
