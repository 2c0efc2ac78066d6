"""Transparency that was asked for: what is said where it is missing."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from gpt_image_2_mcp.cutouts import REMEDY, Backdrop, measured
from gpt_image_2_mcp.models import StoredImage
from gpt_image_2_mcp.requests import EditRequest, GenerateRequest, GetResultRequest
from gpt_image_2_mcp.sizes import Size
from tests.support.boards import board, with_subject
from tests.support.pictures import animation, mask, noise, picture
from tests.support.services import Bench, made
from tests.support.upstreams import canned

pytestmark = pytest.mark.anyio


def png(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


OPAQUE = picture(mode="RGBA")
CUT_OUT = mask()
CHEQUERED = png(with_subject(board(320, 320, 16)))
PAINTED = "with painted chequers behind the subject"
VEIL = png(Image.new("RGBA", (64, 48), (9, 9, 9, 120)))


def kept(folder: Path, *pictures: bytes) -> list[StoredImage]:
    images = []
    for number, data in enumerate(pictures, start=1):
        path = folder / f"{number}.png"
        path.write_bytes(data)
        images.append(StoredImage(path, len(data), "image/png", Size(64, 48), ""))
    return images


def test_of_a_cut_out_nothing_is_said(tmp_path: Path) -> None:
    assert measured(kept(tmp_path, CUT_OUT)) == Backdrop("transparent")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (OPAQUE, "opaque"),
        (picture(format_="JPEG"), "opaque"),
        (animation(3), "opaque"),
        (CHEQUERED, f"opaque, {PAINTED}"),
    ],
)
def test_an_opaque_picture_is_told_with_a_remedy(tmp_path: Path, data: bytes, what: str) -> None:
    said = f"Transparency was asked for, but the picture is {what}."
    assert measured(kept(tmp_path, data)) == Backdrop("opaque", (said, REMEDY))


def test_a_veil_is_told_without_one(tmp_path: Path) -> None:
    said = "Transparency was asked for, but the picture is nowhere wholly transparent."
    assert measured(kept(tmp_path, VEIL)) == Backdrop("transparent", (said,))


def test_of_several_pictures_those_are_named_that_are_meant(tmp_path: Path) -> None:
    assert measured(kept(tmp_path, CUT_OUT, OPAQUE, CHEQUERED, OPAQUE, CUT_OUT)) == Backdrop(
        "transparent",
        (
            "Transparency was asked for, but pictures 2 and 4 of 5 are opaque.",
            f"Transparency was asked for, but picture 3 of 5 is opaque, {PAINTED}.",
            REMEDY,
        ),
    )


def test_what_cannot_be_decoded_costs_a_note_and_no_other_picture(tmp_path: Path) -> None:
    assert measured(kept(tmp_path, noise(60, 60)[:5000], OPAQUE)) == Backdrop(
        None,
        (
            "Whether picture 1 of 2 is transparent could not be measured. "
            "The picture cannot be decoded (it is damaged).",
            "Transparency was asked for, but picture 2 of 2 is opaque.",
            REMEDY,
        ),
    )


def test_a_picture_that_is_gone_costs_a_note(tmp_path: Path) -> None:
    (image,) = kept(tmp_path, CUT_OUT)
    image.path.unlink()
    (note,) = measured([image]).notes
    assert "could not be measured" in note
    assert "No such file" in note


def test_a_drawing_is_not_looked_at(tmp_path: Path) -> None:
    drawing = StoredImage(tmp_path / "there is none.svg", 9, "image/svg+xml", None, "")
    assert measured([drawing]) == Backdrop()


# In a call


def answer(*pictures: bytes) -> dict[str, object]:
    data = [{"b64_json": base64.b64encode(one).decode()} for one in pictures]
    usage = {"input_tokens": 10, "output_tokens": 196, "total_tokens": 206}
    return {"data": data, "background": "transparent", "usage": usage}


CLEAR = GenerateRequest(prompt="a fox", background="transparent", model="gpt-image-2.5-flare")


async def test_a_call_that_gets_what_it_asked_for_says_nothing_of_it(bench: Bench) -> None:
    result = made(await bench.service().generate(CLEAR.model_copy(update={"size": "1024x640"})))
    assert result.applied.background == "transparent"
    assert result.note is None


async def test_an_opaque_picture_is_told_again_whenever_it_is_collected(bench: Bench) -> None:
    bench.recorder = canned(body=answer(CHEQUERED))
    service = bench.service()
    result = made(await service.generate(CLEAR))
    said = f"Transparency was asked for, but the picture is opaque, {PAINTED}."
    assert result.note == f"{said} {REMEDY}"
    assert result.applied.background == "opaque", "whatever the answer says"
    again = made(await service.get_result(GetResultRequest(operation_id=result.operation_id)))
    assert again == result


async def test_an_edit_is_measured_likewise(bench: Bench) -> None:
    bench.recorder = canned(body=answer(OPAQUE))
    source = bench.folder / "in.png"
    source.write_bytes(picture())
    request = EditRequest(prompt="x", images=[str(source)], background="transparent", model=CLEAR.model)
    result = made(await bench.service().edit(request))
    assert "the picture is opaque" in (result.note or "")


async def test_a_paid_picture_that_cannot_be_decoded_is_delivered_with_a_note(bench: Bench) -> None:
    torn = noise(60, 60)[:5000]
    bench.recorder = canned(body=answer(torn))
    result = made(await bench.service().generate(CLEAR))
    assert Path(result.images[0].file_path).read_bytes() == torn
    assert "could not be measured" in (result.note or "")
    assert result.applied.background == "transparent", "as the answer says"


@pytest.mark.parametrize("background", ["auto", "opaque", None])
async def test_where_none_was_asked_for_nothing_is_measured(bench: Bench, background: str | None) -> None:
    bench.recorder = canned(body=answer(OPAQUE))
    request = GenerateRequest.model_validate({"prompt": "a fox", "background": background})
    result = made(await bench.service().generate(request))
    assert result.note is None
    assert json.loads(bench.recorder.requests[0].content).get("background") == background
