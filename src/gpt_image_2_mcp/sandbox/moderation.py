"""Markers by which a prompt asks the sandbox to refuse it, as the real safety system might.

`[moderation:STAGE:CATEGORY]`, where STAGE is input, output or unknown and CATEGORY is one or more of the
API's words parted by commas: `[moderation:input:violence]`, `[moderation:output:sexual,self-harm]`.
"""

import re
from dataclasses import dataclass
from typing import Final

from gpt_image_2_mcp.sandbox.errors import ApiError, moderation_blocked

_MARKER: Final = re.compile(r"\[moderation:(input|output|unknown):([a-z/-]+(?:,[a-z/-]+)*)\]")


@dataclass(frozen=True)
class Verdict:
    """Why a prompt is refused; `late` when that is found only once a picture was made."""

    stage: str
    categories: tuple[str, ...]

    @property
    def late(self) -> bool:
        return self.stage == "output"

    def error(self, request_id: str) -> ApiError:
        return moderation_blocked(request_id, self.stage, self.categories)


def judge(prompt: str) -> Verdict | None:
    """The verdict a prompt's first marker asks for."""
    found = _MARKER.search(prompt)
    return Verdict(found[1], tuple(found[2].split(","))) if found else None
