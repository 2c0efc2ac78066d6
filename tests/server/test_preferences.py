from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
from anyio import CapacityLimiter
from mcp.types import Implementation

from gpt_image_2_mcp.server.delivery import no_links
from gpt_image_2_mcp.server.preferences import BY_PROFILE, Preferences
from gpt_image_2_mcp.server.profiles import DEFAULT, named

pytestmark = pytest.mark.anyio


def asked_by(name: str | None, version: str = "1.0", protocol: str = "2026-07-28") -> Any:
    """As much of a request's context as tells who sent it."""
    client = SimpleNamespace(client_info=Implementation(name=name, version=version)) if name else None
    session = SimpleNamespace(client_params=client, client_capabilities=None)
    return SimpleNamespace(session=session, protocol_version=protocol)


def test_how_long_a_call_waits_is_the_clients_to_say_unless_it_is_set() -> None:
    assert BY_PROFILE.caller(asked_by("cursor-vscode"), print).wait_s == named("cursor").hand_off_s
    assert BY_PROFILE.caller(asked_by("somebody new"), print).wait_s == 50
    assert BY_PROFILE.caller(asked_by(None), print).wait_s == 50
    assert Preferences(wait_s=7).caller(asked_by("cursor-vscode"), print).wait_s == 7
    assert Preferences(wait_s=math.inf).caller(asked_by("cursor-vscode"), print).wait_s is None


def test_a_setting_names_the_client_in_its_place() -> None:
    codex = Preferences(profile=named("codex"))
    assert codex.profile_of(asked_by("somebody new")).hides_images
    assert codex.caller(asked_by("somebody new"), print).client == "somebody new"


def test_a_request_that_does_not_say_who_sent_it_is_anybodys() -> None:
    assert BY_PROFILE.profile_of(asked_by(None)) == DEFAULT
    assert BY_PROFILE.caller(asked_by(None), print).client == ""


async def test_links_go_to_clients_that_know_them() -> None:
    def links(_picture: object) -> list[Any]:
        return []

    limiter = CapacityLimiter(1)
    linking = Preferences(links=links)
    assert linking.delivery(asked_by("x"), limiter).links is links
    assert linking.delivery(asked_by("x", protocol="2025-06-18"), limiter).links is links
    assert linking.delivery(asked_by("x", protocol="2025-03-26"), limiter).links is no_links
    assert linking.delivery(asked_by("Zed"), limiter).links is no_links
