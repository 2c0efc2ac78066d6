"""Turns errors into JSON-RPC errors for every request but a tool's call, whose errors are results."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.types import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from gpt_image_2_mcp.errors import (
    ImageNotFound,
    ImageServerError,
    ImageTooLarge,
    InvalidRequest,
    OperationNotFound,
    PartialNotFound,
    PictureChanged,
    UndecodablePicture,
)
from gpt_image_2_mcp.redaction import Redact, redact, whereabouts

logger = logging.getLogger(__name__)

P = TypeVar("P")
R = TypeVar("R")
Context = ServerRequestContext[Any]
Handler = Callable[[Context, P], Awaitable[R]]

RESOURCE_NOT_FOUND: Final = -32002
"""What protocols up to 2025-11-25 answer for a resource there is not; 2026-07-28 has INVALID_PARAMS."""


def is_modern(context: Context) -> bool:
    """Whether a request is of protocol 2026-07-28 or later."""
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS


def guarded(handler: Handler[P, R], redact: Redact = redact) -> Handler[P, R]:
    """`handler`, whose every failure is a JSON-RPC error in our own words, as `redact` lets them out.

    In the handshake era the SDK would send the text of any exception to the client (mcp 2.3.0).
    """

    async def guard(context: Context, params: P) -> R:
        try:
            return await handler(context, params)
        except MCPError:
            raise
        except ImageServerError as error:
            raise _refusal(error, redact(str(error)), context, getattr(params, "uri", None)) from None
        except Exception as error:  # noqa: BLE001 - an outermost door: no exception's text may reach a client
            logger.error("%s failed: %s", context.method, whereabouts(error))
            raise MCPError(
                INTERNAL_ERROR, f"{context.method} failed inside the server ({type(error).__name__})."
            ) from None

    return guard


def _refusal(error: ImageServerError, text: str, context: Context, uri: str | None) -> MCPError:
    match error:
        case ImageNotFound() | OperationNotFound() | PartialNotFound() | PictureChanged():
            code = RESOURCE_NOT_FOUND if uri and not is_modern(context) else INVALID_PARAMS
        case InvalidRequest():
            code = INVALID_PARAMS
        case ImageTooLarge() | UndecodablePicture():
            code = INVALID_REQUEST
        case _:
            code = INTERNAL_ERROR
    logger.info("%s: %s (%s)", context.method, error.message, error.code)
    return MCPError(code, text, {"uri": uri} if uri else None)
