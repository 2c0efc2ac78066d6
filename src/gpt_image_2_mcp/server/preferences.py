"""What the settings say of all clients, joined with what is known of the one that calls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from anyio import CapacityLimiter
from mcp.server.context import ServerRequestContext
from mcp.types import Implementation

from gpt_image_2_mcp.callers import Caller, Report
from gpt_image_2_mcp.redaction import Redact, redact
from gpt_image_2_mcp.server.delivery import Delivery, Links, no_links
from gpt_image_2_mcp.server.profiles import DEFAULT, Profile, recognise
from gpt_image_2_mcp.server.progress import USUAL, Pace
from gpt_image_2_mcp.server.resources import links_to
from gpt_image_2_mcp.showing import Inline

_FIRST_WITH_LINKS: Final = "2025-06-18"


@dataclass(frozen=True, slots=True)
class Preferences:
    """None leaves a thing to the client's profile.

    `wait_s` is how long a call waits for its picture before it is handed off; infinite: to the end.
    Errors go out through `redact`. `local_paths`: clients may name files and folders of this machine.
    """

    profile: Profile | None = None
    inline: Inline = "auto"
    wait_s: float | None = None
    links: Links = links_to
    pace: Pace = USUAL
    redact: Redact = redact
    local_paths: bool = True

    def profile_of(self, context: ServerRequestContext[Any]) -> Profile:
        """What the client of a request can take; in both eras the request tells who it is."""
        client = _client(context)
        return self.profile or (recognise(client.name, client.version) if client else DEFAULT)

    def caller(self, context: ServerRequestContext[Any], report: Report) -> Caller:
        client = _client(context)
        wait_s = self.profile_of(context).hand_off_s if self.wait_s is None else self.wait_s
        return Caller(client.name if client else "", None if wait_s == math.inf else wait_s, report)

    def delivery(self, context: ServerRequestContext[Any], limiter: CapacityLimiter) -> Delivery:
        profile = self.profile_of(context)
        knows_links = profile.resource_links and context.protocol_version >= _FIRST_WITH_LINKS
        return Delivery(profile, self.inline, self.links if knows_links else no_links, limiter)


BY_PROFILE: Final = Preferences()


def _client(context: ServerRequestContext[Any]) -> Implementation | None:
    params = context.session.client_params
    return params.client_info if params else None
