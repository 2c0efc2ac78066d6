"""The Models endpoints."""

from datetime import UTC, datetime, time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gpt_image_2_mcp.sandbox import errors
from gpt_image_2_mcp.sandbox.rules import MODEL_RULES, ModelRule
from gpt_image_2_mcp.sandbox.state import state_of


async def list_models(request: Request) -> Response:
    """GET models: the image models that still serve."""
    today = state_of(request).today()
    living = [_model_object(rule) for rule in MODEL_RULES.values() if not rule.retired(today)]
    return JSONResponse({"object": "list", "data": living})


async def get_model(request: Request) -> Response:
    """GET models/{id}."""
    name = request.path_params["model"]
    rule = MODEL_RULES.get(name)
    if rule is None or rule.retired(state_of(request).today()):
        raise errors.model_not_found(name)
    return JSONResponse(_model_object(rule))


def _model_object(rule: ModelRule) -> dict[str, object]:
    created = datetime.combine(rule.created, time(), UTC)
    return {
        "id": rule.name,
        "object": "model",
        "created": int(created.timestamp()),
        "owned_by": "system",
        "shutdown_date": rule.shutdown.isoformat() if rule.shutdown else None,
    }
