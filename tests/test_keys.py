from __future__ import annotations

from gpt_image_2_mcp.keys import Secret


def test_a_secret_prints_as_stars_and_is_told_only_when_asked() -> None:
    secret = Secret("sk-1234567890")

    assert f"{secret} {secret!r} {[secret]}" == "Secret(***) Secret(***) [Secret(***)]"
    assert secret.reveal() == "sk-1234567890"
