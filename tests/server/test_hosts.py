"""Every host of the table, as it names itself and in its eras, gets its pictures within its limits."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.client import advertise
from mcp.server.apps import EXTENSION_ID as APPS
from mcp.types import CallToolResult, ElicitResult, ImageContent, Implementation, TextContent

from gpt_image_2_mcp.pictures import Preview, preview
from gpt_image_2_mcp.requests import GenerateRequest
from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.delivery import wire_bytes
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.server.preferences import BY_PROFILE, Preferences
from gpt_image_2_mcp.server.profiles import PROFILES, Profile, recognise
from gpt_image_2_mcp.server.progress import Pace
from gpt_image_2_mcp.server.tasks import EXTENSION as TASKS
from tests.support.pictures import noise, opened
from tests.support.polling import Polling
from tests.support.services import Bench, made
from tests.support.upstreams import Recorder, scripted, streamed

pytestmark = pytest.mark.anyio
Era = Literal["auto", "legacy"]
EMPTY = 200
"""Bytes that are left for whatever a client adds around a result."""


@dataclass(frozen=True)
class Host:
    """A client as it introduces itself, and for how many seconds it is known to wait for a call."""

    name: str
    version: str
    profile: str
    waits_s: float
    eras: tuple[Era, ...] = ("legacy",)
    declares: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


BOTH: tuple[Era, ...] = ("auto", "legacy")
HOSTS = (
    Host("somebody-new", "1.0", "default", 60, BOTH),
    Host("claude-ai", "0.1.0", "claude-desktop", 45, ("legacy",), (APPS,)),
    Host("claude-code", "2.1.330", "claude-code", 120, BOTH, ("elicitation", TASKS)),
    Host("claude-code", "2.1.197", "claude-code", 120, ("legacy",), ("elicitation",)),
    Host("codex-mcp-client", "0.147.0", "codex", 300, BOTH, ("elicitation",)),
    Host("codex-mcp-client", "0.101.0", "codex", 60, ("legacy",), ("elicitation",)),
    Host("Visual Studio Code", "1.108.0", "vscode", 300, ("legacy",), ("elicitation", APPS)),
    Host("github-copilot-developer", "1.0.0", "copilot-cli", 60, ("legacy",), ("elicitation",)),
    Host("cursor-vscode", "1.0.0", "cursor", 300, ("legacy",), ("elicitation", APPS)),
    Host("gemini-cli-mcp-client", "0.0.1", "gemini-cli", 600),
    Host("Cline", "3.1.0", "cline", 60),
    Host("Zed", "1.0.0", "zed", 60),
    Host("windsurf-client", "1.0.0", "windsurf", 60),
    Host("openai-mcp", "1.0.0", "chatgpt", 60, ("legacy",), ("elicitation", APPS)),
    Host("opencode", "1.2.0", "opencode", 60, ("legacy",), ("elicitation",)),
    Host("@librechat/api-client", "1.2.3", "librechat", 60),
    Host("lm-studio", "0.4.9", "lm-studio", 60),
    Host("mcp", "0.1.0", "python-sdk", 60, BOTH),
    Host("Roo-Code", "3.0.0", "roo-code", 60),
    Host("qwen-code-mcp-client", "0.0.1", "qwen-code", 60),
)
SEATS = [(host, era) for host in HOSTS for era in host.eras]
each_host = pytest.mark.parametrize(("host", "era"), SEATS, ids=str)


@asynccontextmanager
async def connected(
    bench: Bench, host: Host, era: Era, preferences: Preferences = BY_PROFILE
) -> AsyncIterator[Client]:
    async def answer(context: object, params: object) -> ElicitResult:
        return ElicitResult(action="decline")

    client = Client(
        create_server(ready(bench.service()), preferences),
        mode=era,
        client_info=Implementation(name=host.name, version=host.version),
        read_timeout_seconds=host.waits_s,
        elicitation_callback=answer if "elicitation" in host.declares else None,
        extensions=[
            Polling() if name == TASKS else advertise(name, {})
            for name in host.declares
            if name != "elicitation"
        ],
    )
    async with client:
        yield client


def noisy() -> Recorder:
    """An upstream whose pictures compress as badly as any."""

    def answer(request: Any) -> Any:
        asked = json.loads(request.content)
        width, height = map(int, asked["size"].split("x"))
        picture = base64.b64encode(noise(width, height)).decode()
        body = {"created": 1, "data": [{"b64_json": picture}] * asked.get("n", 1)}
        return streamed(200, json.dumps(body).encode())

    return scripted(answer)


ORDERS: dict[str, dict[str, Any]] = {
    "square": {"size": "1024x1024"},
    "4K": {"size": "3840x2160"},
    "ten": {"size": "1024x1024", "n": 10},
}


@dataclass(frozen=True)
class Gallery:
    """Where pictures of each kind were made, and the operations that made them."""

    folder: Path
    operations: dict[str, str]


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """Pictures that are too dear to be made for each host anew."""
    folder = tmp_path_factory.mktemp("gallery")

    async def fill() -> dict[str, str]:
        operations = {}
        for kind, recorder in (("drawn", None), ("noisy", noisy())):
            bench = Bench(folder, recorder) if recorder else Bench(folder)
            for order, options in ORDERS.items():
                request = GenerateRequest(prompt="A lighthouse at dawn", quality="low", **options)
                operations[f"{kind} {order}"] = made(await bench.service().generate(request)).operation_id
            await bench.close()
        return operations

    return Gallery(folder, anyio.run(fill))


@pytest.fixture(scope="session")
def previews() -> Callable[..., Preview | None]:
    """The real previews, each made once: hosts of like limits are shown the same."""
    remembered: dict[tuple[object, ...], Preview | None] = {}

    def remember(source: Path, budget_bytes: int, **options: Any) -> Preview | None:
        budget = budget_bytes // 8192 * 8192
        key = (source, budget, *options.values())
        if key not in remembered:
            remembered[key] = preview(source, budget, **options)
        return remembered[key]

    return remember


@pytest.fixture
async def exhibition(
    gallery: Gallery, previews: Callable[..., Preview | None], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    """A service that has the gallery's pictures."""
    monkeypatch.setattr("gpt_image_2_mcp.pictures.preview", previews)
    bench = Bench(gallery.folder)
    yield bench
    await bench.close()


def seen_by_the_model(result: CallToolResult, profile: Profile) -> str:
    """What text such a client's model gets to read."""
    text = result.content[-1]
    assert isinstance(text, TextContent)
    if result.structured_content is None:
        return text.text
    assert not profile.hides_images, "the pictures would not be seen"
    return json.dumps(result.structured_content)


def _unlike(host: Host) -> tuple[object, ...]:
    profile = recognise(host.name, host.version)
    return profile.budget, profile.webp, profile.max_edge, profile.hides_images


# What compresses badly takes seconds; its previews depend on these four alone.
UNLIKE = list({_unlike(host): (host, era) for host, era in SEATS}.values())
EXHIBITS = [
    *((host, era, "drawn", order) for host, era in SEATS for order in ORDERS),
    *((host, era, "noisy", order) for host, era in UNLIKE for order in ORDERS),
]


@pytest.mark.parametrize(("host", "era", "kind", "order"), EXHIBITS, ids=str)
async def test_a_host_sees_its_pictures_and_their_paths_within_its_limits(
    exhibition: Bench, gallery: Gallery, host: Host, era: Era, kind: str, order: str
) -> None:
    profile = recognise(host.name, host.version)
    async with connected(exhibition, host, era) as client:
        await client.list_tools()  # the client holds results against the output schemas
        collect = {"operation_id": gallery.operations[f"{kind} {order}"]}
        result = await client.call_tool("get_result", collect)
    assert wire_bytes(result) + EMPTY <= 700_000 <= profile.cap
    blocks = [block for block in result.content if isinstance(block, ImageContent)]
    assert len(blocks) == ORDERS[order].get("n", 1)
    for block in blocks:
        picture = opened(base64.b64decode(block.data))
        assert block.mime_type == f"image/{(picture.format or '').lower()}"
        assert picture.format in ({"PNG", "JPEG", "WEBP"} if profile.webp else {"PNG", "JPEG"})
        assert min(picture.size) >= 256
        assert max(picture.size) <= (profile.max_edge or 3840)
    paths = sorted((gallery.folder / "pictures").glob(f"*{collect['operation_id'][:6]}*"))
    assert len(paths) == len(blocks)
    assert all(str(path) in seen_by_the_model(result, profile) for path in paths)


async def test_no_host_gets_more_than_its_cap_though_it_asks_for_whole_pictures(
    exhibition: Bench, gallery: Gallery
) -> None:
    by_cap = {recognise(host.name, host.version).cap: host for host in HOSTS}
    assert len(by_cap) == 3
    for cap, host in by_cap.items():
        async with connected(exhibition, host, "legacy") as client:
            collect = {"operation_id": gallery.operations["noisy ten"], "inline": "full"}
            result = await client.call_tool("get_result", collect)
        assert 0.8 * cap < wire_bytes(result) + EMPTY <= cap
        assert sum(isinstance(block, ImageContent) for block in result.content) == 10


@each_host
async def test_a_host_is_told_of_output_schemas_only_where_they_do_not_hide_pictures(
    bench: Bench, host: Host, era: Era
) -> None:
    hides = recognise(host.name, host.version).hides_images
    async with connected(bench, host, era) as client:
        for tool in (await client.list_tools()).tools:
            of_pictures = tool.name not in ("end_edit_session", "list_edit_sessions", "get_spending")
            assert (tool.output_schema is None) == (hides and of_pictures)
            assert tool.description
        ended = await client.call_tool("end_edit_session", {"session_id": "none"})
        assert ended.structured_content == {"ended": False, "session_id": "none"}


class Door(Recorder):
    """The sandbox, whose answers wait until they are let through."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder.answer)
        self.opened = asyncio.Event()

    async def handle_async_request(self, request: Any) -> Any:
        await self.opened.wait()
        return await super().handle_async_request(request)


@each_host
async def test_a_call_that_outlasts_the_host_ends_in_a_collected_picture(
    bench: Bench, host: Host, era: Era
) -> None:
    # The hand-off comes in a thousandth of its time; the client cuts the call in its own.
    profile = recognise(host.name, host.version)
    assert profile.hand_off_s + 5 <= host.waits_s
    bench.recorder = door = Door(bench.recorder)
    hasty = Preferences(wait_s=profile.hand_off_s / 1000)
    async with connected(bench, host, era, hasty) as client:
        as_task = TASKS in host.declares and era == "auto"
        if as_task:  # a host that polls is not told before the picture is there
            asyncio.get_running_loop().call_later(0.1, door.opened.set)
        asked = {"prompt": "A red fox", "size": "1024x640", "quality": "low"}
        result = await client.call_tool("generate_image", asked)
        assert not result.is_error
        if not as_task:
            text = result.content[-1]
            assert isinstance(text, TextContent)
            assert "Still working" in text.text
            assert (result.structured_content is None) == profile.hides_images
            door.opened.set()
        while not any(isinstance(block, ImageContent) for block in result.content):
            result = await client.call_tool("get_result", {})
            assert not result.is_error
    assert len(door.posts) == 1


async def test_a_client_that_sends_a_token_is_told_of_its_call_again_and_again(bench: Bench) -> None:
    bench.recorder = door = Door(bench.recorder)
    told: list[tuple[float, float | None, str]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message or ""))
        if len(told) >= 4 and "the picture is being made" in told[-1][2]:
            door.opened.set()

    for host in (HOSTS[0], HOSTS[2]):
        for era in host.eras:
            told.clear()
            door.opened.clear()
            async with connected(bench, host, era, Preferences(pace=Pace(0.001, 0.01))) as client:
                asked = {"prompt": f"A {era} fox", "size": "1024x640", "quality": "low"}
                result = await client.call_tool("generate_image", asked, progress_callback=note)
            assert any(isinstance(block, ImageContent) for block in result.content)
            assert len(told) >= 4
            assert [said[0] for said in told] == sorted({said[0] for said in told})
            expected = [said for said in told if "the picture is being made; usually" in said[2]]
            assert expected
            assert all(total and progress < total for progress, total, _ in expected)


def test_the_hosts_are_those_of_the_table() -> None:
    rows = {(profile.name, profile.since) for profile in PROFILES}
    spoken = {recognise(host.name, host.version) for host in HOSTS}
    assert {(profile.name, profile.since) for profile in spoken} == rows
    for host in HOSTS:
        profile = recognise(host.name, host.version)
        assert profile.name == host.profile
        assert host.waits_s == profile.call_s
