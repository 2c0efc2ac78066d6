"""JSON Schemas of arguments and results, small and portable.

Input schemas are flat objects without anyOf, titles or null defaults: top-level unions brick some hosts and
Inspector's strict mode reports the rest. Every byte of a tool list stands in the model's context.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from gpt_image_2_mcp.requests import Arguments


class _Compact(GenerateJsonSchema):
    """No defaults, no titles."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


class _Arguments(_Compact):
    """An argument that may be null is said to be what it is when it is set; that a text must not be empty is
    left to the refusal of one that is.
    """

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return {
            key: rule for key, rule in super().str_schema(schema).items() if (key, rule) != ("minLength", 1)
        }

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


class _Result(_Compact):
    """What may be null says so with anyOf, the portable form; the inside of such an object is left open."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        inner = self.generate_inner(schema["schema"])
        return {"anyOf": [{"type": inner.get("type", "object")}, {"type": "null"}]}

    def generate(
        self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation"
    ) -> JsonSchemaValue:
        return cast("JsonSchemaValue", _trimmed(super().generate(schema, mode)))


def _trimmed(node: Any) -> Any:
    """`node` without class names; a property that is absent when there is nothing to say is never null."""
    if isinstance(node, list):
        return [_trimmed(item) for item in node]
    if not isinstance(node, dict):
        return node
    unsaid = {"title", "description"} if isinstance(node.get("title"), str) else set()
    kept = {key: _trimmed(value) for key, value in node.items() if key not in unsaid}
    for name, value in kept.get("properties", {}).items():
        if name not in kept.get("required", ()) and "anyOf" in value:
            kept["properties"][name] = value["anyOf"][0]
    return kept


def input_schema(request: type[Arguments]) -> dict[str, Any]:
    """The schema of a tool's arguments: a flat object, required ones first."""
    schema = request.model_json_schema(schema_generator=_Arguments)
    properties, required = schema.get("properties", {}), schema.get("required", [])
    ordered = sorted(properties, key=lambda name: name not in required)
    return {
        "type": "object",
        "properties": {name: properties[name] for name in ordered},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


@cache
def _result_schema(result: type[BaseModel]) -> dict[str, Any]:
    """Made once: some results are shared by many tools, and each takes milliseconds of the start."""
    return result.model_json_schema(schema_generator=_Result, mode="serialization")


def output_schema(*results: type[BaseModel]) -> dict[str, Any]:
    """The schema of a tool's structured content, which is a value of one of `results`: one flat object."""
    schemas = [_result_schema(result) for result in results]
    merged: dict[str, Any] = {"type": "object", "properties": {}}
    for schema in reversed(schemas):
        merged["properties"] |= schema.get("properties", {})
        merged["$defs"] = merged.get("$defs", {}) | schema.get("$defs", {})
    if len(results) > 1:
        merged["properties"]["status"] = {"type": "string"}
    required = [
        name for name in schemas[0].get("required", ()) if all(name in s["required"] for s in schemas)
    ]
    return {key: value for key, value in (merged | {"required": required}).items() if value}
