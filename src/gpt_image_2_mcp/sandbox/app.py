"""The sandbox as a web application: routes, and what all of them share."""

import time
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Final

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gpt_image_2_mcp.sandbox import errors, files, images, model_list, responses
from gpt_image_2_mcp.sandbox.bodies import check_length
from gpt_image_2_mcp.sandbox.failing import failure
from gpt_image_2_mcp.sandbox.faults import BODY_MODES, FAULT_HEADER, FAULT_MODES, Faults
from gpt_image_2_mcp.sandbox.rates import ImageRate
from gpt_image_2_mcp.sandbox.shelf import Shelf
from gpt_image_2_mcp.sandbox.state import FaultCounter, SandboxState, new_id, state_of, strikes

INVALID_KEY: Final = "sk-invalid"
"""The one key that is refused; any other text serves."""

Handler = Callable[[Request], Awaitable[Response]]

_MAX_FILES: Final = 256
_MAX_FILE_BYTES: Final = 256_000_000
_MAX_RESULTS: Final = 64
_MAX_RESULT_BYTES: Final = 64_000_000
_PAINTERS: Final = 4


def create_app(
    faults: Faults = Faults(),  # noqa: B008 - a frozen value
    seed: int = 0,
    *,
    today: Callable[[], date] = date.today,
    clock: Callable[[], float] = time.time,
    images_per_minute: int | None = None,
) -> Starlette:
    """An Images API that draws its pictures itself.

    Equal `seed`s draw equal pictures for equal requests. `today` decides which models are retired; `clock`
    (Unix seconds) dates answers, lets uploaded files expire, and counts the minute of `images_per_minute`,
    which is a limit for each model. Everything uploaded is kept in memory, within bounds, as long as the
    application is.
    """
    app = Starlette(
        routes=[
            _route("POST", "images/generations", images.generations, paid=True),
            _route("POST", "images/edits", images.edits, paid=True),
            _route("POST", "responses", responses.create_response, paid=True),
            _route("POST", "files", files.create_file),
            _route("GET", "files/{file_id}", files.get_file),
            _route("DELETE", "files/{file_id}", files.delete_file),
            _route("GET", "models", model_list.list_models),
            _route("GET", "models/{model}", model_list.get_model),
        ],
        exception_handlers={HTTPException: _refuse},
    )
    app.state.sandbox = SandboxState(
        faults=faults,
        counter=FaultCounter(faults),
        seed=seed,
        today=today,
        clock=clock,
        files=Shelf(_MAX_FILES, _MAX_FILE_BYTES, clock),
        results=Shelf(_MAX_RESULTS, _MAX_RESULT_BYTES, clock),
        painters=anyio.CapacityLimiter(_PAINTERS),
        rate=ImageRate(images_per_minute, clock),
    )
    return app


def _route(method: str, path: str, handler: Handler, *, paid: bool = False) -> Route:
    async def endpoint(request: Request) -> Response:
        request.state.request_id, request.state.rate_headers = new_id("req_"), {}
        try:
            response = await _served(request, handler, paid)
        except errors.ApiError as error:
            response = _error_response(error)
        response.headers["x-request-id"] = request.state.request_id
        response.headers.update(request.state.rate_headers)
        return response

    return Route(f"/v1/{path}", endpoint, methods=[method])


async def _served(request: Request, handler: Handler, paid: bool) -> Response:
    check_length(request)
    _check_key(request)
    state = state_of(request)
    mode = _fault_mode(request, paid)
    if paid and state.faults.delay:
        await anyio.sleep(state.faults.delay)
    request.state.fault = mode
    if mode is None or mode in BODY_MODES:
        return await handler(request)
    # A real server reads what it refuses; a client still sending would otherwise see its connection reset.
    await request.body()
    return failure(mode, state.faults.retry_after)


def _check_key(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise errors.missing_key()
    if key.strip() == INVALID_KEY:
        raise errors.incorrect_key(INVALID_KEY)


def _fault_mode(request: Request, paid: bool) -> str | None:
    path = request.url.path
    asked = request.headers.get(FAULT_HEADER)
    if asked is None:
        return state_of(request).counter.next_mode(path) if paid else None
    if asked not in FAULT_MODES:
        raise errors.sandbox_refusal(f"fault mode '{asked}'; choose from {', '.join(FAULT_MODES)}")
    return asked if strikes(asked, path) else None


def _error_response(error: errors.ApiError) -> Response:
    return JSONResponse(error.body(), error.status, error.headers)


async def _refuse(request: Request, exc: Exception) -> Response:
    """Starlette's own refusals, in OpenAI's envelope."""
    assert isinstance(exc, HTTPException)  # noqa: S101 - the handler is registered for this type
    method, path = request.method, request.url.path
    known = {404: errors.unknown_url(method, path), 405: errors.method_not_allowed(method, path)}
    response = _error_response(known.get(exc.status_code) or errors.ApiError(exc.status_code, exc.detail))
    response.headers["x-request-id"] = getattr(request.state, "request_id", "") or new_id("req_")
    return response
