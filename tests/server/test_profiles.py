from __future__ import annotations

import pytest

from gpt_image_2_mcp.errors import ConfigurationError
from gpt_image_2_mcp.server.profiles import (
    DEFAULT,
    MAY_END_SOONER_S,
    PROFILES,
    Profile,
    named,
    recognise,
)

each = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: f"{profile.name}{profile.since}")


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("claude-ai", "claude-desktop"),
        ("claude-ai (via mcp-remote 0.1.29)", "claude-desktop"),
        ("local-agent-mode-gpt-image", "claude-desktop"),
        ("claude-code", "claude-code"),
        ("Claude Code", "claude-code"),
        ("codex-mcp-client", "codex"),
        ("Codex", "codex"),
        ("Visual Studio Code", "vscode"),
        ("Visual-Studio-Code", "vscode"),
        ("Visual Studio Code - Insiders", "vscode"),
        ("github-copilot-developer", "copilot-cli"),
        ("copilot-cli", "copilot-cli"),
        ("cursor-vscode", "cursor"),
        ("gemini-cli-mcp-client", "gemini-cli"),
        ("gemini-cli-mcp-client-gpt-image-2", "gemini-cli"),
        ("Cline", "cline"),
        ("Zed", "zed"),
        ("Windsurf", "windsurf"),
        ("windsurf-client", "windsurf"),
        ("ChatGPT", "chatgpt"),
        ("openai-mcp", "chatgpt"),
        ("opencode", "opencode"),
        ("@librechat/api-client", "librechat"),
        ("LM Studio", "lm-studio"),
        ("Roo-Code", "roo-code"),
        ("qwen-code-mcp-client", "qwen-code"),
        ("zedtools", "default"),
        ("my-cursor", "default"),
        ("mcp", "python-sdk"),
        ("", "default"),
    ],
)
def test_a_client_is_known_by_what_it_calls_itself(name: str, profile: str) -> None:
    assert recognise(name, "1.0.0").name == profile


@pytest.mark.parametrize(
    ("name", "version", "hides_images", "call_s"),
    [
        ("claude-code", "2.1.330", False, 120),
        ("claude-code", "2.1.304", False, 120),
        ("claude-code", "2.1.153", True, 120),
        ("claude-code", "", True, 120),
        ("codex-mcp-client", "0.147.0", True, 300),
        ("codex-mcp-client", "v1.0", True, 300),
        ("codex-mcp-client", "0.146.9-alpha.3", True, 60),
        ("codex-mcp-client", "unknown", True, 60),
    ],
)
def test_a_version_tells_the_rows_of_a_client_apart(
    name: str, version: str, hides_images: bool, call_s: float
) -> None:
    profile = recognise(name, version)
    assert (profile.hides_images, profile.call_s) == (hides_images, call_s)


def test_a_setting_names_a_client_as_of_its_newest_version() -> None:
    assert named("Claude Code") == recognise("claude-code", "9.9.9")
    assert named("default") == DEFAULT
    with pytest.raises(ConfigurationError, match="GPT_IMAGE_2_CLIENT_PROFILE") as caught:
        named("netscape")
    assert "default, claude-code, claude-desktop, codex" in caught.value.hint


def test_clients_whose_models_do_not_see_pictures_beside_structured_content_are_known() -> None:
    hiding = {profile.name for profile in PROFILES if profile.hides_images}
    assert hiding == {"codex", "opencode", "copilot-cli", "claude-code"}


@each
def test_a_row_promises_no_more_than_the_client_takes(profile: Profile) -> None:
    assert 0 < profile.budget <= 700_000 < profile.cap < 10 * 1024**2
    assert profile.hand_off_s == profile.call_s - MAY_END_SOONER_S
    assert profile.hand_off_s > 30


def test_what_nobody_has_reported_stands_at_the_safe_value() -> None:
    assert (DEFAULT.budget, DEFAULT.hand_off_s) == (700_000, 50)
    assert not DEFAULT.webp
    assert not DEFAULT.hides_images
