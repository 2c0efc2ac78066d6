"""The tools and prompts that clients are offered."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import BaseModel

from gpt_image_2_mcp.capabilities import (
    NOT_OFFERED,
)
from gpt_image_2_mcp.models import AppliedOptions, SvgUsage, Usage
from gpt_image_2_mcp.requests import ContinueSessionRequest, Paid, PartialOption, Shown
from gpt_image_2_mcp.results import (
    CostEstimate,
    DryRunResult,
    GroupSpending,
    ImageFile,
    OutlinedRequest,
    PeriodSpending,
    RequestedOptions,
    SessionSummary,
    WorkingResult,
)
from gpt_image_2_mcp.schemas import input_schema, output_schema
from gpt_image_2_mcp.server.prompt_texts import PROMPTS, PromptSpec
from gpt_image_2_mcp.server.tools import TOOLS, ToolSpec
from pages.markdown import NOTICE, table, yes

TOOLS_HEAD: Final = f"""\
# Tools

{NOTICE}

Arguments are given by these names; an unknown one is refused and named, never dropped. An optional argument
that is `null` or empty text counts as not given. Numbers may come as text (`"2"`), a list as JSON text or as
one string. Where no default is given, an argument left out has no effect. `GPT_IMAGE_2_MODEL` and
`GPT_IMAGE_2_OUTPUT_DIR` set the model and the folder of calls that name none.
"""
OBJECTS: Final[dict[str, type[BaseModel]]] = {
    "requested": RequestedOptions,
    "applied": AppliedOptions,
    "images[]": ImageFile,
    "usage": Usage,
    "svg_usage": SvgUsage,
    "sessions[]": SessionSummary,
    "estimate": CostEstimate,
    "request": OutlinedRequest,
    "periods[]": PeriodSpending,
    "groups[]": GroupSpending,
}
RESULTS_FOOT: Final = """
`status` is `done`, `working` or `dry_run`. `route`, `note`, `sandbox` and `phase` are there only when they
say something; `session_id` and `turn` only where the picture is a turn of a session. `frames` and
`duration_ms` are there for an animation, `svg_usage` for a drawing (SVG), whose `width` and `height` are
null. Beside `periods` stand `groups`, which split what was spent `since` a moment `by` something, and
`call_limit_usd`, `note` and `sandbox` where they say something; beside `sessions` stands their `total` where
not all are listed. Durations are in seconds where no unit is named, money is in USD.
"""


def tools_table() -> str:
    rows = ((f"[`{s.name}`](docs/tools.md#{s.name})", s.description.split(". ")[0] + ".") for s in TOOLS)
    return table(("Tool", "What it does"), rows)


def tools_page() -> str:
    return TOOLS_HEAD + "".join(map(_tool_section, TOOLS)) + results_section() + not_offered_section()


def _tool_section(spec: ToolSpec) -> str:
    hints = spec.annotations.model_dump(exclude_none=True)
    said = ", ".join(
        f"{name.removesuffix('_hint').replace('_', '-')} {yes(on)}" for name, on in hints.items()
    )
    return (
        f"\n## {spec.name}\n\n{spec.description}\n\n{_arguments(spec)}\n"
        f"{_structured(spec)}\n\nHints to clients: {said}.\n"
    )


def _structured(spec: ToolSpec) -> str:
    done, *others = spec.results
    told = [f"Structured result: {_fields(done)}."]
    told += (f"{_INSTEAD[result]}: {_fields(result)}." for result in others)
    return " ".join(told)


_INSTEAD: Final[dict[type[BaseModel], str]] = {
    WorkingResult: "While the picture is still being made",
    DryRunResult: "Of a dry run",
}


def _fields(result: type[BaseModel]) -> str:
    return ", ".join(f"`{name}`" for name in output_schema(result)["properties"])


def results_section() -> str:
    """What stands inside the objects of a result, which the schemas in the tool list leave open."""
    rows = ((f"`{name}`", _fields(kind)) for name, kind in OBJECTS.items())
    return f"\n## Objects in results\n\n{table(('Object', 'What it holds'), rows)}{RESULTS_FOOT}"


def not_offered_section() -> str:
    rows = ((f"`{name.replace('=', ': ')}`", reason) for name, reason in NOT_OFFERED.items())
    return f"\n## What of the Images API no tool takes\n\n{table(('Parameter', 'Why'), rows)}"


def _arguments(spec: ToolSpec) -> str:
    schema = input_schema(spec.request)
    required = schema.get("required", [])
    rows = (
        (f"`{name}`", _kind(rule), _default(spec, name, rule, name in required), rule["description"])
        for name, rule in schema["properties"].items()
    )
    heads = ("Argument", "Type and limits", "Default", "Meaning")
    return table(heads, rows) if schema["properties"] else "No arguments.\n"


def _kind(rule: dict[str, Any]) -> str:
    if "enum" in rule:
        return ", ".join(f"`{word}`" for word in rule["enum"])
    match rule["type"]:
        case "integer":
            limits = f", {rule['minimum']} to {rule['maximum']}" if "minimum" in rule else ""
            return f"whole number{limits}"
        case "array":
            return f"list of texts, {rule['minItems']} to {rule['maxItems']} entries"
        case kind:
            limit = f", at most {rule['maxLength']:,} characters" if "maxLength" in rule else ""
            return f"{'text' if kind == 'string' else kind}{limit}"


def _default(spec: ToolSpec, name: str, rule: dict[str, Any], required: bool) -> str:
    if required:
        return "**required**"
    if spec.request is ContinueSessionRequest and name not in (
        *PartialOption.model_fields,
        *Shown.model_fields,
        *Paid.model_fields,
    ):
        return "the session's"
    said = re.search(r"Default ([\w.-]+)\.|`(\w+)` \(default\)|(\d+) best \(default\)", rule["description"])
    return next((f"`{word}`" for word in (said.groups() if said else ()) if word), "")


def prompts_table() -> str:
    rows = ((f"`{spec.name}`", spec.description, _blanks(spec)) for spec in PROMPTS)
    return table(("Prompt", "What it makes", "What it asks for"), rows)


def _blanks(spec: PromptSpec) -> str:
    return ", ".join(f"**{a.name}**" if a.required else a.name for a in spec.arguments)
