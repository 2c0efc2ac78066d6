"""Clients and pictures for the sandbox's tests."""

import base64
import io
from datetime import date
from typing import Any

import httpx2
import openai
from PIL import Image
from starlette.applications import Starlette

from gpt_image_2_mcp.sandbox import Faults, create_app
from tests.support.upstreams import CANARY

SMALL = "1024x640"
TODAY = date(2026, 11, 22)


def app_of(faults: Faults = Faults(), seed: int = 0, today: date = TODAY) -> Starlette:  # noqa: B008
    return create_app(faults, seed, today=lambda: today)


def http_client(app: Starlette | None = None, key: str = CANARY) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app or app_of()),
        base_url="http://sandbox/v1/",
        headers={"authorization": f"Bearer {key}"},
    )


def sdk_client(app: Starlette | None = None) -> openai.AsyncOpenAI:
    transport = httpx2.ASGITransport(app=app or app_of())
    return openai.AsyncOpenAI(
        api_key=CANARY,
        base_url="http://sandbox/v1",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=transport),
    )


def asked(**changes: Any) -> dict[str, Any]:
    """A cheap generation's parameters, changed."""
    return {"model": "gpt-image-2", "prompt": "a fox", "size": SMALL, "quality": "low"} | changes


def plain(size: tuple[int, int] = (64, 48), colour: Any = (200, 60, 40), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def encoded(picture: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **options)
    return buffer.getvalue()


def png(size: tuple[int, int] = (64, 48), colour: Any = (200, 60, 40), mode: str = "RGB") -> bytes:
    return encoded(plain(size, colour, mode))


def hole(size: tuple[int, int] = (64, 48), box: tuple[int, int, int, int] = (16, 8, 48, 40)) -> bytes:
    """A mask: opaque but for a transparent box."""
    mask = plain(size, (0, 0, 0, 255), "RGBA")
    mask.paste((0, 0, 0, 0), box)
    return encoded(mask)


def data_url(data: bytes, mimetype: str = "image/png") -> str:
    return f"data:{mimetype};base64,{base64.b64encode(data).decode()}"


def opened(b64_json: str | None) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(b64_json or "", validate=True)))
    picture.load()
    return picture


def image_parts(*pictures: bytes, **files: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Multipart file parts: `pictures` as image[], `files` under their own names, all said to be PNG."""
    parts = [("image[]", (f"{index}.png", data, "image/png")) for index, data in enumerate(pictures)]
    return parts + [(name, (f"{name}.png", data, "image/png")) for name, data in files.items()]


async def refusal(response: httpx2.Response, status: int) -> dict[str, Any]:
    """The error object of a refused request."""
    assert response.status_code == status, response.text
    assert response.headers["x-request-id"].startswith("req_")
    error = response.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    return dict(error)
