"""The Files endpoints."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gpt_image_2_mcp.sandbox import errors
from gpt_image_2_mcp.sandbox.bodies import read_form
from gpt_image_2_mcp.sandbox.fields import Fields
from gpt_image_2_mcp.sandbox.shelf import StoredFile
from gpt_image_2_mcp.sandbox.state import new_id, state_of

PURPOSES: Final = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
EXPIRY_SECONDS: Final = (3600, 2_592_000)


async def create_file(request: Request) -> Response:
    """POST files."""
    state = state_of(request)
    form = await read_form(request)
    purpose = form.fields.choice("purpose", PURPOSES, "")
    if not purpose:
        raise errors.missing("purpose")
    uploads = form.files.get("file")
    if not uploads:
        raise errors.missing("file")
    upload = uploads[0]
    if len(upload.data) > state.files.max_bytes:
        raise errors.body_too_large(state.files.max_bytes)
    seconds = _expiry(form.fields)
    file = StoredFile(
        id=new_id("file-"),
        data=upload.data,
        filename=upload.filename,
        purpose=purpose,
        mimetype=upload.mimetype,
        created_at=state.now(),
        expires_at=None if seconds is None else state.now() + seconds,
    )
    state.files.put(file)
    return JSONResponse(_file_object(file))


def _expiry(fields: Fields) -> int | None:
    """Seconds to keep the file; any anchor will do, since there is but one."""
    after = fields.mapping("expires_after")
    return None if after is None else after.integer("seconds", *EXPIRY_SECONDS)


def _file_object(file: StoredFile) -> dict[str, object]:
    return {
        "id": file.id,
        "object": "file",
        "bytes": len(file.data),
        "created_at": file.created_at,
        "expires_at": file.expires_at,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


async def get_file(request: Request) -> Response:
    """GET files/{id}."""
    file_id = request.path_params["file_id"]
    file = state_of(request).files.get(file_id)
    if file is None:
        raise errors.no_such_file(file_id)
    return JSONResponse(_file_object(file))


async def delete_file(request: Request) -> Response:
    """DELETE files/{id}."""
    file_id = request.path_params["file_id"]
    if not state_of(request).files.remove(file_id):
        raise errors.no_such_file(file_id)
    return JSONResponse({"id": file_id, "object": "file", "deleted": True})
