"""The schemas that clients and models see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from pydantic import BaseModel

from gpt_image_2_mcp.capabilities import PIXEL_FORMATS
from gpt_image_2_mcp.models import AppliedOptions, InputTokens, OutputTokens, Usage
from gpt_image_2_mcp.requests import (
    Arguments,
    ContinueSessionRequest,
    EditRequest,
    EndSessionRequest,
    GenerateRequest,
    GetResultRequest,
    ListSessionsRequest,
    StartSessionRequest,
    TurnOptions,
)
from gpt_image_2_mcp.results import (
    CostEstimate,
    DryRunResult,
    EndSessionResult,
    GroupSpending,
    ImageFile,
    ImageResult,
    ImportResult,
    ListSessionsResult,
    OutlinedRequest,
    PeriodSpending,
    RequestedOptions,
    SessionImageResult,
    SessionSummary,
    SpendingResult,
    WorkingResult,
)
from gpt_image_2_mcp.schemas import input_schema, output_schema
from gpt_image_2_mcp.server.tools import TOOLS

OF_ALL = (
    "size quality background output_format output_compression complexity moderation safety_identifier "
    "partial_images filename_prefix inline dry_run max_cost_usd"
)
OF_ONE = "frame_count frame_duration_ms svg_model svg_reasoning_effort"
# * is required.
ARGUMENTS: dict[type[Arguments], str] = {
    GenerateRequest: f"prompt* n model output_dir {OF_ALL} {OF_ONE}",
    EditRequest: f"prompt* images* mask markup n model output_dir input_fidelity {OF_ALL} {OF_ONE}",
    StartSessionRequest: f"prompt* images* mask markup model output_dir input_fidelity {OF_ALL}",
    ContinueSessionRequest: f"session_id* prompt* input_fidelity {OF_ALL}",
    GetResultRequest: "operation_id wait_seconds inline",
    EndSessionRequest: "session_id*",
    ListSessionsRequest: "",
}
BOUNDS: dict[str, dict[str, Any]] = {
    "prompt": {"type": "string", "maxLength": 32_000},
    "images": {
        "type": "array",
        "minItems": 1,
        "maxItems": 16,
        "items": {"type": "string"},
    },
    "mask": {"type": "string"},
    "markup": {"type": "string"},
    "size": {"type": "string"},
    "quality": {"type": "string", "enum": ["auto", "low", "medium", "high", "xhigh", "max"]},
    "n": {"type": "integer", "minimum": 1, "maximum": 10},
    "background": {"type": "string", "enum": ["auto", "opaque", "transparent"]},
    "output_format": {"type": "string", "enum": ["png", "jpeg", "webp", "gif", "svg"]},
    "output_compression": {"type": "integer", "minimum": 0, "maximum": 100},
    "moderation": {"type": "string", "enum": ["auto", "low"]},
    "partial_images": {"type": "integer", "minimum": 0, "maximum": 3},
    "output_dir": {"type": "string", "maxLength": 4096},
    "filename_prefix": {"type": "string", "maxLength": 60},
    "complexity": {"type": "string", "enum": ["low", "medium", "high"]},
    "input_fidelity": {"type": "string", "enum": ["low", "high"]},
    "frame_count": {"type": "integer", "minimum": 2, "maximum": 16},
    "frame_duration_ms": {"type": "integer", "minimum": 1, "maximum": 655_350},
    "svg_model": {"type": "string", "maxLength": 100},
    "svg_reasoning_effort": {
        "type": "string",
        "enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max"],
    },
    "safety_identifier": {"type": "string", "maxLength": 256},
    "dry_run": {"type": "boolean"},
    "max_cost_usd": {"type": "number", "minimum": 0, "maximum": 1000},
    "model": {"type": "string", "maxLength": 100},
    "session_id": {"type": "string", "maxLength": 200},
    "operation_id": {"type": "string", "maxLength": 100},
    "inline": {"type": "string", "enum": ["auto", "preview", "full", "none"]},
    "wait_seconds": {"type": "integer", "minimum": 0, "maximum": 600},
}
every_request = pytest.mark.parametrize("request_", list(ARGUMENTS), ids=lambda request: request.__name__)


def keywords(schema: Any) -> Iterator[str]:
    """Every JSON Schema keyword in use, property names left out."""
    for key, value in schema.items():
        yield key
        inner = list(value.values()) if key in ("properties", "$defs") else [value]
        for part in inner:
            if isinstance(part, dict):
                yield from keywords(part)


def types(schema: Any) -> Iterator[Any]:
    """Every value of `type`; a list of types is not understood everywhere."""
    if isinstance(schema, dict):
        if "type" in schema:
            yield schema["type"]
        for value in schema.values():
            yield from types(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from types(value)


@every_request
def test_a_tool_takes_exactly_the_documented_arguments(request_: type[Arguments]) -> None:
    words = ARGUMENTS[request_].split()
    schema = input_schema(request_)

    assert set(schema["properties"]) == {word.rstrip("*") for word in words}
    assert set(schema.get("required", [])) == {word.rstrip("*") for word in words if word.endswith("*")}


@every_request
def test_an_input_schema_is_one_flat_closed_object(request_: type[Arguments]) -> None:
    schema = input_schema(request_)
    jsonschema.Draft202012Validator.check_schema(schema)

    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert set(schema) <= {"type", "properties", "required", "additionalProperties"}
    assert set(keywords(schema)) <= {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "description",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "items",
        "enum",
    }


@every_request
def test_required_arguments_come_first(request_: type[Arguments]) -> None:
    schema = input_schema(request_)
    required = schema.get("required", [])

    assert list(schema["properties"])[: len(required)] == required


@every_request
def test_bounds_and_choices_are_said(request_: type[Arguments]) -> None:
    for name, schema in input_schema(request_)["properties"].items():
        of_a_session = name == "output_format" and issubclass(request_, TurnOptions)
        bounds = {"type": "string", "enum": list(PIXEL_FORMATS)} if of_a_session else BOUNDS[name]
        assert {key: value for key, value in schema.items() if key != "description"} == bounds


@every_request
def test_every_argument_is_described(request_: type[Arguments]) -> None:
    for schema in input_schema(request_)["properties"].values():
        assert schema["description"].endswith(".")


NOTHING_APPLIED = AppliedOptions(size=None, quality=None, background=None, output_format=None)


def image_result(**more: Any) -> dict[str, Any]:
    return {
        "operation_id": "0f1e2d3c",
        "model": "gpt-image-2",
        "prompt": "p",
        "requested": RequestedOptions(size="auto", quality="auto", n=1, format="png"),
        "applied": NOTHING_APPLIED,
        "images": [
            ImageFile(
                id="0f1e2d3c-1",
                file_path="/o/i.png",
                filename="i.png",
                size_bytes=1,
                mime_type="image/png",
                width=1,
                height=1,
            )
        ],
        "usage": None,
        "cost_usd_estimated": None,
        **more,
    }


FULL_USAGE = Usage(
    input_tokens=1,
    output_tokens=2,
    total_tokens=3,
    input_tokens_details=InputTokens(text_tokens=1),
    output_tokens_details=OutputTokens(image_tokens=2),
)
SUMMARY = SessionSummary(
    session_id="s", created_at="t", updated_at="t", turns=1, last_prompt="p", last_image_path="/o/i.png"
)
PERIOD = PeriodSpending(
    period="day",
    since="2026-11-22T00:00:00.000Z",
    renews_at="2026-11-23T00:00:00.000Z",
    calls=1,
    spent_usd=0.5,
    reserved_usd=0,
    unknown_usd=0,
    limit_usd=None,
    left_usd=None,
)
RESULTS: list[BaseModel] = [
    ImageResult(**image_result()),
    ImageResult(
        **image_result(
            usage=FULL_USAGE,
            cost_usd_estimated=0.2112,
            applied=AppliedOptions(size="1x1", quality="high", background="opaque", output_format="png"),
            route="responses",
            note="n",
            sandbox=True,
        )
    ),
    ImageResult(**image_result(usage=Usage(input_tokens=1, output_tokens=2, total_tokens=3), images=[])),
    SessionImageResult(**image_result(session_id="s", turn=1)),
    WorkingResult(operation_id="0f1e2d3c", elapsed_seconds=50, expected_seconds=None),
    DryRunResult(
        model="gpt-image-2",
        estimate=CostEstimate(least_usd=0.01, expected_usd=0.02, most_usd=0.03, caveats=["a"]),
        request=OutlinedRequest(method="POST", path="images/generations", body={"n": 1}, files=[]),
    ),
    DryRunResult(
        model="gpt-image-3",
        estimate=None,
        request=OutlinedRequest(method="POST", path="images/edits", body={}, files=[{"field": "mask"}]),
        note="n",
        sandbox=True,
    ),
    WorkingResult(operation_id="0f1e2d3c", elapsed_seconds=50.4, expected_seconds=61.5, phase="waiting 3 s"),
    ImportResult(operation_id="0f1e2d3c", images=image_result()["images"], source="/a.png"),
    EndSessionResult(ended=False, session_id="s"),
    ListSessionsResult(sessions=[]),
    ListSessionsResult(sessions=[SUMMARY]),
    SpendingResult(periods=[], by="model", since="2026-11-01T00:00:00.000Z", groups=[]),
    SpendingResult(
        periods=[PERIOD],
        by="day",
        since="2026-11-01T00:00:00.000Z",
        groups=[GroupSpending(name="2026-11-22", calls=1, spent_usd=0.5, reserved_usd=0, unknown_usd=0)],
        call_limit_usd=0.5,
        note="n",
        sandbox=True,
    ),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_the_output_schema_accepts_the_structured_content(result: BaseModel) -> None:
    schema = output_schema(type(result))
    jsonschema.Draft202012Validator.check_schema(schema)

    jsonschema.validate(result.model_dump(mode="json"), schema)


@pytest.mark.parametrize(
    "change",
    [
        {"model": None},
        {"images": "none"},
        {"cost_usd_estimated": "free"},
        {"applied": None},
        {"route": 1},
        {"usage": 7},
        {"requested": None},
    ],
)
def test_the_output_schema_refuses_other_content(change: dict[str, Any]) -> None:
    content = {**ImageResult(**image_result()).model_dump(mode="json"), **change}

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, output_schema(ImageResult))


@pytest.mark.parametrize("result", list({type(r): None for r in RESULTS}))
def test_output_schemas_are_portable_objects(result: type[BaseModel]) -> None:
    schema = output_schema(result)

    assert schema["type"] == "object"
    assert not {"oneOf", "allOf", "title", "default"} & set(keywords(schema))
    assert all(isinstance(kind, str) for kind in types(schema))


def test_keys_that_may_be_left_out_are_not_required() -> None:
    required = output_schema(SessionImageResult)["required"]

    assert {"model", "prompt", "requested", "applied", "images", "session_id", "turn"} <= set(required)
    assert not {"route", "note", "sandbox"} & set(required)


# Tools that answer with one of two results

PICTURES: list[type[BaseModel]] = [ImageResult, SessionImageResult]
every_picture_result = pytest.mark.parametrize("kind", PICTURES)


@every_picture_result
def test_a_merged_schema_accepts_both_results_and_a_plain_one_for_a_sessions(kind: type[BaseModel]) -> None:
    schema = output_schema(kind, WorkingResult)
    jsonschema.Draft202012Validator.check_schema(schema)

    taken = [r for r in RESULTS if isinstance(r, ImageResult | WorkingResult)]
    assert {type(r) for r in taken} == {ImageResult, SessionImageResult, WorkingResult}
    for result in taken:
        jsonschema.validate(result.model_dump(mode="json"), schema)


@every_picture_result
def test_a_merged_schema_is_one_flat_portable_object(kind: type[BaseModel]) -> None:
    schema = output_schema(kind, WorkingResult)

    assert schema["type"] == "object"
    assert not {"oneOf", "allOf", "title", "default", "const"} & set(keywords(schema))
    assert all(isinstance(each, str) for each in types(schema))


@every_picture_result
def test_a_merged_schema_knows_every_key_of_both_and_demands_what_both_have(kind: type[BaseModel]) -> None:
    schema = output_schema(kind, WorkingResult)

    assert set(schema["properties"]) == set(kind.model_fields) | set(WorkingResult.model_fields)
    assert schema["required"] == ["operation_id"]
    assert schema["properties"]["status"] == {"type": "string"}


@every_picture_result
@pytest.mark.parametrize(
    "content",
    [
        {},
        {"status": "working"},
        {"operation_id": 7},
        {"operation_id": "x", "elapsed_seconds": "long"},
        {"operation_id": "x", "images": "none"},
        {"operation_id": "x", "images": [{"file_path": 1}]},
        {"operation_id": "x", "status": None},
        {"operation_id": "x", "usage": 7},
    ],
    ids=str,
)
def test_a_merged_schema_still_refuses_other_content(kind: type[BaseModel], content: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, output_schema(kind, WorkingResult))


def test_a_property_that_both_results_have_is_described_as_the_first_has_it() -> None:
    for kind in PICTURES:
        alone, merged = output_schema(kind), output_schema(kind, WorkingResult)
        for name, schema in alone["properties"].items():
            if name != "status":
                assert merged["properties"][name] == schema


def test_every_tool_declares_a_schema_that_accepts_each_result_it_names() -> None:
    for spec in TOOLS:
        schema = output_schema(*spec.results)
        made = [r for r in RESULTS if type(r) in spec.results]
        assert {type(r) for r in made} == set(spec.results)
        for result in made:
            jsonschema.validate(result.model_dump(mode="json"), schema)
