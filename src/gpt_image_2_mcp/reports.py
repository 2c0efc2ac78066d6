"""What looking alone tells of an account, a state file and a server: nothing is paid and nothing changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from gpt_image_2_mcp.errors import UpstreamError

Fault = Literal["damaged", "unusable", "passing"]


@dataclass(frozen=True, slots=True)
class Listing:
    """What the API said when it was asked for its models.

    models: their ids with the day on which they are shut down, where one is announced
    refusal: why there is no list
    served_at: what time it is for the API's server
    """

    models: Mapping[str, date | None] = field(default_factory=dict)
    refusal: UpstreamError | None = None
    served_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StateReport:
    """How a state file stands.

    schema: the version that it was written by; None where there is no file
    fault: it is damaged; or it cannot be used from here; or just now it cannot be looked into
    trouble: what SQLite or the system says of that
    unfinished, lost: operations that are under way, and those whose outcome is not known
    since: when the longest unfinished one was last heard of
    verified: whether the last call that tells was let through, or refused for an organization not verified
    """

    schema: int | None
    supported: int
    fault: Fault | None = None
    trouble: str = ""
    unfinished: int = 0
    lost: int = 0
    since: datetime | None = None
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of starting a server as a client would: its tools, or what it said instead.

    `is_slow`: it said nothing in time.
    """

    tools: tuple[str, ...] = ()
    said: str = ""
    is_slow: bool = False
