"""Ten thousand argument sets that nobody expects, for each tool."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
import pytest
from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel

from gpt_image_2_mcp.callers import Caller
from gpt_image_2_mcp.models import ImageJob, InputImage
from gpt_image_2_mcp.requests import Arguments as Request
from gpt_image_2_mcp.server.calls import run_tool
from gpt_image_2_mcp.server.delivery import Delivery
from gpt_image_2_mcp.server.opening import ready
from gpt_image_2_mcp.server.tools import TOOLS, ToolSpec
from tests.faults.arguments import Arguments
from tests.support.outlets import NOBODY, READABLE, Outlets

pytestmark = pytest.mark.anyio
SETS: Final = 10_000
LISTED: Final = {
    tool["name"]: jsonschema.Draft202012Validator(tool["inputSchema"])
    for tool in json.loads((Path(__file__).parents[1] / "golden" / "tools.json").read_text("utf-8"))
}
LONGEST_REFUSAL: Final = 1500
WORDS_OF_OURS_THAT_FAILED: Final = ("failed inside", "Traceback", "pydantic", "Error(", "object at 0x")


async def delivered(_request: Request, result: BaseModel) -> CallToolResult:
    return await Delivery().deliver(result)


@pytest.mark.parametrize("spec", TOOLS, ids=lambda spec: spec.name)
async def test_arguments_that_nobody_expects_are_refused_in_words_and_nothing_wrong_goes_out(
    spec: ToolSpec, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)  # ten thousand lines take longer than the calls
    outlets, arguments, ends = Outlets(), Arguments(seed=4), Counter[str]()
    service = await outlets.service()
    for _ in range(SETS):
        given = arguments.for_tool(spec)
        result = await run_tool(ready(service), spec, given, Caller(wait_s=0), delivered)
        ends[_check(result)] += 1
    for job in outlets.jobs:
        _check_legal(job)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(outlets.ordered) == len(outlets.jobs) == ends["ordered"]
    assert ends["refused"] > SETS / 2 or spec.name in ("end_edit_session", "list_edit_sessions", "get_result")
    assert (set(outlets.read) > set(READABLE)) == (
        spec.name in ("edit_image", "start_edit_session", "import_image")
    )
    await service.close()


def _check(result: CallToolResult) -> str:
    """Whether it is an answer that can be sent, and which."""
    block = result.content[-1]
    assert isinstance(block, TextContent)
    result.model_dump_json()
    if not result.is_error:
        return "answered"
    text = block.text
    assert len(text) <= LONGEST_REFUSAL
    assert text.isprintable(), text
    assert not [word for word in WORDS_OF_OURS_THAT_FAILED if word in text], text
    assert text.endswith((".", "!", "?")), text
    return "ordered" if NOBODY in text else "refused"


def _check_legal(job: ImageJob) -> None:
    """What would be sent is what the listed schema allows, and of what the service was given to read."""
    listed = LISTED["generate_image" if job.action == "generate" else "edit_image"]
    sent: dict[str, Any] = {"prompt": job.prompt, **job.options.model_dump(exclude_none=True)}
    if job.action == "edit":
        sent["images"] = [image.filename for image in job.images if isinstance(image, InputImage)]
    assert not list(
        listed.iter_errors({name: sent[name] for name in listed.schema["properties"] if name in sent})
    )
    assert job.prompt.strip()
    assert len(job.files) >= len(job.images)
    assert all(file.data == b"x" for file in job.files)
