"""Pictures that an answer names by their addresses: fetched when it stands in the spool, and again if not."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from gpt_image_2_mcp.errors import ImageServerError, InputError, InvalidAnswer, PictureAway
from gpt_image_2_mcp.execution import ADDRESS_GRACE
from gpt_image_2_mcp.providers import named
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest, GetResultRequest
from gpt_image_2_mcp.service import ImageService
from tests.providers.servers import MADE, TEXT, LocalAi
from tests.support.pictures import mask, picture
from tests.support.services import Bench, made
from tests.support.upstreams import Recorder, canned, scripted, streamed

pytestmark = pytest.mark.anyio
AWAY = "https://cdn.example/a.png?sig=0123456789SECRET"


def answering(*entries: dict[str, Any]) -> Recorder:
    return canned(body={"created": 1, "data": list(entries)})


async def generated(service: ImageService, **options: Any) -> list[bytes]:
    result = made(await service.generate(GenerateRequest(prompt="a fox", **options)))
    return [Path(image.file_path).read_bytes() for image in result.images]


async def failed(service: ImageService) -> ImageServerError:
    with pytest.raises(ImageServerError) as caught:
        await service.generate(GenerateRequest(prompt="a fox"))
    return caught.value


def spooled(bench: Bench) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in bench.spool.iterdir())


async def test_a_picture_elsewhere_is_fetched_as_inputs_are(bench: Bench) -> None:
    asked: list[str] = []

    async def fetch(address: str) -> bytes:
        asked.append(address)
        return MADE

    bench.recorder, bench.fetch = answering({"url": AWAY, "b64_json": None}), fetch
    assert await generated(bench.service()) == [MADE]
    assert asked == [AWAY]
    assert len(bench.recorder.requests) == 1
    assert spooled(bench) == []


async def test_pictures_come_in_their_order_however_each_is_told(bench: Bench) -> None:
    async def fetch(address: str) -> bytes:
        return picture(color=address.rpartition("/")[2])

    teal, red = picture(color="teal"), picture(color="red")
    data_url = f"data:image/png;base64,{base64.b64encode(teal).decode()}"
    entries = [
        {"url": "https://a.example/red"},
        {"url": data_url},
        {"b64_json": TEXT},
        {"url": "https://a/red"},
    ]
    bench.recorder, bench.fetch = answering(*entries), fetch
    assert await generated(bench.service(), n=4) == [red, teal, MADE, red]


@pytest.mark.parametrize(
    "address",
    [
        "/v1/images/42/content",
        "http://localhost:8080/v1/images/42/content",
        "http://127.0.0.1:8080/v1/images/42/content",
        "http://[::1]:8080/v1/images/42/content#here",
    ],
)
async def test_a_picture_on_the_server_itself_is_read_from_it(bench: Bench, address: str) -> None:
    bench.recorder = scripted(
        lambda request: streamed(
            200, MADE if request.method == "GET" else json.dumps({"data": [{"url": address}]}).encode()
        )
    )
    bench.base_url = "http://localhost:8080/v1"
    assert await generated(bench.service()) == [MADE]
    assert str(bench.recorder.requests[-1].url) == "http://localhost:8080/v1/images/42/content"
    assert "authorization" in bench.recorder.requests[-1].headers


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:9999/a.png",
        "https://localhost:8080/a.png",
        "http://192.168.0.7:8080/a.png",
        "http://localhost.evil.example:8080/a.png",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "ftp://a/b",
        "https://",
        "https://[::1",
        "http://me@localhost:1/x",
    ],
)
async def test_the_key_goes_to_no_other_server_and_nothing_inside_is_asked(
    bench: Bench, address: str
) -> None:
    bench.recorder, bench.base_url = answering({"url": address}), "http://localhost:8080/v1"
    error = await failed(bench.service())
    assert isinstance(error, PictureAway)
    assert len(bench.recorder.requests) == 1


async def test_an_address_that_is_away_leaves_the_call_to_be_collected(bench: Bench) -> None:
    server = LocalAi(kept={})
    bench.recorder, bench.provider = server.recorder(), named("localai")
    bench.base_url = "http://localhost:8080/v1"
    (bench.folder / "in.png").write_bytes(picture())
    (bench.folder / "mask.png").write_bytes(mask())
    service = bench.service()
    with pytest.raises(PictureAway, match="from its address on localhost:8080") as caught:
        await service.edit(EditRequest(prompt="a hat", images=["in.png"], mask="mask.png"))
    assert "call get_result with" in caught.value.hint
    assert spooled(bench) == ["images.0.resp"]

    with pytest.raises(PictureAway):
        await service.get_result(GetResultRequest())
    server.kept["a.png"] = MADE
    result = made(await service.get_result(GetResultRequest()))
    assert Path(result.images[0].file_path).read_bytes() == MADE
    assert len(bench.recorder.posts) == 1
    assert spooled(bench) == []


async def test_what_could_be_fetched_is_not_fetched_again(bench: Bench) -> None:
    kept, asked = {"https://a.example/1": MADE}, list[str]()

    async def fetch(address: str) -> bytes:
        asked.append(address)
        if address not in kept:
            raise InputError("it is away")
        return kept[address]

    entries = [{"url": f"https://a.example/{number}"} for number in (1, 2, 3)]
    bench.recorder, bench.fetch = answering(*entries), fetch
    service = bench.service()
    with pytest.raises(PictureAway, match=r"on a\.example\. \(and 1 more\)"):
        await service.generate(GenerateRequest(prompt="a fox", n=3))
    assert spooled(bench) == ["fetched.0.resp", "images.0.resp"]
    kept.update({f"https://a.example/{number}": picture() for number in (2, 3)})
    result = made(await service.get_result(GetResultRequest()))
    assert len(result.images) == 3
    assert [address[-1] for address in asked] == ["1", "2", "3", "2", "3"]


async def test_after_a_day_what_came_is_all_there_is(bench: Bench) -> None:
    async def fetch(address: str) -> bytes:
        if address.endswith("2"):
            raise InputError("it is away")
        return MADE

    bench.recorder = answering({"url": "https://a.example/1"}, {"url": "https://a.example/2"})
    bench.fetch = fetch
    service = bench.service()
    await failed(service)
    bench.clock.now += ADDRESS_GRACE
    result = made(await service.get_result(GetResultRequest()))
    assert len(result.images) == 1
    assert "1 of 2 entries of the answer held no picture." in (result.note or "")
    await bench.execution(bench.journal()).recover()
    assert spooled(bench) == ["fetched.0.resp", "images.0.resp"]


async def test_after_a_day_without_a_picture_the_outcome_is_unknown(bench: Bench) -> None:
    bench.recorder = answering({"url": AWAY})
    service = bench.service()
    await failed(service)
    bench.clock.now += ADDRESS_GRACE
    with pytest.raises(InvalidAnswer) as caught:
        await service.get_result(GetResultRequest())
    assert "It is kept as operation" in caught.value.hint
    assert spooled(bench) == ["images.0.resp"]


@pytest.mark.parametrize("body", [b"", b"<html>sign in</html>", b"\x89PNG"])
async def test_what_is_no_picture_does_not_count_as_one(bench: Bench, body: bytes) -> None:
    async def fetch(_address: str) -> bytes:
        return body

    bench.recorder, bench.fetch = answering({"url": AWAY}), fetch
    assert isinstance(await failed(bench.service()), PictureAway)


async def test_an_address_is_told_without_what_opens_it(bench: Bench) -> None:
    bench.recorder = answering({"url": AWAY.replace("//", "//me:password@")})
    error = await failed(bench.service())
    assert "on cdn.example." in error.message
    assert "SECRET" not in str(error)
    assert "me:" not in str(error)
