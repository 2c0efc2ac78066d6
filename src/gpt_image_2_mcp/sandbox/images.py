"""The endpoints images/generations and images/edits."""

from collections.abc import AsyncIterator

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gpt_image_2_mcp.sandbox import errors, rules
from gpt_image_2_mcp.sandbox.bodies import Form, content_type, read_form, read_json
from gpt_image_2_mcp.sandbox.events import Event, event_response
from gpt_image_2_mcp.sandbox.fields import Fields, kind_of
from gpt_image_2_mcp.sandbox.inputs import EditInputs, Upload, from_data_url, open_inputs
from gpt_image_2_mcp.sandbox.job import NOT_BASE64, Job, rendered, rendered_steps
from gpt_image_2_mcp.sandbox.moderation import Verdict, judge
from gpt_image_2_mcp.sandbox.options import Options, read_options
from gpt_image_2_mcp.sandbox.shelf import Shelf
from gpt_image_2_mcp.sandbox.state import SandboxState, count_pictures, fault_of, new_id, request_id, state_of

Uploads = tuple[tuple[Upload, ...], Upload | None, Upload | None]
"""An edit's images, its mask and its markup."""


async def generations(request: Request) -> Response:
    """POST images/generations."""
    fields = await read_json(request)
    fields.allow(rules.GENERATION_NAMES)
    state = state_of(request)
    options = read_options(fields, state.today())
    return await _answer(request, Job(options, None, state.seed), "image_generation")


async def edits(request: Request) -> Response:
    """POST images/edits, in its multipart and its JSON form."""
    state = state_of(request)
    if content_type(request) == "application/json":
        fields = await read_json(request)
        fields.allow(rules.EDIT_JSON_NAMES)
        options = read_options(fields, state.today())
        uploads = _json_uploads(fields, state.files)
    else:
        form = await read_form(request)
        form.fields.allow(rules.EDIT_FORM_NAMES)
        options = read_options(_without_files(form), state.today())
        uploads = _form_uploads(form, options)
    inputs = await _opened(state, *uploads)
    return await _answer(request, Job(options, inputs, state.seed), "image_edit")


async def _opened(
    state: SandboxState, images: tuple[Upload, ...], mask: Upload | None, markup: Upload | None
) -> EditInputs:
    if not images:
        raise errors.missing("image")
    if len(images) > rules.IMAGES_MAX:
        raise errors.too_many_images(rules.IMAGES_MAX, len(images))
    return await run_sync(open_inputs, images, mask, markup, limiter=state.painters)


def _without_files(form: Form) -> Fields:
    """The form's fields; of the files only the mask is known to the checks of options."""
    plain = {name: value for name, value in form.fields.values.items() if name not in form.files}
    if "mask" in form.files:
        plain["mask"] = "present"
    return Fields(plain, form=True)


def _form_uploads(form: Form, options: Options) -> Uploads:
    for name in ("image", "image[]", "mask", "markup"):
        if name in form.fields.values and name not in form.files:
            raise errors.invalid_type(name, "a file", "a string")
    mask, markup = (form.files.get(name, [None])[0] for name in ("mask", "markup"))
    if markup is not None and not options.rule.markup:
        raise errors.invalid_value(
            "markup", f"The model '{options.model}' does not support the 'markup' parameter."
        )
    if markup is not None and mask is not None:
        raise errors.invalid_value("markup", "The 'markup' and 'mask' parameters cannot be used together.")
    images = (*form.files.get("image", []), *form.files.get("image[]", []))
    return images, mask, markup


def _json_uploads(fields: Fields, files: Shelf) -> Uploads:
    references = fields.value("images")
    if references is None:
        raise errors.missing("images")
    if not isinstance(references, list):
        raise errors.invalid_type("images", "an array", kind_of(references))
    images = tuple(
        resolve_reference(reference, f"images[{index}]", files) for index, reference in enumerate(references)
    )
    mask = fields.value("mask")
    return images, None if mask is None else resolve_reference(mask, "mask", files), None


def resolve_reference(reference: object, param: str, files: Shelf) -> Upload:
    """The picture behind `{image_url}` or `{file_id}`."""
    if not isinstance(reference, dict):
        raise errors.invalid_type(param, "an object", kind_of(reference))
    fields = Fields(reference, prefix=f"{param}.")
    fields.allow(frozenset({"image_url", "file_id"}))
    url, file_id = fields.text("image_url"), fields.text("file_id")
    if (url is None) == (file_id is None):
        raise errors.invalid_value(
            param, f"Invalid '{param}'. Provide exactly one of 'image_url' or 'file_id'."
        )
    if url is not None:
        return from_data_url(f"{param}.image_url", url)
    return stored_upload(file_id or "", f"{param}.file_id", files)


def stored_upload(file_id: str, param: str, files: Shelf) -> Upload:
    """An uploaded file as an input picture."""
    file = files.get(file_id)
    if file is None:
        raise errors.image_file_not_found(param, file_id)
    return Upload(param, file.mimetype, file.data)


async def _answer(request: Request, job: Job, prefix: str) -> Response:
    verdict = judge(job.options.prompt)
    if verdict is not None and not (verdict.late and job.options.stream):
        raise verdict.error(request_id(request))
    count_pictures(request, job.options.model, job.options.n)
    if job.options.stream:
        return event_response(_events(request, job, prefix, verdict), cut=fault_of(request) == "stream_cut")
    return JSONResponse(await _images_response(request, job))


async def _images_response(request: Request, job: Job) -> dict[str, object]:
    state, fault, options = state_of(request), fault_of(request), job.options
    data: list[dict[str, str]] = []
    for index in range(0 if fault == "empty" else options.n):
        text = NOT_BASE64 if fault == "bad_base64" else await rendered(job, index, state.painters)
        data.append({"b64_json": text})
    if options.model.startswith("gpt-image-2.6"):
        # Seen in a 2.6 answer and in no documentation (docs.apiyi.com, 2026-11-09).
        data = [{**item, "generation_id": new_id("gen_")} for item in data]
    body: dict[str, object] = {
        "created": state.now(),
        **job.settings(),
        "data": data,
        "usage": job.usage(options.n),
    }
    svg_usage = job.svg_usage()
    if svg_usage is not None:
        body["svg_usage"] = svg_usage
    return {**body, **_safety(options)}


def _safety(options: Options) -> dict[str, object]:
    return {"safety_identifier": options.safety_identifier} if options.safety_identifier else {}


async def _events(request: Request, job: Job, prefix: str, verdict: Verdict | None) -> AsyncIterator[Event]:
    """Partial pictures, then the finished one; of several (documented nowhere) one after another."""
    state, fault = state_of(request), fault_of(request)
    for index in range(0 if fault == "empty" else job.options.n):
        *partials, final = await rendered_steps(job, index, state.painters)
        settings = {"created_at": state.now(), **job.settings()}
        for number, partial in enumerate(partials):
            yield Event(
                f"{prefix}.partial_image",
                {"b64_json": partial, "partial_image_index": number, **settings},
            )
        if verdict is not None or fault == "stream_error":
            yield _error_event(
                errors.generation_failed() if verdict is None else verdict.error(request_id(request))
            )
            return
        yield Event(
            f"{prefix}.completed",
            {
                "b64_json": NOT_BASE64 if fault == "bad_base64" else final,
                **settings,
                "usage": _without_output_details(job.usage(1, len(partials))),
                **_safety(job.options),
            },
        )


def _without_output_details(usage: dict[str, object]) -> dict[str, object]:
    """The usage of a stream's last event, whose schema has no output_tokens_details."""
    return {name: value for name, value in usage.items() if name != "output_tokens_details"}


def _error_event(error: errors.ApiError) -> Event:
    return Event("error", {"error": error.error(), "sequence_number": 0})
