"""What we send equals, byte for byte, what the official openai package sends for the same arguments."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from openai.types import ImagesResponse

from gpt_image_2_mcp.contents import PIECE_BYTES, whole
from gpt_image_2_mcp.gateways._upstream import Account, Upstream
from gpt_image_2_mcp.gateways.images import ImagesGateway
from gpt_image_2_mcp.gateways.responses import _INSTRUCTIONS, ResponsesGateway
from gpt_image_2_mcp.keys import Secret
from gpt_image_2_mcp.models import ImageJob, ImageReference, InputImage
from gpt_image_2_mcp.requests import EditRequest, RenderOptions
from tests.gateways.samples import (
    PROMPT,
    FakeResponsesApi,
    images_answer,
    input_image,
    job,
    responses_answer,
    spool,
    untold,
)
from tests.support.upstreams import CANARY, Recorder, canned, scripted

pytestmark = pytest.mark.anyio

OPTIONS: dict[str, Any] = {
    "background": "transparent",
    "complexity": "medium",
    "frame_count": 12,
    "frame_duration_ms": 70,
    "input_fidelity": "high",
    "model": "gpt-image-2.5-flare",
    "moderation": "low",
    "n": 3,
    "output_compression": 0,
    "output_format": "webp",
    "quality": "high",
    "size": "1536x1024",
    "safety_identifier": 'us\u00e9r "7" \U0001f98a',
    "svg_model": "gpt-5.4-mini",
    "svg_reasoning_effort": "xhigh",
}
STREAMED = {"partial_images"}
"""What goes out with `stream` and one picture only."""
ON_GENERATIONS = {name: value for name, value in OPTIONS.items() if name != "input_fidelity"}
IN_A_FORM = {name: value for name, value in OPTIONS.items() if name != "moderation"}
IN_THE_TOOL = {name: value for name, value in OPTIONS.items() if name not in ("n", "safety_identifier")}
COMPARED = (
    "Authorization",
    "Content-Type",
    "Content-Length",
    "Accept",
    "OpenAI-Organization",
    "OpenAI-Project",
)

SECOND = input_image('f\u00fcchse "2".jpg', b"\xff\xd8\xff second\r\n--boundary--", "image/jpeg")
THIRD = input_image("third.webp", b"RIFF\x00\x00", "image/webp")
MASK = input_image("mask.png", b"\x89PNG mask", "image/png")

PROMPTS = [
    "a",
    PROMPT,
    "  blanks kept  ",
    "\u00e9\u00df\u00f1 \u0416 \u05d0 \U0001f469\u200d\U0001f680",
    'line\r\nend\n"; filename="x"\r\n\r\n--',
    "\x00\x1f\x7f\u2028\u2029\ufeff\ufffd",
    "<b>&amp;'\\u0041'</b>",
    "x" * 32_000,
]


@dataclass(frozen=True)
class Sent:
    """A request with its random boundary made plain."""

    method: str
    url: str
    headers: tuple[tuple[str, str | None], ...]
    body: bytes

    @classmethod
    def of(cls, request: httpx2.Request) -> Sent:
        body = request.content
        headers = {name: request.headers.get(name) for name in COMPARED}
        if found := re.search("boundary=(\\w+)$", headers["Content-Type"] or ""):
            assert body.count(found[1].encode()) > 1
            body = body.replace(found[1].encode(), b"BOUNDARY")
            headers["Content-Type"] = request.headers["Content-Type"].replace(found[1], "BOUNDARY")
        if not body:
            headers["Content-Type"] = (
                None  # the package names one for an empty DELETE, where it means nothing
            )
        return cls(request.method, str(request.url), tuple(headers.items()), body)


async def by_the_sdk(
    call: Callable[[AsyncOpenAI], Awaitable[Any]],
    answer: Any,
    base_url: str = "https://api.openai.com/v1",
    organization: str | None = None,
    project: str | None = None,
) -> Sent:
    recorder = canned(body=answer)
    async with AsyncOpenAI(
        api_key=CANARY,
        base_url=base_url,
        organization=organization,
        project=project,
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=recorder),
    ) as client:
        await call(client)
    assert len(recorder.requests) == 1
    return Sent.of(recorder.requests[0])


def our_upstream(
    recorder: Recorder,
    base_url: str = "https://api.openai.com/v1",
    organization: str | None = None,
    project: str | None = None,
) -> Upstream:
    return Upstream(Account(base_url, Secret(CANARY), organization, project), lambda: recorder)


def as_spooled(folder: Path, work: ImageJob) -> ImageJob:
    """The job as whoever sends it has it: its pictures are files."""
    spool(folder).save_job(work)
    return spool(folder).load_job()


async def by_us(folder: Path, work: ImageJob, *, stream: bool = False, **account: Any) -> Sent:
    recorder = canned(body=images_answer("AAAA"))
    gateway = ImagesGateway(our_upstream(recorder, **account), stream=stream)
    await gateway.send(as_spooled(folder, work), spool(folder), untold)
    assert len(recorder.requests) == 1
    return Sent.of(recorder.requests[0])


def by_the_apis_names(options: dict[str, Any]) -> dict[str, Any]:
    """Ours with the author of an SVG as an object."""
    named = dict(options)
    author, effort = named.pop("svg_model", None), named.pop("svg_reasoning_effort", None)
    if author:
        named["svg"] = {"model": author, **({"reasoning": {"effort": effort}} if effort else {})}
    return named


def one_option(name: str) -> dict[str, Any]:
    """An option by itself; an effort goes with the model that makes it."""
    with_it = ("svg_model", "svg_reasoning_effort") if name == "svg_reasoning_effort" else (name,)
    return {"model": "gpt-image-2"} | {each: OPTIONS[each] for each in with_it}


def as_the_sdk_takes_it(image: InputImage) -> tuple[str, bytes, str]:
    return image.filename, whole(image.data), image.mime_type


async def generated_by_the_sdk(prompt: str, options: dict[str, Any], **account: Any) -> Sent:
    return await by_the_sdk(
        lambda client: client.images.generate(prompt=prompt, **by_the_apis_names(options)),
        images_answer("AAAA"),
        **account,
    )


async def edited_by_the_sdk(
    options: dict[str, Any],
    images: tuple[InputImage, ...],
    mask: InputImage | None = None,
    markup: InputImage | None = None,
    prompt: str = PROMPT,
    **account: Any,
) -> Sent:
    files = [as_the_sdk_takes_it(image) for image in images]
    overlays = {"mask": mask, "markup": markup}
    given: dict[str, Any] = {n: as_the_sdk_takes_it(overlay) for n, overlay in overlays.items() if overlay}
    named = by_the_apis_names(options)
    return await by_the_sdk(
        lambda client: client.images.edit(image=files, prompt=prompt, **given, **named),
        images_answer("AAAA"),
        **account,
    )


def test_every_option_that_goes_to_the_api_has_a_case_here() -> None:
    assert set(OPTIONS) | STREAMED == set(RenderOptions.model_fields)


def test_edits_offer_every_option() -> None:
    assert set(OPTIONS) | STREAMED == set(RenderOptions.model_fields) & set(EditRequest.model_fields)


@pytest.mark.parametrize("name", sorted(ON_GENERATIONS))
async def test_each_option_of_a_generation_goes_out_as_the_package_sends_it(
    name: str, tmp_path: Path
) -> None:
    options = one_option(name)
    assert await by_us(tmp_path, job(**options)) == await generated_by_the_sdk(PROMPT, options)


async def test_all_options_of_a_generation_together_go_out_as_the_package_sends_them(tmp_path: Path) -> None:
    ours = await by_us(tmp_path, job(**ON_GENERATIONS))
    assert ours == await generated_by_the_sdk(PROMPT, ON_GENERATIONS)


@pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
async def test_any_prompt_of_a_generation_goes_out_as_the_package_sends_it(
    prompt: str, tmp_path: Path
) -> None:
    ours = await by_us(tmp_path, job(prompt=prompt))
    assert ours == await generated_by_the_sdk(prompt, {"model": "gpt-image-2"})


@pytest.mark.parametrize("name", sorted(IN_A_FORM))
async def test_each_option_of_an_edit_goes_out_as_the_package_sends_it(name: str, tmp_path: Path) -> None:
    options = one_option(name)
    ours = await by_us(tmp_path, job("edit", **options))
    assert ours == await edited_by_the_sdk(options, (input_image(),))


@pytest.mark.parametrize("mask", [None, MASK], ids=["without mask", "with mask"])
@pytest.mark.parametrize(
    "images",
    [(SECOND,), (input_image(), SECOND, THIRD), (input_image(),) * 16],
    ids=["one picture", "three pictures", "sixteen pictures"],
)
async def test_pictures_and_mask_of_an_edit_go_out_as_the_package_sends_a_list(
    images: tuple[InputImage, ...], mask: InputImage | None, tmp_path: Path
) -> None:
    ours = await by_us(tmp_path, job("edit", images=images, mask=mask, **IN_A_FORM))
    assert ours == await edited_by_the_sdk(IN_A_FORM, images, mask)


@pytest.mark.parametrize("length", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 5 * PIECE_BYTES + 7])
async def test_a_picture_of_any_length_goes_out_as_the_package_sends_it(length: int, tmp_path: Path) -> None:
    images = (input_image(data=Random(length).randbytes(length)), SECOND)
    ours = await by_us(tmp_path, job("edit", images=images))
    assert ours == await edited_by_the_sdk({"model": "gpt-image-2"}, images)


async def test_markup_goes_out_as_the_package_sends_it(tmp_path: Path) -> None:
    options = {"model": "gpt-image-2.5-flare"}
    work = job("edit", images=(SECOND, THIRD), model=options["model"])
    ours = await by_us(tmp_path, replace(work, markup=MASK))
    assert ours == await edited_by_the_sdk(options, (SECOND, THIRD), markup=MASK)


# What only JSON has a place for


def data_url(image: InputImage) -> dict[str, str]:
    return {"image_url": f"data:{image.mime_type};base64,{base64.b64encode(whole(image.data)).decode()}"}


async def posted_as_json(options: dict[str, Any], **pictures: Any) -> Sent:
    body = {"prompt": PROMPT, **dict(sorted(by_the_apis_names(options).items())), **pictures}
    return await by_the_sdk(
        lambda client: client.post("/images/edits", body=body, cast_to=ImagesResponse), images_answer("AAAA")
    )


async def test_an_edit_that_sets_moderation_goes_out_as_json_as_the_package_would_post_it(
    tmp_path: Path,
) -> None:
    ours = await by_us(tmp_path, job("edit", images=(input_image(), SECOND), mask=MASK, **OPTIONS))
    images = [data_url(input_image()), data_url(SECOND)]
    assert ours == await posted_as_json(OPTIONS, images=images, mask=data_url(MASK))


async def test_files_at_openai_and_urls_are_referred_to_beside_pictures_that_are_sent(tmp_path: Path) -> None:
    references = (
        ImageReference("file_id", "file-abc123"),
        ImageReference("image_url", "https://a.example/b"),
    )
    work = replace(job("edit"), images=(*references, SECOND))
    images = [{"file_id": "file-abc123"}, {"image_url": "https://a.example/b"}, data_url(SECOND)]
    assert await by_us(tmp_path, work) == await posted_as_json({"model": "gpt-image-2"}, images=images)


async def test_the_usual_moderation_needs_no_json(tmp_path: Path) -> None:
    ours = await by_us(tmp_path, job("edit", moderation="auto"))
    assert ours == await edited_by_the_sdk({"model": "gpt-image-2"}, (input_image(),))


@pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
async def test_any_prompt_of_an_edit_goes_out_as_the_package_sends_it(prompt: str, tmp_path: Path) -> None:
    ours = await by_us(tmp_path, job("edit", prompt=prompt))
    assert ours == await edited_by_the_sdk({"model": "gpt-image-2"}, (input_image(),), prompt=prompt)


# Streams


@pytest.mark.parametrize("partial_images", [1, 2, 3])
async def test_a_streamed_generation_goes_out_as_the_package_sends_it(
    partial_images: int, tmp_path: Path
) -> None:
    options = {**ON_GENERATIONS, "n": 1, "partial_images": partial_images}
    theirs = await generated_by_the_sdk(PROMPT, {**options, "stream": True})
    assert await by_us(tmp_path, job(**options)) == theirs


@pytest.mark.parametrize("partial_images", [1, 2, 3])
async def test_a_streamed_edit_goes_out_as_the_package_sends_it(partial_images: int, tmp_path: Path) -> None:
    options = {**IN_A_FORM, "n": 1, "partial_images": partial_images}
    theirs = await edited_by_the_sdk({**options, "stream": True}, (input_image(), SECOND), MASK)
    ours = await by_us(tmp_path, job("edit", images=(input_image(), SECOND), mask=MASK, **options))
    assert ours == theirs


@pytest.mark.parametrize("none", [None, 0])
async def test_a_stream_without_partial_pictures_goes_out_as_the_package_sends_it(
    none: int | None, tmp_path: Path
) -> None:
    options = {"model": "gpt-image-2", "stream": True}
    ours = await by_us(tmp_path, job(partial_images=none), stream=True)
    assert ours == await generated_by_the_sdk(PROMPT, options)
    ours = await by_us(tmp_path, job("edit", partial_images=none), stream=True)
    assert ours == await edited_by_the_sdk(options, (input_image(),))


async def test_several_pictures_are_not_streamed_for_what_that_is_like_nobody_says(tmp_path: Path) -> None:
    ours = await by_us(tmp_path, job(n=2, partial_images=2), stream=True)
    assert ours == await generated_by_the_sdk(PROMPT, {"model": "gpt-image-2", "n": 2})


async def test_a_single_picture_is_not_sent_in_the_form_that_openai_refused(tmp_path: Path) -> None:
    ours = await by_us(tmp_path, job("edit"))
    assert b'name="image[]"; filename="fox.png"\r\nContent-Type: image/png' in ours.body
    assert b'name="image"' not in ours.body


@pytest.mark.parametrize(
    "account",
    [
        {"organization": "org-1"},
        {"project": "proj_1"},
        {"organization": "org-1", "project": "proj_1"},
        {"base_url": "https://api.openai.com/v1/"},
        {"base_url": "http://127.0.0.1:8080/openai/v1"},
        {"base_url": "https://proxy.example:8443/a%20b/v1"},
    ],
    ids=lambda account: " ".join(account.values()),
)
async def test_account_and_address_go_out_as_the_package_sends_them(
    account: dict[str, Any], tmp_path: Path
) -> None:
    options = {"model": "gpt-image-2"}
    assert await by_us(tmp_path, job(), **account) == await generated_by_the_sdk(PROMPT, options, **account)
    ours = await by_us(tmp_path, job("edit"), **account)
    assert ours == await edited_by_the_sdk(options, (input_image(),), **account)


async def test_no_account_header_is_sent_that_is_not_set(tmp_path: Path) -> None:
    headers = dict((await by_us(tmp_path, job())).headers)
    assert headers["OpenAI-Organization"] is None
    assert headers["OpenAI-Project"] is None


# The Responses route


async def round_by_us(
    folder: Path, work: ImageJob, *, stream: bool = False, **account: Any
) -> dict[str, list[Sent]]:
    recorder = scripted(FakeResponsesApi())
    gateway = ResponsesGateway(our_upstream(recorder, **account), "gpt-5.5-mini", stream=stream)
    await gateway.send(as_spooled(folder, work), spool(folder), untold)
    sent: dict[str, list[Sent]] = {}
    for request in recorder.requests:
        what = request.url.path.rpartition("/v1/")[2].partition("/")[0]
        sent.setdefault(f"{request.method} {what}", []).append(Sent.of(request))
    return sent


async def responded_by_the_sdk(
    tool: dict[str, Any],
    *,
    images: tuple[str, ...] = ("file-1",),
    prompt: str = PROMPT,
    top: dict[str, Any] | None = None,
    **account: Any,
) -> Sent:
    content = [
        {"type": "input_text", "text": prompt},
        *({"type": "input_image", "detail": "high", "file_id": name} for name in images),
    ]
    arguments: dict[str, Any] = {
        "model": "gpt-5.5-mini",
        "input": [{"role": "user", "content": content}],
        "instructions": _INSTRUCTIONS,
        "tools": [{"type": "image_generation", **tool}],
        "tool_choice": {"type": "image_generation"},
        "store": False,
        **(top or {}),
    }
    return await by_the_sdk(
        lambda client: client.responses.create(**arguments), responses_answer("AAAA"), **account
    )


def in_order(options: dict[str, Any]) -> dict[str, Any]:
    """The package writes a tool's keys as it is given them, so they are given in the order of our fields."""
    return by_the_apis_names({name: options[name] for name in RenderOptions.model_fields if name in options})


def test_the_tool_takes_every_option_but_the_count_and_whose_it_is() -> None:
    assert set(IN_THE_TOOL) | STREAMED == set(RenderOptions.model_fields) - {"n", "safety_identifier"}


@pytest.mark.parametrize("name", sorted(IN_THE_TOOL))
async def test_each_option_of_the_image_tool_goes_out_as_the_package_sends_it(
    name: str, tmp_path: Path
) -> None:
    options = one_option(name)
    sent = await round_by_us(tmp_path, job("edit", **options))
    assert sent["POST responses"] == [await responded_by_the_sdk({"action": "edit", **in_order(options)})]


@pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
async def test_any_prompt_of_a_response_goes_out_as_the_package_sends_it(prompt: str, tmp_path: Path) -> None:
    sent = await round_by_us(tmp_path, job("edit", prompt=prompt))
    tool = {"action": "edit", "model": "gpt-image-2"}
    assert sent["POST responses"] == [await responded_by_the_sdk(tool, prompt=prompt)]


async def test_a_response_with_everything_set_goes_out_as_the_package_sends_it(tmp_path: Path) -> None:
    account: dict[str, Any] = {
        "organization": "org-1",
        "project": "proj_1",
        "base_url": "https://proxy.example/v1",
    }
    work = job("edit", images=(input_image(), SECOND), mask=MASK, **OPTIONS)
    sent = await round_by_us(tmp_path, work, **account)
    expected = await responded_by_the_sdk(
        {"action": "edit", **in_order(IN_THE_TOOL), "input_image_mask": {"file_id": "file-3"}},
        images=("file-1", "file-2"),
        top={"safety_identifier": OPTIONS["safety_identifier"]},
        **account,
    )
    assert sent["POST responses"] == [expected] * 3


async def test_a_streamed_response_goes_out_as_the_package_sends_it(tmp_path: Path) -> None:
    sent = await round_by_us(tmp_path, job("edit", partial_images=2))
    tool = {"action": "edit", "model": "gpt-image-2", "partial_images": 2}
    assert sent["POST responses"] == [await responded_by_the_sdk(tool, top={"stream": True})]


async def test_each_of_several_responses_is_streamed_where_all_are(tmp_path: Path) -> None:
    sent = await round_by_us(tmp_path, job("edit", n=2, partial_images=2), stream=True)
    tool = {"action": "edit", "model": "gpt-image-2"}
    assert sent["POST responses"] == [await responded_by_the_sdk(tool, top={"stream": True})] * 2


async def test_a_generation_by_the_tool_goes_out_as_the_package_sends_it(tmp_path: Path) -> None:
    sent = await round_by_us(tmp_path, job())
    expected = await responded_by_the_sdk({"action": "generate", "model": "gpt-image-2"}, images=())
    assert sent == {"POST responses": [expected]}


async def test_uploads_go_out_as_the_package_sends_them(tmp_path: Path) -> None:
    sent = await round_by_us(tmp_path, job("edit", images=(input_image(), SECOND), mask=MASK))
    assert sent["POST files"] == [await uploaded_by_the_sdk(each) for each in (input_image(), SECOND, MASK)]


async def uploaded_by_the_sdk(image: InputImage) -> Sent:
    return await by_the_sdk(
        lambda client: client.files.create(
            file=as_the_sdk_takes_it(image),
            purpose="vision",
            expires_after={"anchor": "created_at", "seconds": 3600},
        ),
        {"id": "file-1"},
    )


async def test_deletions_go_out_as_the_package_sends_them(tmp_path: Path) -> None:
    sent = await round_by_us(tmp_path, job("edit"))
    theirs = await by_the_sdk(lambda client: client.files.delete("file-1"), {"id": "file-1", "deleted": True})
    assert sent["DELETE files"] == [theirs]
