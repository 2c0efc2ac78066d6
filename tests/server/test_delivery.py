from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent
from PIL import Image

from gpt_image_2_mcp.models import AppliedOptions, SvgUsage
from gpt_image_2_mcp.results import (
    EndSessionResult,
    ImageFile,
    ImageResult,
    ImportResult,
    ListSessionsResult,
    RequestedOptions,
    SessionSummary,
    WorkingResult,
)
from gpt_image_2_mcp.server.delivery import ENVELOPE_BYTES, FIRST_FRAME, Delivery, wire_bytes
from gpt_image_2_mcp.server.profiles import DEFAULT, Profile, named
from gpt_image_2_mcp.showing import Inline
from tests.support.pictures import animation, noise, opened, picture

pytestmark = pytest.mark.anyio
MODES: tuple[Inline, ...] = ("auto", "preview", "full", "none")


def kept(folder: Path, name: str, data: bytes, mime_type: str = "image/png") -> ImageFile:
    path = folder / name
    path.write_bytes(data)
    size = opened(data).size if data.startswith((b"\x89PNG", b"\xff\xd8", b"RIFF")) else (1, 1)
    return ImageFile(
        id="0123456789ab-1",
        file_path=str(path),
        filename=name,
        size_bytes=len(data),
        mime_type=mime_type,
        width=size[0],
        height=size[1],
    )


def result_of(*images: ImageFile, prompt: str = "a fox", note: str | None = None) -> ImageResult:
    return ImageResult(
        operation_id="0f1e2d3c",
        model="gpt-image-2",
        prompt=prompt,
        requested=RequestedOptions(size="auto", quality="auto", n=len(images), format="png"),
        applied=AppliedOptions(size=None, quality=None, background=None, output_format=None),
        images=list(images),
        usage=None,
        cost_usd_estimated=None,
        note=note,
    )


def one_bit(width: int, height: int) -> bytes:
    """A picture whose pixels take little to make and much to decode."""
    buffer = BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def shown(result: CallToolResult) -> list[ImageContent]:
    return [block for block in result.content if isinstance(block, ImageContent)]


def said(result: CallToolResult) -> str:
    block = result.content[-1]
    assert isinstance(block, TextContent)
    return block.text


def facts(result: CallToolResult) -> dict[str, Any]:
    assert isinstance(result.structured_content, dict)
    return result.structured_content


def small(**changes: Any) -> Profile:
    return replace(DEFAULT, **changes)


async def test_a_picture_that_fits_is_shown_whole(tmp_path: Path) -> None:
    data = picture(640, 400)
    result = await Delivery().deliver(result_of(kept(tmp_path, "a.png", data)))
    (block,) = shown(result)
    assert base64.b64decode(block.data) == data
    assert block.mime_type == "image/png"
    assert facts(result)["images"][0]["file_path"] in said(result)
    assert "preview" not in said(result)
    assert "note" not in facts(result)


async def test_a_picture_that_does_not_fit_is_shown_as_a_preview_that_says_so(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.png", noise(1024, 1024))
    result = await Delivery().deliver(result_of(image))
    (block,) = shown(result)
    preview = opened(base64.b64decode(block.data))
    assert (block.mime_type, preview.format) == ("image/jpeg", "JPEG")
    label = (
        f"{image.file_path} (3.00 MiB, 1024x1024, id {image.id}; shown here as a preview of {preview.width}x"
    )
    assert label in said(result)
    assert facts(result)["note"] == "Shown here as previews; the files hold the pictures at full size."
    assert facts(result)["note"] in said(result)
    assert 450_000 < wire_bytes(result) <= DEFAULT.budget - ENVELOPE_BYTES + 1000


async def test_what_one_picture_leaves_of_its_share_is_the_others(tmp_path: Path) -> None:
    images = [kept(tmp_path, f"{name}.png", noise(edge, edge)) for name, edge in (("a", 600), ("b", 100))]
    tiny = small(budget=300_000)
    result = await Delivery(tiny).deliver(result_of(*images))
    first, second = shown(result)
    assert base64.b64decode(second.data) == noise(100, 100)
    assert len(first.data) > 200_000
    assert said(result).count("shown here as a preview") == 1


async def test_pictures_that_fit_together_are_all_whole_though_one_exceeds_its_share(tmp_path: Path) -> None:
    images = [kept(tmp_path, f"{edge}.png", noise(edge, edge)) for edge in (300, 60, 50)]
    result = await Delivery(small(budget=395_000)).deliver(result_of(*images))
    assert [base64.b64decode(block.data) for block in shown(result)] == [
        noise(edge, edge) for edge in (300, 60, 50)
    ]


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("profile", ["default", "claude-desktop", "codex"])
async def test_no_result_exceeds_what_the_client_takes(
    tmp_path: Path, profile: str, mode: Inline, count: int
) -> None:
    image = kept(tmp_path, "a.png", noise(700, 700))
    who = named(profile)
    result = await Delivery(who).deliver(result_of(*[image] * count, prompt='"\U0001f98a' * 16_000), mode)
    assert wire_bytes(result) + ENVELOPE_BYTES <= (who.cap if mode == "full" else who.budget)
    assert len(shown(result)) == (0 if mode == "none" else count)


async def test_full_is_cut_back_to_the_cap_with_a_note(tmp_path: Path) -> None:
    images = [kept(tmp_path, f"{i}.png", noise(500, 500)) for i in range(3)]
    result = await Delivery(small(cap=2_200_000)).deliver(result_of(*images), "full")
    assert len(shown(result)) == 3
    assert "image/jpeg" in {block.mime_type for block in shown(result)}
    assert wire_bytes(result) + ENVELOPE_BYTES <= 2_200_000
    assert "since this client takes no more" in facts(result)["note"]


async def test_preview_makes_one_though_the_file_would_fit(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.png", noise(200, 200))
    (block,) = shown(await Delivery(inline="preview").deliver(result_of(image)))
    assert block.mime_type == "image/jpeg"


async def test_none_shows_nothing_and_tells_the_path(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.png", picture())
    result = await Delivery(inline="none").deliver(result_of(image))
    assert [block.type for block in result.content] == ["text"]
    assert f"{image.file_path} (" in said(result)
    assert "not shown here" in said(result)


async def test_a_call_may_ask_for_another_way_than_the_setting(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.png", picture())
    assert shown(await Delivery(inline="none").deliver(result_of(image), "full"))
    assert not shown(await Delivery(inline="full").deliver(result_of(image), "none"))


async def test_an_imported_picture_is_shown_alike(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.png", noise(1024, 1024))
    imported = ImportResult(operation_id="0f1e2d3c", images=[image], source="clipboard")
    result = await Delivery().deliver(imported)
    assert len(shown(result)) == 1
    assert "shown here as a preview" in said(result)
    assert facts(result)["note"] in said(result)


async def test_a_preview_goes_beside_the_note_that_is_there(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.png", noise(1024, 1024))
    result = await Delivery().deliver(result_of(image, note="Size 9x9 was asked for."))
    assert facts(result)["note"].startswith("Size 9x9 was asked for. Shown here as previews;")


# Pictures that cannot be shown


@pytest.mark.parametrize("mode", ["auto", "preview", "full"])
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<svg/>", "no PNG, JPEG, WebP or GIF"),
        (noise(600, 600)[:500_000], "it is damaged"),
        (one_bit(9000, 8000), "too many pixels"),
    ],
    ids=["svg", "torn", "huge"],
)
async def test_a_picture_that_cannot_be_shown_is_told_by_its_path(
    tmp_path: Path, data: bytes, why: str, mode: Inline
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    image = kept(tmp_path, "b.png", picture()).model_copy(
        update={"file_path": str(path), "size_bytes": len(data)}
    )
    delivery = Delivery(small(cap=600_000, budget=500_000))
    result = await delivery.deliver(result_of(image, kept(tmp_path, "c.png", picture())), mode)
    assert len(shown(result)) == 1
    assert f"{path} (" in said(result)
    assert why in said(result)
    assert "1 of 2 pictures could not be shown here: open the files." in facts(result)["note"]


async def test_a_picture_that_was_moved_away_is_still_told(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.png", picture())
    Path(image.file_path).unlink()
    result = await Delivery().deliver(result_of(image))
    assert [block.type for block in result.content] == ["text"]
    assert f"{image.file_path} (" in said(result)
    assert "No such file" in said(result)


async def test_where_a_client_has_no_room_the_path_is_told(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.png", noise(300, 300))
    result = await Delivery(small(budget=3000)).deliver(result_of(image))
    assert shown(result) == []
    assert "no room" in said(result)


# What kind of pictures a client takes


async def test_webp_goes_to_clients_that_take_it_only(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.webp", picture(300, 200, "WEBP"), "image/webp")
    for takes, mime_type in ((True, "image/webp"), (False, "image/jpeg")):
        (block,) = shown(await Delivery(small(webp=takes)).deliver(result_of(image)))
        assert block.mime_type == mime_type
        (block,) = shown(await Delivery(small(webp=takes)).deliver(result_of(image), "full"))
        assert block.mime_type == "image/webp"


async def test_a_picture_over_the_clients_longest_edge_becomes_a_preview_though_it_fits(
    tmp_path: Path,
) -> None:
    image = kept(tmp_path, "a.png", picture(3000, 1500))
    (block,) = shown(await Delivery(small(max_edge=2000)).deliver(result_of(image)))
    assert opened(base64.b64decode(block.data)).size == (2000, 1000)


async def test_what_the_bytes_are_is_what_they_are_called(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.png", picture(format_="JPEG"))
    (block,) = shown(await Delivery().deliver(result_of(image)))
    assert block.mime_type == "image/jpeg"


# Drawings and films


def drawn(folder: Path) -> ImageFile:
    data = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    image = kept(folder, "a.svg", data, "image/svg+xml")
    return image.model_copy(update={"width": None, "height": None})


@pytest.mark.parametrize("mode", ["auto", "preview", "full"])
async def test_a_drawing_is_told_and_not_shown(tmp_path: Path, mode: Inline) -> None:
    image = drawn(tmp_path)
    result = await Delivery().deliver(result_of(image), mode)
    assert [block.type for block in result.content] == ["text"]
    told = f"71 B, SVG drawing, id {image.id}; an SVG file, which is not shown here: open it)"
    assert f"{image.file_path} ({told}" in said(result)
    assert "script" not in result.model_dump_json()
    assert (facts(result)["images"][0]["width"], facts(result)["images"][0]["height"]) == (None, None)
    assert facts(result)["note"] == "1 of 1 pictures could not be shown here: open the files."


async def test_beside_a_drawing_pictures_are_shown(tmp_path: Path) -> None:
    result = await Delivery().deliver(result_of(drawn(tmp_path), kept(tmp_path, "b.png", picture())))
    assert len(shown(result)) == 1


def film(folder: Path, frames: int = 5) -> ImageFile:
    image = kept(folder, "a.gif", animation(frames, 120), "image/gif")
    return image.model_copy(update={"width": 64, "height": 48, "frames": frames, "duration_ms": 120 * frames})


@pytest.mark.parametrize("mode", ["auto", "preview", "full"])
@pytest.mark.parametrize("webp", [True, False])
async def test_of_a_film_the_first_frame_is_shown_and_said_to_be_one(
    tmp_path: Path, webp: bool, mode: Inline
) -> None:
    image = film(tmp_path)
    result = await Delivery(small(webp=webp)).deliver(result_of(image), mode)
    (block,) = shown(result)
    assert block.mime_type == ("image/webp" if webp else "image/jpeg")
    frame = opened(base64.b64decode(block.data)).convert("RGB")
    red, green, blue = frame.getpixel((30, 20))  # type: ignore[misc]
    assert (frame.size, red > 200, green < 80, blue < 80) == ((64, 48), True, True, True)
    told = f"64x48, 5 frames in 0.6 s, id {image.id}; first frame of 5 shown here as a preview of 64x48)"
    assert told in said(result)
    assert facts(result)["note"].endswith(FIRST_FRAME)
    assert (facts(result)["images"][0]["frames"], facts(result)["images"][0]["duration_ms"]) == (5, 600)


async def test_a_film_is_not_said_to_be_too_large_where_it_is_only_moving(tmp_path: Path) -> None:
    result = await Delivery().deliver(result_of(film(tmp_path)), "full")
    assert "since this client takes no more" not in facts(result)["note"]
    assert "first frame is shown" in facts(result)["note"]


async def test_a_gif_of_one_frame_is_a_picture_like_others(tmp_path: Path) -> None:
    image = kept(tmp_path, "a.gif", picture(format_="GIF"), "image/gif")
    result = await Delivery().deliver(result_of(image))
    assert len(shown(result)) == 1
    assert "1x1, id 0123456789ab-1; shown here as a preview of 64x48)" in said(result)
    assert "frames" not in facts(result)["images"][0]


async def test_a_film_that_is_not_shown_has_no_first_frame(tmp_path: Path) -> None:
    result = await Delivery().deliver(result_of(film(tmp_path)), "none")
    assert shown(result) == []
    assert "first frame" not in said(result)


async def test_films_among_many_pictures_stay_within_what_the_client_takes(tmp_path: Path) -> None:
    images = [film(tmp_path, 16), drawn(tmp_path), *[kept(tmp_path, "b.png", noise(700, 700))] * 7]
    for mode in MODES:
        result = await Delivery().deliver(result_of(*images, prompt="x" * 9000), mode)
        assert wire_bytes(result) + ENVELOPE_BYTES <= (DEFAULT.cap if mode == "full" else DEFAULT.budget)


async def test_what_the_author_of_a_drawing_took_is_told_on_a_line_of_its_own(tmp_path: Path) -> None:
    usage = SvgUsage(model="gpt-6-sketch", input_tokens=40, output_tokens=900, total_tokens=940)
    result = await Delivery().deliver(result_of(drawn(tmp_path)).model_copy(update={"svg_usage": usage}))
    line = (
        "- SVG author gpt-6-sketch: 940 tokens, billed in addition at that model's rate (not in the estimate)"
    )
    assert line in said(result).splitlines()
    assert facts(result)["svg_usage"] == usage.model_dump()


# Structured content


async def test_where_structured_content_hides_pictures_the_same_json_stands_in_the_text(
    tmp_path: Path,
) -> None:
    result = result_of(kept(tmp_path, "a.png", noise(1024, 1024)), prompt="ein Füchslein")
    beside = await Delivery(small(webp=True)).deliver(result)
    instead = await Delivery(small(webp=True, hides_images=True)).deliver(result)
    assert instead.structured_content is None
    words, _, told = said(instead).rpartition("\n\n")
    assert json.loads(told) == facts(beside)
    assert "shown here as a preview" in words
    assert "ein Füchslein" in told


async def test_a_call_that_is_still_working_is_told_likewise() -> None:
    working = WorkingResult(operation_id="0f1e2d3c", elapsed_seconds=50, expected_seconds=None)
    assert facts(await Delivery().deliver(working))["operation_id"] == "0f1e2d3c"
    instead = await Delivery(small(hides_images=True)).deliver(working)
    assert instead.structured_content is None
    assert json.loads(said(instead).rpartition("\n\n")[2])["status"] == "working"


async def test_results_without_pictures_are_structured_for_everybody() -> None:
    ended = EndSessionResult(ended=True, session_id="s")
    assert facts(await Delivery(small(hides_images=True)).deliver(ended))["ended"]


def sessions_of(count: int, prompt: str = "a fox") -> ListSessionsResult:
    """The last of them was used least lately."""
    return ListSessionsResult(
        sessions=[
            SessionSummary(
                session_id=f"edit-{number}",
                created_at="2026-11-22T15:04:01.000Z",
                updated_at="2026-11-22T15:04:01.000Z",
                turns=1,
                last_prompt=prompt,
                last_image_path=f"/pictures/{number}.png",
            )
            for number in range(count)
        ]
    )


async def test_all_sessions_are_listed_where_there_is_room_for_them() -> None:
    listed = await Delivery().deliver(sessions_of(1000))
    assert (len(facts(listed)["sessions"]), "total" in facts(listed)) == (1000, False)
    assert said(listed).startswith("Active sessions (1000):\n1. edit-0: ")


@pytest.mark.parametrize("prompt", ["a fox", "狐" * 3000])
async def test_of_more_sessions_than_a_client_has_room_for_the_latest_are_listed(prompt: str) -> None:
    listed = await Delivery(small(budget=60_000)).deliver(sessions_of(500, prompt))
    assert wire_bytes(listed) <= 60_000 - ENVELOPE_BYTES
    ids = [session["session_id"] for session in facts(listed)["sessions"]]
    assert ids == [f"edit-{number}" for number in range(len(ids))]
    assert facts(listed)["total"] == 500
    assert said(listed).startswith(f"Active sessions (500, of which these {len(ids)} were used last):\n")


async def test_a_session_is_told_though_there_is_no_room_for_it() -> None:
    listed = await Delivery(small(budget=1000)).deliver(sessions_of(3, "x" * 3000))
    assert [session["session_id"] for session in facts(listed)["sessions"]] == ["edit-0"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("hides_images", [False, True])
async def test_no_base64_stands_outside_image_blocks(
    tmp_path: Path, mode: Inline, hides_images: bool
) -> None:
    image = kept(tmp_path, "a.png", noise(1024, 1024))
    result = await Delivery(small(hides_images=hides_images)).deliver(result_of(image), mode)
    blocks = shown(result)
    rest = result.model_copy(
        update={"content": [block for block in result.content if block not in blocks]}
    ).model_dump_json()
    assert len(rest) < 5000
    for block in blocks:
        for start in (0, 600, len(block.data) // 2):
            assert block.data[start : start + 40] not in rest


async def test_the_note_says_how_many_are_previews(tmp_path: Path) -> None:
    small, large = kept(tmp_path, "a.png", picture()), kept(tmp_path, "b.png", noise(1024, 1024))
    mixed = await Delivery().deliver(result_of(small, large))
    assert facts(mixed)["note"] == "1 of 2 shown as previews; the files hold the pictures at full size."


# Links


async def test_links_stand_between_the_pictures_and_the_words_and_are_counted(tmp_path: Path) -> None:
    def links(images: Sequence[ImageFile]) -> list[ResourceLink]:
        return [ResourceLink(uri=f"image://{image.id}", name=image.filename * 10_000) for image in images]

    image = kept(tmp_path, "a.png", noise(1024, 1024))
    result = await Delivery(links=links).deliver(result_of(image))
    assert [block.type for block in result.content] == ["image", "resource_link", "text"]
    assert wire_bytes(result) + ENVELOPE_BYTES <= DEFAULT.budget


def test_the_size_of_a_result_is_counted_as_the_transport_that_escapes_most_writes_it() -> None:
    result = CallToolResult(content=[TextContent(type="text", text="\U0001f98a")])
    assert wire_bytes(result) == len(
        '{"content":[{"text":"\\ud83e\\udd8a","type":"text"}],"isError":false}'
    ) or wire_bytes(result) > len(result.model_dump_json(by_alias=True, exclude_none=True).encode())


def test_an_image_block_costs_no_more_than_is_reckoned() -> None:
    from gpt_image_2_mcp.server.delivery import Showing

    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    block = ImageContent(
        type="image", data=base64.b64encode(buffer.getvalue()).decode(), mime_type="image/webp"
    )
    empty, one = CallToolResult(content=[]), CallToolResult(content=[block])
    assert wire_bytes(one) - wire_bytes(empty) <= Showing("", block).cost
