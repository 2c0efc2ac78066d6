"""Reading of request bodies: JSON, and multipart forms with files."""

import json
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from gpt_image_2_mcp.sandbox import errors
from gpt_image_2_mcp.sandbox.fields import Fields
from gpt_image_2_mcp.sandbox.inputs import Upload

MAX_BODY_BYTES = 1_000_000_000
_MAX_FORM_PARTS = 64
_LISTS = frozenset({"image[]"})


@dataclass(frozen=True)
class Form:
    """A multipart body: its plain fields, and the files of each part name in their order."""

    fields: Fields
    files: dict[str, list[Upload]]


def content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_length(request: Request) -> None:
    """Refuse a body that announces more than the sandbox will hold."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        raise errors.body_too_large(MAX_BODY_BYTES)


async def read_json(request: Request) -> Fields:
    """The members of a JSON object."""
    if content_type(request) != "application/json":
        raise errors.unsupported_content_type(content_type(request), "'application/json'")
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise errors.unreadable_json() from None
    if not isinstance(body, dict):
        raise errors.unreadable_json()
    return Fields(body)


async def read_form(request: Request) -> Form:
    """A multipart form, its files read into memory."""
    if content_type(request) != "multipart/form-data":
        raise errors.unsupported_content_type(content_type(request), "'multipart/form-data'")
    async with request.form(max_files=_MAX_FORM_PARTS, max_fields=_MAX_FORM_PARTS) as form:
        return await _read_parts(form)


async def _read_parts(form: FormData) -> Form:
    values: dict[str, object] = {}
    files: dict[str, list[Upload]] = {}
    for name, value in form.multi_items():
        if name in values and name not in _LISTS:
            raise errors.duplicate_parameter(name)
        values[name] = value
        if isinstance(value, UploadFile):
            found = files.setdefault(name, [])
            param = f"image[{len(found)}]" if name in _LISTS else name
            found.append(Upload(param, _mimetype(value), await value.read(), value.filename or ""))
    return Form(Fields(values, form=True), files)


def _mimetype(part: UploadFile) -> str:
    declared = (part.content_type or "").partition(";")[0].strip().lower()
    return declared or "application/octet-stream"
