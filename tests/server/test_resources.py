from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from anyio import CapacityLimiter
from mcp import Client, MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    BlobResourceContents,
    ResourceListChangedNotification,
    ResourceTemplateReference,
)

from gpt_image_2_mcp.results import ImageFile
from gpt_image_2_mcp.server.app import create_server
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.server.preferences import Preferences
from gpt_image_2_mcp.server.profiles import DEFAULT
from gpt_image_2_mcp.server.refusals import RESOURCE_NOT_FOUND, guarded
from gpt_image_2_mcp.server.resources import PREVIEW_BYTES, Resources, links_to
from tests.support.pictures import animation, noise, opened, picture
from tests.support.services import Bench, entered
from tests.support.upstreams import canned, sandboxed, tiny

pytestmark = pytest.mark.anyio
Era = Literal["auto", "legacy"]
SMALL: dict[str, Any] = {"size": "1024x640", "quality": "low"}
ONE = CapacityLimiter(1)


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.recorder = tiny()
    return bench


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> Era:
    mode: Era = request.param
    return mode


@asynccontextmanager
async def connected(bench: Bench, era: Era = "auto", **more: Any) -> AsyncIterator[Client]:
    async with Client(create_server(ready(bench.service())), mode=era, **more) as client:
        yield client


async def generated(client: Client, prompt: str = "A red fox", **more: Any) -> list[dict[str, Any]]:
    """What a call says of its pictures."""
    result = await client.call_tool("generate_image", {"prompt": prompt, **SMALL, **more})
    assert not result.is_error
    images: list[dict[str, Any]] = result.structured_content["images"]
    return images


async def blob(client: Client, uri: str) -> tuple[bytes, str | None]:
    """The one content of a resource: its bytes and their MIME type."""
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, BlobResourceContents)
    assert content.uri == uri
    return base64.b64decode(content.blob, validate=True), content.mime_type


# The pictures


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp"])
async def test_a_picture_is_read_by_the_id_of_the_result(bench: Bench, era: Era, format_: str) -> None:
    async with connected(bench, era) as client:
        (image,) = await generated(client, output_format=format_)
        data, mime_type = await blob(client, f"image://{image['id']}")
    assert data == Path(image["file_path"]).read_bytes()
    assert mime_type == image["mime_type"] == f"image/{format_}"


async def test_an_unmistakable_beginning_of_an_id_is_enough(bench: Bench) -> None:
    async with connected(bench) as client:
        first, second = await generated(client, n=2)
        for uri in (f"image://{second['id'][:6]}-2", f"IMAGE://{second['id'].upper()}/"):
            assert (await blob(client, uri))[0] == Path(second["file_path"]).read_bytes()
        with pytest.raises(MCPError, match=f"Say which: {first['id']}, {second['id']}"):
            await client.read_resource(f"image://{first['id'][:12]}")


async def test_a_link_leads_to_each_picture_of_a_result(bench: Bench) -> None:
    async with connected(bench) as client:
        images = await generated(client, n=2)
        links = links_to([ImageFile.model_validate(image) for image in images])
        assert [link.name for link in links] == [image["filename"] for image in images]
        for link, image in zip(links, images, strict=True):
            data, mime_type = await blob(client, link.uri)
            assert (len(data), mime_type) == (link.size, link.mime_type)
            assert data == Path(image["file_path"]).read_bytes()


async def test_a_saved_picture_may_be_kept_by_its_reader_alone_and_for_long(bench: Bench) -> None:
    async with connected(bench) as client:
        (image,) = await generated(client)
        read = await client.read_resource(f"image://{image['id']}")
    assert read.cache_scope == "private"
    assert read.ttl_ms is not None
    assert read.ttl_ms > 86_400_000


# Drawings and films

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


async def test_a_drawing_is_read_as_it_was_saved_and_never_rendered(bench: Bench, era: Era) -> None:
    id_ = f"{(await entered(bench, SVG)).id[:12]}-1"
    async with connected(bench, era) as client:
        assert await blob(client, f"image://{id_}") == (SVG, "image/svg+xml")
        with pytest.raises(MCPError, match="SVG file, which is not rendered here") as caught:
            await client.read_resource(f"image://{id_}/preview")
    assert caught.value.error.code == INVALID_REQUEST
    assert f"Read image://{id_}, or open the file: {bench.pictures}" in caught.value.error.message


async def test_a_drawing_larger_than_the_client_takes_is_told_by_its_path_alone(bench: Bench) -> None:
    operation = await entered(bench, SVG + b"\n" * 9000)
    tiny_client = Preferences(replace(DEFAULT, cap=4000))
    async with Client(create_server(ready(bench.service()), tiny_client)) as client:
        with pytest.raises(MCPError, match="Open the file: ") as caught:
            await client.read_resource(f"image://{operation.id[:12]}-1")
    assert "preview" not in caught.value.error.message


async def test_a_film_is_read_whole_and_its_preview_is_the_first_frame(bench: Bench, era: Era) -> None:
    id_ = f"{(await entered(bench, animation(4))).id[:12]}-1"
    async with connected(bench, era) as client:
        assert await blob(client, f"image://{id_}") == (animation(4), "image/gif")
        data, mime_type = await blob(client, f"image://{id_}/preview")
    red, green, _ = opened(data).convert("RGB").getpixel((30, 20))  # type: ignore[misc]
    assert mime_type != "image/gif"
    assert (red > 200, green < 80) == (True, True)


@pytest.mark.parametrize(
    ("data", "described", "mime_type"),
    [(SVG, "SVG drawing", "image/svg+xml"), (animation(4), "64x48", "image/gif")],
)
async def test_drawings_and_films_are_listed_completed_and_linked_to(
    bench: Bench, data: bytes, described: str, mime_type: str
) -> None:
    operation = await entered(bench, data)
    async with connected(bench) as client:
        (listed,) = (await client.list_resources()).resources
        reference = ResourceTemplateReference(type="ref/resource", uri="image://{id}")
        completion = await client.complete(reference, {"name": "id", "value": "0123"})
        told = await client.call_tool("get_result", {"operation_id": operation.id})
    assert (listed.uri, listed.mime_type) == (f"image://{operation.id[:12]}-1", mime_type)
    assert listed.description is not None
    assert listed.description.startswith(f"{described}, 2026-11-22")
    assert completion.completion.values == [f"{operation.id[:12]}-1"]
    (link,) = links_to([ImageFile.model_validate(image) for image in told.structured_content["images"]])
    assert (link.uri, link.mime_type, link.size) == (listed.uri, mime_type, len(data))


@pytest.mark.parametrize(("data", "what"), [(SVG, "an SVG drawing"), (animation(4), "a GIF picture")])
@pytest.mark.parametrize("source", ["latest", "image://0123456789ab-1"])
async def test_no_drawing_and_no_film_is_an_input(bench: Bench, data: bytes, what: str, source: str) -> None:
    await entered(bench, data)
    async with connected(bench) as client:
        result = await client.call_tool("edit_image", {"prompt": "bluer", "images": [source]})
    assert result.is_error
    assert what in result.content[0].text  # type: ignore[union-attr]
    assert bench.recorder.posts == []


# What cannot be read


@pytest.mark.parametrize(
    "uri",
    [
        "image://0123456789ab-1",
        "image://0123456789ab-1/preview",
        "image://0123456789ab/partial/0",
        "image://../../etc/passwd",
        "image:///etc/passwd",
        "file:///etc/passwd",
        "image://",
        "x",
    ],
)
async def test_what_there_is_not_is_not_found_in_the_terms_of_each_era(
    bench: Bench, era: Era, uri: str
) -> None:
    async with connected(bench, era) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
    assert caught.value.error.code == {"auto": INVALID_PARAMS, "legacy": RESOURCE_NOT_FOUND}[era]
    assert caught.value.error.data == {"uri": uri}


@pytest.mark.parametrize("change", ["gone", "changed"])
async def test_a_file_that_is_not_what_was_saved_is_refused_by_its_path(
    bench: Bench, era: Era, change: str
) -> None:
    async with connected(bench, era) as client:
        (image,) = await generated(client)
        if change == "gone":
            Path(image["file_path"]).unlink()
        else:
            Path(image["file_path"]).write_bytes(picture(color="red"))
        with pytest.raises(
            MCPError, match="no longer there" if change == "gone" else "not the one"
        ) as caught:
            await client.read_resource(f"image://{image['id']}")
    assert image["file_path"] in caught.value.error.message
    assert caught.value.error.code == {"auto": INVALID_PARAMS, "legacy": RESOURCE_NOT_FOUND}[era]


async def test_a_picture_larger_than_the_client_takes_is_told_by_its_path(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        (image,) = await generated(client)

    def taking(cap: int) -> Client:
        return Client(create_server(ready(bench.service()), Preferences(replace(DEFAULT, cap=cap))), mode=era)

    async with taking(image["size_bytes"]) as client:
        with pytest.raises(MCPError, match="more than this client takes at once") as caught:
            await client.read_resource(f"image://{image['id']}")
    async with taking(image["size_bytes"] * 4 // 3 + 2100) as client:
        assert len((await blob(client, f"image://{image['id']}"))[0]) == image["size_bytes"]
    assert caught.value.error.code == INVALID_REQUEST
    assert image["file_path"] in caught.value.error.message
    assert f"image://{image['id']}/preview" in caught.value.error.message


async def test_a_fault_of_ours_is_told_without_its_text(
    bench: Bench, era: Era, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_sources: Any, _image: Any) -> bytes:
        raise ZeroDivisionError("a secret fox")

    async with connected(bench, era) as client:
        (image,) = await generated(client)
        monkeypatch.setattr("gpt_image_2_mcp.sources.loader.Sources.read_stored", broken)
        caplog.set_level(logging.DEBUG)
        with pytest.raises(MCPError) as caught:
            await client.read_resource(f"image://{image['id']}")
    error = caught.value.error
    assert (error.code, error.message) == (
        INTERNAL_ERROR,
        "resources/read failed inside the server (ZeroDivisionError).",
    )
    assert "test_resources.py" in caplog.text
    assert "secret fox" not in caplog.text + str(error)


# Previews and partial pictures


class Context:
    """As much of a request's context as reading needs."""

    protocol_version = "2026-07-28"
    method = "resources/read"


async def read(resources: Resources, uri: str) -> Any:
    from mcp.types import ReadResourceRequestParams

    handler = guarded(resources.read)
    return await handler(Context(), ReadResourceRequestParams(uri=uri))  # type: ignore[arg-type]


@pytest.mark.parametrize(("webp", "mime_type"), [(True, "image/webp"), (False, "image/jpeg")])
@pytest.mark.parametrize("cap", [10_000_000, 100_000])
async def test_a_preview_is_as_large_as_the_client_takes_and_of_a_kind_that_it_shows(
    bench: Bench, cap: int, webp: bool, mime_type: str
) -> None:
    bench.recorder = canned(body={"data": [{"b64_json": base64.b64encode(noise(1024, 1024)).decode()}]})
    service = bench.service()
    async with Client(create_server(ready(service))) as client:
        (image,) = await generated(client)
    resources = Resources(ready(service), lambda _context: replace(DEFAULT, cap=cap, webp=webp), ONE)
    (content,) = (await read(resources, f"image://{image['id']}/preview")).contents
    assert content.mime_type == mime_type
    assert len(content.blob) * 3 // 4 <= PREVIEW_BYTES
    assert len(content.blob) < cap
    assert 100 < opened(base64.b64decode(content.blob)).width < 1024


async def test_a_preview_of_what_cannot_be_decoded_is_refused(bench: Bench, era: Era) -> None:
    torn = noise(60, 60)[:9000]
    bench.recorder = canned(body={"data": [{"b64_json": base64.b64encode(torn).decode()}]})
    async with connected(bench, era) as client:
        (image,) = await generated(client)
        with pytest.raises(MCPError, match="cannot be decoded") as caught:
            await client.read_resource(f"image://{image['id']}/preview")
        assert (await blob(client, f"image://{image['id']}"))[0] == torn
    assert caught.value.error.code == INVALID_REQUEST


async def test_a_picture_in_the_making_is_read_by_its_operation_and_number_and_never_kept(
    bench: Bench, era: Era
) -> None:
    bench.recorder = sandboxed()
    async with connected(bench, era) as client:
        made = await client.call_tool("generate_image", {"prompt": "x", "partial_images": 2, **SMALL})
        operation = made.structured_content["operation_id"]
        for index in (0, 1):
            data, mime_type = await blob(client, f"image://{operation}/partial/{index}")
            assert opened(data).size == (1024, 640)
            assert mime_type == "image/png"
        read = await client.read_resource(f"image://{operation}/partial/0")
        assert not read.ttl_ms
        with pytest.raises(MCPError, match="There is no partial picture 7 of that call") as caught:
            await client.read_resource(f"image://{operation}/partial/7")
    assert caught.value.error.code == {"auto": INVALID_PARAMS, "legacy": RESOURCE_NOT_FOUND}[era]


async def test_a_picture_in_the_making_is_made_smaller_for_a_client_that_takes_less(bench: Bench) -> None:
    bench.recorder = sandboxed()
    service = bench.service()
    async with Client(create_server(ready(service))) as client:
        made = await client.call_tool("generate_image", {"prompt": "x", "partial_images": 1, **SMALL})
    uri = f"image://{made.structured_content['operation_id']}/partial/0"
    smaller = Resources(ready(service), lambda _context: replace(DEFAULT, cap=5000), ONE)
    data = base64.b64decode((await read(smaller, uri)).contents[0].blob)
    assert len(data) < 5000
    assert opened(data).width < 1024
    with pytest.raises(MCPError, match="No preview of the picture is small enough") as caught:
        await read(Resources(ready(service), lambda _context: replace(DEFAULT, cap=2100), ONE), uri)
    assert caught.value.error.code == INVALID_REQUEST


# The list


async def test_the_latest_pictures_are_listed_first_with_what_a_person_looks_for(
    bench: Bench, era: Era
) -> None:
    async with connected(bench, era) as client:
        (older,) = await generated(client, "A red fox\nin deep   snow, " + "far " * 40)
        bench.clock.pass_(minutes=5)
        (newer,) = await generated(client, "A lighthouse")
        listed = await client.list_resources()
    assert listed.next_cursor is None
    assert [resource.uri for resource in listed.resources] == [
        f"image://{newer['id']}",
        f"image://{older['id']}",
    ]
    first, second = listed.resources
    assert (first.title, first.name) == ("A lighthouse", newer["filename"])
    assert (first.mime_type, first.size) == ("image/png", newer["size_bytes"])
    assert first.annotations is not None
    assert first.annotations.last_modified == "2026-11-22T15:08:01+00:00"
    assert second.title is not None
    assert second.title.startswith("A red fox in deep snow, far")
    assert len(second.title) <= 60


async def test_a_long_list_comes_in_pages(bench: Bench, era: Era, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpt_image_2_mcp.library.PAGE", 2)
    async with connected(bench, era) as client:
        await generated(client, n=5)
        seen: list[str] = []
        page = await client.list_resources()
        while page.next_cursor:
            seen += [resource.uri for resource in page.resources]
            page = await client.list_resources(cursor=page.next_cursor)
        seen += [resource.uri for resource in page.resources]
    assert len(seen) == len(set(seen)) == 5


async def test_a_cursor_that_was_made_up_is_a_wrong_argument(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        with pytest.raises(MCPError, match="cursor") as caught:
            await client.list_resources(cursor="yesterday")
    assert caught.value.error.code == INVALID_PARAMS


async def test_the_templates_say_how_pictures_are_addressed(bench: Bench, era: Era) -> None:
    async with connected(bench, era) as client:
        templates = (await client.list_resource_templates()).resource_templates
    assert [template.uri_template for template in templates] == [
        "image://{id}",
        "image://{id}/preview",
        "image://{operation}/partial/{i}",
    ]


# Changes of the list


async def test_a_client_of_the_handshake_is_told_that_a_picture_was_made(bench: Bench) -> None:
    heard = anyio.Event()

    async def listen(message: Any) -> None:
        if isinstance(message, ResourceListChangedNotification):
            heard.set()

    async with connected(bench, "legacy", message_handler=listen) as client:
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.list_changed is True
        await generated(client)
        with anyio.fail_after(5):
            await heard.wait()


async def test_a_client_of_2026_that_listens_is_told_that_a_picture_was_made(bench: Bench) -> None:
    async with connected(bench) as client:
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.list_changed is True
        async with client.listen(resources_list_changed=True) as changes:
            await generated(client)
            with anyio.fail_after(5):
                async for _change in changes:
                    break
            listed = await client.list_resources()
    assert len(listed.resources) == 1


async def test_a_call_that_made_no_picture_changes_nothing(bench: Bench) -> None:
    heard: list[Any] = []

    async def listen(message: Any) -> None:
        heard.append(message)

    async with connected(bench, "legacy", message_handler=listen) as client:
        await client.call_tool("list_edit_sessions", {})
        await client.call_tool("generate_image", {"prompt": "x", "size": "1x1"})
    assert not [message for message in heard if isinstance(message, ResourceListChangedNotification)]
