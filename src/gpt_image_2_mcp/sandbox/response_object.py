"""The response object of the Responses API and the image call within it."""

from collections.abc import Mapping
from dataclasses import dataclass

from gpt_image_2_mcp.sandbox import errors, usage
from gpt_image_2_mcp.sandbox.fields import Fields
from gpt_image_2_mcp.sandbox.job import Job


@dataclass(frozen=True)
class Turn:
    """One response in the making; `job` is None where the tool is not called."""

    response_id: str
    item_id: str
    created_at: int
    host: str
    fields: Fields
    prompt: str
    action: str
    job: Job | None
    fault: str | None
    refusal: errors.ApiError | None

    @property
    def made(self) -> bool:
        """Whether a picture is made at all."""
        return self.job is not None and self.refusal is None and self.fault != "empty"

    def envelope(self, status: str, output: list[Mapping[str, object]]) -> dict[str, object]:
        """The response object."""
        body: dict[str, object] = {
            "id": self.response_id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": self.fields.value("instructions"),
            "metadata": self.fields.value("metadata") or {},
            "model": self.host,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": self.fields.value("previous_response_id"),
            "temperature": 1.0,
            "tool_choice": self.fields.value("tool_choice") or "auto",
            "tools": self.fields.value("tools"),
            "top_p": 1.0,
        }
        return {**body, **self._usages()} if status == "completed" else body

    def _usages(self) -> dict[str, object]:
        """The host model's usage, which is merely plausible, and beside it the tool's."""
        text_in = 1_200 + usage.text_tokens(self.prompt)
        if self.made and self.job is not None:
            image_gen = self.job.usage(1, self.job.options.partial_images)
        else:
            image_gen = usage.images_usage(text_in=0, image_in=0, image_out=0)
        return {
            "usage": {
                "input_tokens": text_in,
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens": 42,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": text_in + 42,
            },
            "tool_usage": {"image_gen": image_gen, "web_search": {"num_requests": 0}},
        }

    def item(self, status: str, result: str | None) -> dict[str, object]:
        """The output item: the tool's call."""
        item: dict[str, object] = {"id": self.item_id, "type": "image_generation_call", "status": status}
        if self.job is None or status not in ("completed", "failed"):
            return {**item, "result": None}
        item |= {"action": self.action, **self.job.settings(), "result": result}
        if self.refusal is not None:
            return {**item, "error": self.refusal.error()}
        svg_usage = self.job.svg_usage()
        if svg_usage is not None:
            item["svg_usage"] = svg_usage
        return {**item, "revised_prompt": f"Create this picture: {self.prompt}"}
