"""The sandbox's limit of images per minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_image_2_mcp.sandbox import create_app
from gpt_image_2_mcp.sandbox.errors import ApiError
from gpt_image_2_mcp.sandbox.rates import ImageRate
from tests.sandbox.clients import asked, http_client, png

pytestmark = pytest.mark.anyio


@dataclass
class Seconds:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def refusal(rate: ImageRate, count: int = 1, model: str = "gpt-image-2") -> ApiError:
    with pytest.raises(ApiError) as caught:
        rate.admit(model, count)
    return caught.value


def test_pictures_beyond_the_limit_are_refused_until_a_minute_after_the_first() -> None:
    clock = Seconds()
    rate = ImageRate(5, clock)
    assert rate.admit("gpt-image-2", 3)["x-ratelimit-remaining-images"] == "2"
    clock.now += 15.5
    assert rate.admit("gpt-image-2", 2) == {
        "x-ratelimit-limit-images": "5",
        "x-ratelimit-remaining-images": "0",
        "x-ratelimit-reset-images": "60s",
    }
    error = refusal(rate)
    assert error.message == (
        "Rate limit reached for gpt-image-2 in organization org-sandbox on images per minute (IPM): "
        "Limit 5, Used 5, Requested 1. Please try again in 44.5s."
    )
    assert (error.status, error.kind, error.code) == (429, "requests", "rate_limit_exceeded")
    assert error.headers["x-ratelimit-reset-images"] == "44.5s"
    assert "try again in 60s" in refusal(rate, 4).message
    assert "Requested 10. Please try again in 60s" in refusal(rate, 10).message
    clock.now += 44.4999
    assert "try again in 1ms" in refusal(rate).message
    clock.now += 0.0001
    rate.admit("gpt-image-2", 3)


def test_each_model_is_counted_for_itself() -> None:
    rate = ImageRate(1, Seconds())
    for model in ("gpt-image-2", "gpt-image-1.5"):
        rate.admit(model, 1)
        assert model in refusal(rate, 1, model).message


def test_without_a_limit_nothing_is_told_of_one() -> None:
    rate = ImageRate(None, Seconds())
    assert [rate.admit("gpt-image-2", 10) for _ in range(20)] == [{}] * 20


@given(st.lists(st.tuples(st.floats(0, 70), st.integers(1, 4)), max_size=40), st.integers(4, 9))
def test_no_minute_has_more_than_the_limit(asked: list[tuple[float, int]], limit: int) -> None:
    clock, made = Seconds(), list[tuple[float, int]]()
    rate = ImageRate(limit, clock)
    for pause, count in asked:
        clock.now += pause
        try:
            rate.admit("gpt-image-2", count)
        except ApiError:
            continue
        made.append((clock.now, count))
    for end, _ in made:
        assert sum(count for at, count in made if end - 60 < at <= end) <= limit


def limited(limit: int, clock: Seconds) -> httpx2.AsyncClient:
    return http_client(create_app(images_per_minute=limit, clock=clock))


async def test_generations_and_edits_are_counted_by_their_pictures_and_say_so() -> None:
    clock = Seconds()
    async with limited(3, clock) as client:
        made = await client.post("images/generations", json=asked(n=2))
        assert (made.status_code, made.headers["x-ratelimit-remaining-images"]) == (200, "1")
        fields = {name: str(value) for name, value in asked().items()}
        files = {"image": ("a.png", png(), "image/png")}
        edited = await client.post("images/edits", data=fields, files=files)
        assert (edited.status_code, edited.headers["x-ratelimit-remaining-images"]) == (200, "0")
        refused = await client.post("images/generations", json=asked(stream=True))
        assert (refused.status_code, refused.headers["x-ratelimit-limit-images"]) == (429, "3")
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        clock.now += 60
        assert (await client.post("images/generations", json=asked())).status_code == 200


async def test_what_is_refused_otherwise_does_not_count() -> None:
    async with limited(1, Seconds()) as client:
        for wrong in (asked(size="1x1"), asked(prompt="a fox [moderation:input:violence]")):
            await client.post("images/generations", json=wrong)
        assert (await client.post("images/generations", json=asked())).status_code == 200


async def test_the_image_tool_counts_and_a_response_without_it_does_not() -> None:
    body: dict[str, Any] = {
        "model": "gpt-5.4-mini",
        "input": "a fox",
        "tools": [{"type": "image_generation", "model": "gpt-image-2", "size": "1024x640", "quality": "low"}],
    }
    async with limited(1, Seconds()) as client:
        spoken = await client.post("responses", json={**body, "tool_choice": "none"})
        made = await client.post("responses", json={**body, "tool_choice": {"type": "image_generation"}})
        refused = await client.post("responses", json={**body, "tool_choice": {"type": "image_generation"}})
    assert (spoken.status_code, made.status_code, refused.status_code) == (200, 200, 429)
