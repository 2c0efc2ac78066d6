"""Token formulas against every published and measured figure."""

import pytest

from gpt_image_2_mcp.sandbox.usage import (
    input_image_tokens,
    output_tokens,
    request_usage,
    text_output_tokens,
    text_tokens,
)

TWO = ("low", "medium", "high")
TWO_FIVE = ("low", "medium", "high", "xhigh", "max")

GRID = {
    "1024x1024": ((196, 1756, 7024), (196, 439, 1756, 3122, 7024)),
    "1536x1024": ((158, 1372, 5488), (158, 343, 1372, 2459, 5488)),
    "1024x1536": ((158, 1372, 5488), (158, 343, 1372, 2459, 5488)),
    "1536x864": ((120, 1078, 4312), (120, 280, 1078, 1917, 4312)),
    "2048x1152": ((157, 1413, 5650), (157, 367, 1413, 2511, 5650)),
    "2048x2048": ((397, 3568, 14272), (397, 892, 3568, 6343, 14272)),
    "2560x1440": ((205, 1843, 7370), (205, 478, 1843, 3276, 7370)),
    "3840x2160": ((371, 3336, 13342), (371, 865, 3336, 5930, 13342)),
    "1280x720": ((106, 947, 3787), (106, 246, 947, 1683, 3787)),
    "2880x2880": ((659, 5930, 23719), (659, 1483, 5930, 10542, 23719)),
    "3840x1280": ((139, 1328, 5311), (139, 332, 1328, 2324, 5311)),
    "1024x640": ((107, 956, 3824), (107, 239, 956, 1700, 3824)),
}
LEGACY = {
    "1024x1024": (272, 1056, 4160),
    "1024x1536": (408, 1584, 6240),
    "1536x1024": (400, 1568, 6208),
}


def _tokens(model: str, quality: str, size: str) -> int:
    width, height = map(int, size.split("x"))
    return output_tokens(model, quality, width, height)


@pytest.mark.parametrize("size", GRID)
def test_output_tokens_follow_the_published_grid(size: str) -> None:
    two, two_five = GRID[size]
    assert tuple(_tokens("gpt-image-2", quality, size) for quality in TWO) == two
    assert tuple(_tokens("gpt-image-2-2026-04-21", quality, size) for quality in TWO) == two
    for model in ("gpt-image-2.5-flare", "gpt-image-2.5-sunburst"):
        assert tuple(_tokens(model, quality, size) for quality in TWO_FIVE) == two_five


@pytest.mark.parametrize(
    ("size", "quality", "tokens"),
    [
        ("976x704", "low", 129),
        ("960x720", "low", 130),
        ("1792x1024", "high", 5063),
        ("3584x2048", "high", 12329),
    ],
)
def test_output_tokens_equal_reported_bills(size: str, quality: str, tokens: int) -> None:
    assert _tokens("gpt-image-2", quality, size) == tokens


def test_halves_are_rounded_to_even() -> None:
    assert _tokens("gpt-image-2", "low", "1024x672") == 108


@pytest.mark.parametrize("size", LEGACY)
def test_older_models_have_a_table(size: str) -> None:
    for model in ("gpt-image-1-mini", "gpt-image-1.5", "chatgpt-image-latest"):
        assert tuple(_tokens(model, quality, size) for quality in TWO) == LEGACY[size]


def test_two_six_takes_what_was_reported_at_low_and_about_that_at_high() -> None:
    assert _tokens("gpt-image-2.6-flare", "low", "1536x1024") == 664
    assert _tokens("gpt-image-2.6-flare", "high", "1536x1024") == pytest.approx(1353, rel=0.02)
    assert _tokens("gpt-image-2.6-sunburst", "high", "3840x2160") == pytest.approx(3337, rel=0.001)


def test_two_six_takes_more_for_every_better_quality() -> None:
    counts = [_tokens("gpt-image-2.6-flare", quality, "1024x1024") for quality in TWO_FIVE]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((1024, 1024), 1024),
        ((1536, 1024), 1536),
        ((1024, 1536), 1536),
        ((341, 512), 704),
        ((1179, 2556), 1482),
        ((512, 512), 1024),
        ((1920, 1080), 1508),
        ((3840, 2160), 1508),
        ((2048, 2048), 1521),
        ((4032, 3024), 1452),
    ],
)
def test_input_pictures_are_counted_in_patches(size: tuple[int, int], tokens: int) -> None:
    for model in ("gpt-image-2", "gpt-image-2.5-flare", "gpt-image-2.6-flare"):
        assert input_image_tokens(model, *size) == tokens


@pytest.mark.parametrize(
    ("size", "fidelity", "tokens"),
    [
        ((1024, 1024), "low", 65 + 129),
        ((1536, 1024), "low", 65 + 2 * 129),
        ((4096, 1024), "low", 65 + 4 * 129),
        ((1024, 1024), "high", 65 + 129 + 4160),
        ((1024, 1536), "high", 65 + 2 * 129 + 6240),
    ],
)
def test_older_models_count_input_pictures_in_tiles(
    size: tuple[int, int], fidelity: str, tokens: int
) -> None:
    assert input_image_tokens("gpt-image-1.5", *size, fidelity) == tokens


def test_text_is_counted_by_its_length_and_script() -> None:
    assert text_tokens("") == 16
    assert text_tokens("abcd" * 10) == 26
    assert text_tokens("\u732b" * 10) == 26


def test_only_models_that_bill_text_write_any() -> None:
    assert text_output_tokens("gpt-image-1.5", "a fox") > 0
    assert text_output_tokens("chatgpt-image-latest", "a fox") > 0
    assert text_output_tokens("gpt-image-1-mini", "a fox") == 0
    assert text_output_tokens("gpt-image-2", "a fox") == 0


def test_each_of_several_pictures_is_billed_as_a_call_of_its_own() -> None:
    one = request_usage("gpt-image-2", "a fox", rendered=[(1024, 1024)], quality="low", inputs=[(1024, 1024)])
    three = request_usage(
        "gpt-image-2", "a fox", rendered=[(1024, 1024)] * 3, quality="low", inputs=[(1024, 1024)]
    )
    assert one == {
        "input_tokens": 18 + 1024,
        "input_tokens_details": {"text_tokens": 18, "image_tokens": 1024},
        "output_tokens": 196,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": 196},
        "total_tokens": 18 + 1024 + 196,
    }
    assert three["total_tokens"] == 3 * (18 + 1024 + 196)
