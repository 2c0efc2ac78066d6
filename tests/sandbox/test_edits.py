"""images/edits in its multipart and JSON forms."""

import warnings
from typing import Any

import httpx2
import pytest
from PIL import Image, ImageChops

from .clients import (
    TODAY,
    app_of,
    asked,
    data_url,
    encoded,
    hole,
    http_client,
    image_parts,
    opened,
    plain,
    png,
    refusal,
    sdk_client,
)

pytestmark = pytest.mark.anyio

FIELDS = {"model": "gpt-image-2", "prompt": "add a hat", "quality": "low", "size": "1024x640"}


async def posted(files: Any, **changes: Any) -> httpx2.Response:
    async with http_client() as http:
        data = {name: value for name, value in (FIELDS | changes).items() if value is not None}
        return await http.post("images/edits", data=data, files=files)


async def test_an_edit_of_several_pictures_counts_each_of_them() -> None:
    files = [("a.png", png((1024, 1024)), "image/png"), ("b.png", png((341, 512)), "image/png")]
    answer = await sdk_client().images.edit(image=files, **asked(n=2))
    assert answer.data is not None
    assert len({item.b64_json for item in answer.data}) == 2
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 2 * (1024 + 704)
    assert answer.usage.output_tokens == 2 * 107


async def test_one_picture_may_come_under_the_name_image() -> None:
    answer = await sdk_client().images.edit(image=("a.png", png(), "image/png"), **asked())
    assert answer.data is not None
    assert opened(answer.data[0].b64_json).size == (1024, 640)


async def test_an_edit_of_no_chosen_size_takes_the_shape_of_its_first_picture() -> None:
    wide = ("a.png", png((300, 200)), "image/png")
    answer = await sdk_client().images.edit(model="gpt-image-2", prompt="x", image=[wide])
    assert answer.size == "1536x1024"


async def test_outside_the_mask_every_pixel_stays() -> None:
    source = plain((1024, 640))
    source.paste((30, 90, 160), (0, 0, 1024, 300))
    mask = hole((1024, 640), (300, 200, 700, 500))
    answer = await sdk_client().images.edit(
        image=("a.png", encoded(source), "image/png"), mask=("m.png", mask, "image/png"), **asked()
    )
    assert answer.data is not None
    box = ImageChops.difference(source, opened(answer.data[0].b64_json)).getbbox()
    assert box is not None
    assert box[0] >= 300
    assert box[1] >= 200
    assert box[2] <= 700
    assert box[3] <= 500


async def test_a_picture_is_turned_upright_before_its_mask_is_compared() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = encoded(plain((48, 64)), "JPEG", exif=exif)
    files = [("image[]", ("a.jpg", sideways, "image/jpeg")), *image_parts(mask=hole((64, 48)))]
    assert (await posted(files)).status_code == 200


async def test_markup_is_taken_by_the_models_that_know_it() -> None:
    answer = await sdk_client().images.edit(
        image=("a.png", png(), "image/png"),
        markup=("k.png", hole(), "image/png"),
        **asked(model="gpt-image-2.5-sunburst"),
    )
    assert answer.data


@pytest.mark.parametrize(
    ("model", "fidelity", "extra"), [("gpt-image-1.5", "high", 4160), ("gpt-image-1-mini", "low", 0)]
)
async def test_input_fidelity_is_taken_by_the_models_that_know_it(
    model: str, fidelity: Any, extra: int
) -> None:
    answer = await sdk_client(app_of(today=TODAY)).images.edit(
        model=model,
        prompt="x",
        quality="low",
        input_fidelity=fidelity,
        image=[("a.png", png((64, 64)), "image/png")],
    )
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.image_tokens == 65 + 129 + extra


async def test_an_animated_edit_is_a_gif_made_from_its_input() -> None:
    files = image_parts(png())
    changes = {"model": "gpt-image-2.6-flare", "output_format": "gif", "size": "512x512", "frame_count": "3"}
    body = (await posted(files, **changes)).json()
    assert opened(body["data"][0]["b64_json"]).n_frames == 3  # type: ignore[attr-defined]


async def test_a_form_spells_the_svg_object_in_brackets() -> None:
    changes = {
        "model": "gpt-image-2.6-flare",
        "output_format": "svg",
        "svg[model]": "gpt-5.5",
        "svg[reasoning][effort]": "low",
    }
    body = (await posted(image_parts(png()), **changes)).json()
    assert body["svg_usage"]["model"] == "gpt-5.5"
    refused = await posted(image_parts(png()), **(changes | {"svg[reasoning][effort]": "huge"}))
    assert (await refusal(refused, 400))["param"] == "svg.reasoning.effort"
    both = await posted(image_parts(png()), **(changes | {"svg[model][name]": "x"}))
    assert (await refusal(both, 400))["code"] == "unknown_parameter"


@pytest.mark.parametrize(
    ("picture", "mimetype"),
    [
        (encoded(plain(), "JPEG"), "image/jpeg"),
        (encoded(plain(), "WEBP"), "image/webp"),
        (encoded(plain(mode="L", colour=9)), "image/png"),
        (encoded(plain(mode="P", colour=9)), "image/png; charset=binary"),
    ],
)
async def test_the_usual_kinds_of_picture_are_taken(picture: bytes, mimetype: str) -> None:
    assert (await posted([("image[]", ("a", picture, mimetype))])).status_code == 200


async def test_json_edits_take_data_urls_and_files() -> None:
    client = sdk_client()
    file = await client.files.create(file=("a.png", png(), "image/png"), purpose="vision")
    mask = await client.files.create(file=("m.png", hole(), "image/png"), purpose="vision")
    body = {
        **asked(),
        "moderation": "low",
        "images": [{"file_id": file.id}, {"image_url": data_url(png((32, 32)))}],
        "mask": {"file_id": mask.id},
    }
    answer: Any = await client.post("/images/edits", body=body, cast_to=httpx2.Response)
    assert answer.json()["usage"]["input_tokens_details"]["image_tokens"] == 32 * 24 + 1024


async def test_a_request_without_a_picture_is_refused() -> None:
    error = await refusal(await posted([("mask", ("m.png", hole(), "image/png"))]), 400)
    assert (error["code"], error["param"]) == ("missing_required_parameter", "image")


async def test_sixteen_pictures_are_the_most() -> None:
    assert (await posted(image_parts(*[png((16, 16))] * 16))).status_code == 200
    error = await refusal(await posted(image_parts(*[png((16, 16))] * 17)), 400)
    assert (error["code"], error["param"]) == ("array_above_max_length", "image")


async def test_two_parts_named_image_are_refused() -> None:
    parts = [("image", ("a.png", png(), "image/png"))] * 2
    error = await refusal(await posted(parts), 400)
    assert error["code"] == "duplicate_parameter"
    assert "'image[]=<value>'" in error["message"]


async def test_a_nameless_type_is_refused_with_openais_words() -> None:
    error = await refusal(await posted([("image", ("upload", png(), "application/octet-stream"))]), 400)
    assert error["message"] == (
        "Invalid file 'image': unsupported mimetype ('application/octet-stream'). Supported file formats are "
        "'image/jpeg', 'image/png', and 'image/webp'."
    )
    assert (error["type"], error["code"]) == ("invalid_request_error", "unsupported_file_mimetype")


async def test_the_place_of_a_bad_type_is_named() -> None:
    parts = [*image_parts(png()), ("image[]", ("b.gif", b"GIF89a", "image/gif"))]
    error = await refusal(await posted(parts), 400)
    assert (error["param"], error["code"]) == ("image[1]", "unsupported_file_mimetype")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"not a picture",
        png()[:60],
        encoded(plain(mode="CMYK", colour=0), "JPEG"),
        encoded(plain(), "GIF"),
    ],
)
async def test_a_broken_or_strange_picture_is_refused_by_its_number(broken: bytes) -> None:
    error = await refusal(await posted(image_parts(png(), broken)), 400)
    assert error["message"] == "Invalid image file or mode for image 2, please check your image file."
    assert (error["type"], error["code"]) == ("image_generation_user_error", "invalid_image_file")


@pytest.mark.parametrize("warnings_as", ["error", "ignore"])
async def test_a_picture_of_too_many_pixels_is_refused_unread(warnings_as: Any) -> None:
    bomb = encoded(Image.new("1", (9600, 9600)))
    with warnings.catch_warnings():
        warnings.simplefilter(warnings_as, Image.DecompressionBombWarning)
        error = await refusal(await posted(image_parts(bomb)), 400)
    assert error["code"] == "invalid_image_file"


async def test_a_file_of_fifty_megabytes_is_too_large() -> None:
    error = await refusal(await posted(image_parts(bytes(50_000_000))), 400)
    assert error["code"] == "image_file_too_large"


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (png(), "missing alpha channel"),
        (hole((48, 64)), "does not match"),
        (b"nonsense", "must be a PNG"),
        (encoded(plain((64, 48), (0, 0, 0, 0), "RGBA"), "WEBP"), "must be a PNG"),
    ],
)
async def test_a_mask_must_be_a_png_with_alpha_of_the_first_pictures_size(mask: bytes, words: str) -> None:
    error = await refusal(await posted(image_parts(png(), mask=mask)), 400)
    assert words in error["message"]
    assert (error["param"], error["code"]) == ("mask", "invalid_mask_image_format")


NEWER = "gpt-image-2.5-flare"


@pytest.mark.parametrize(
    ("model", "parts", "words"),
    [
        ("gpt-image-2", {"markup": hole()}, "does not support the 'markup'"),
        (NEWER, {"markup": hole(), "mask": hole()}, "cannot be used together"),
        (NEWER, {"markup": png()}, "missing alpha channel"),
        (NEWER, {"markup": hole((48, 64))}, "does not match"),
        (NEWER, {"markup": png(mode="RGBA", colour=(1, 2, 3, 255))}, "must contain transparent pixels"),
    ],
)
async def test_markup_has_its_rules(model: str, parts: dict[str, bytes], words: str) -> None:
    error = await refusal(await posted(image_parts(png(), **parts), model=model), 400)
    assert words in error["message"]
    assert error["param"] == "markup"


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"input_fidelity": "high"}, "invalid_input_fidelity_model", "input_fidelity"),
        (
            {"input_fidelity": "high", "model": "gpt-image-1-mini", "size": "auto"},
            "invalid_value",
            "input_fidelity",
        ),
        ({"moderation": "low"}, "unknown_parameter", "moderation"),
        ({"n": "two"}, "invalid_type", "n"),
        ({"n": "-1"}, "integer_below_min_value", "n"),
        ({"n": "9" * 40}, "invalid_type", "n"),
        ({"stream": "yes"}, "invalid_type", "stream"),
        ({"image": "text"}, "invalid_type", "image"),
        ({"mask": "text"}, "invalid_type", "mask"),
        ({"prompt": None}, "missing_required_parameter", "prompt"),
    ],
)
async def test_a_bad_field_of_a_form_is_refused(changes: dict[str, Any], code: str, param: str) -> None:
    error = await refusal(await posted(image_parts(png()), **changes), 400)
    assert (error["code"], error["param"]) == (code, param)


async def test_gifs_know_no_mask() -> None:
    changes = {"model": "gpt-image-2.6-flare", "output_format": "gif", "size": "512x512"}
    error = await refusal(await posted(image_parts(png(), mask=hole()), **changes), 400)
    assert error["param"] == "mask"


async def test_a_body_that_is_no_form_is_refused() -> None:
    async with http_client() as http:
        response = await http.post("images/edits", data=FIELDS)
        assert (await refusal(response, 400))["code"] == "unsupported_content_type"
        broken = {"content-type": "multipart/form-data"}
        assert await refusal(await http.post("images/edits", content=b"x", headers=broken), 400)


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"images": None}, "missing_required_parameter", "images"),
        ({"images": []}, "missing_required_parameter", "image"),
        ({"images": "a.png"}, "invalid_type", "images"),
        ({"images": ["a.png"]}, "invalid_type", "images[0]"),
        ({"images": [{}]}, "invalid_value", "images[0]"),
        ({"images": [{"image_url": data_url(png()), "file_id": "file-1"}]}, "invalid_value", "images[0]"),
        ({"images": [{"b64": "x"}]}, "unknown_parameter", "images[0].b64"),
        ({"images": [{"file_id": "file-1"}]}, "image_file_not_found", "images[0].file_id"),
        (
            {"images": [{"image_url": "https://example.com/a.png"}]},
            "failed_to_download_image",
            "images[0].image_url",
        ),
        ({"images": [{"image_url": "file:///a.png"}]}, "invalid_image_url", "images[0].image_url"),
        ({"images": [{"image_url": "data:image/png;base64,@@"}]}, "invalid_image_url", "images[0].image_url"),
        (
            {"images": [{"image_url": "data:image/png;base64," + "A" * 20_971_520}]},
            "string_above_max_length",
            "images[0].image_url",
        ),
        (
            {"images": [{"image_url": data_url(b"<svg/>", "image/svg+xml")}]},
            "unsupported_file_mimetype",
            "images[0].image_url",
        ),
        ({"markup": {"image_url": data_url(hole())}}, "unknown_parameter", "markup"),
        ({"image": "x"}, "unknown_parameter", "image"),
    ],
)
async def test_a_bad_json_edit_is_refused(changes: dict[str, Any], code: str, param: str) -> None:
    body = asked(
        images=[{"image_url": data_url(png())}], **{k: v for k, v in changes.items() if k != "images"}
    )
    body |= changes
    async with http_client() as http:
        error = await refusal(await http.post("images/edits", json=body), 400)
    assert (error["code"], error["param"]) == (code, param)
