"""The nouns: names of files, jobs, results."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gpt_image_2_mcp.models import (
    AppliedOptions,
    ImageJob,
    InputImage,
    Placement,
    Usage,
)
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.sizes import Size

TOKEN = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
STAMP = "20260422-150301"
NOTHING_APPLIED = AppliedOptions(size=None, quality=None, background=None, output_format=None)


def placed(
    kind: Literal["image", "edit", "session"] = "image", prefix: str | None = None, turn: int | None = None
) -> Placement:
    return Placement(Path("/out"), kind, STAMP, TOKEN, prefix, turn)


def test_a_picture_is_named_by_its_moment_and_a_random_part() -> None:
    assert placed().filename("png", 0, 1) == "image-20260422-150301-a1b2c3.png"


def test_a_prefix_stands_behind_the_random_part() -> None:
    assert placed(prefix="hero-banner").filename("png", 0, 1) == (
        "image-20260422-150301-a1b2c3-hero-banner.png"
    )


def test_an_edit_is_named_edit_and_has_the_extension_of_its_format() -> None:
    assert placed("edit").filename("webp", 0, 1) == "edit-20260422-150301-a1b2c3.webp"


def test_a_session_picture_names_its_turn() -> None:
    assert placed("session", turn=1).filename("png", 0, 1) == "session-20260422-150301-a1b2c3-turn1.png"
    assert placed("session", "logo", 12).filename("jpeg", 0, 1) == (
        "session-20260422-150301-a1b2c3-logo-turn12.jpeg"
    )


def test_several_pictures_of_one_call_are_numbered_from_one() -> None:
    names = [placed(prefix="cat").filename("png", index, 3) for index in range(3)]

    assert names == [f"image-20260422-150301-a1b2c3-cat-{number}.png" for number in (1, 2, 3)]


def test_a_taken_name_grows_by_more_of_its_token() -> None:
    assert placed().filename("png", 0, 1, digits=10) == "image-20260422-150301-a1b2c3d4e5.png"


@pytest.mark.parametrize(
    ("prefix", "label"),
    [
        ("../../etc/passwd", "-etc-passwd"),
        ("..\\..\\windows", "-windows"),
        ("a b/c", "-a-b-c"),
        ("-rf", "-rf"),
        ("\u00e9t\u00e9", "-t"),
        ("CON:", "-CON"),
        ("---", ""),
        ("\0\n", ""),
        ("", ""),
    ],
)
def test_a_hostile_prefix_becomes_a_plain_label(prefix: str, label: str) -> None:
    assert placed(prefix=prefix).filename("png", 0, 1) == f"image-20260422-150301-a1b2c3{label}.png"


@settings(max_examples=200, deadline=None)
@given(
    prefix=st.one_of(st.none(), st.text(st.characters(codec=None), max_size=300), st.text("./\\-_~ ab")),
    turn=st.one_of(st.none(), st.integers(1, 10_000)),
    index=st.integers(0, 9),
    digits=st.sampled_from([6, 10, 16, 32]),
)
@example("../../x", None, 0, 6)
@example("CON", 1, 0, 6)
@example("nul.png", None, 0, 6)
@example("\U0001f98a" * 63 + "xyz", None, 0, 32)
@example("a\0b", None, 0, 6)
@example("--help", None, 9, 32)
def test_any_prefix_gives_one_plain_bounded_file_name(
    prefix: str | None, turn: int | None, index: int, digits: int
) -> None:
    name = placed("session", prefix, turn).filename("jpeg", index, 10, digits=digits)

    assert re.fullmatch(r"session-[A-Za-z0-9_-]*\.jpeg", name)
    assert len(name.encode()) <= 140
    assert Path("/out", name).parent == Path("/out")


def test_names_of_one_call_differ_by_picture_and_turn() -> None:
    names = {placed("session", "p", turn).filename("png", i, 10) for turn in (1, 2) for i in range(10)}

    assert len(names) == 20


def test_a_job_prints_neither_prompt_nor_bytes() -> None:
    image = InputImage(b"PIXELS", "image.png", "image/png", Size(1, 1), has_alpha=False, mark="")
    job = ImageJob("edit", "a secret wish", RenderOptions(model="gpt-image-2"), (image,), image)

    assert "secret wish" not in repr(job)
    assert "PIXELS" not in repr(job)


def test_a_job_counts_one_picture_unless_told() -> None:
    assert ImageJob("generate", "p", RenderOptions(model="m")).count == 1
    assert ImageJob("generate", "p", RenderOptions(model="m", n=4)).count == 4
    assert ImageJob("generate", "p", RenderOptions(model="m")).model == "m"


def test_values_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        placed().stamp = "now"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        NOTHING_APPLIED.size = "1x1"


def test_a_usage_with_negative_tokens_is_refused() -> None:
    with pytest.raises(ValidationError):
        Usage(input_tokens=-1, output_tokens=0, total_tokens=0)


def test_a_usage_shows_only_the_details_that_came() -> None:
    usage = Usage(input_tokens=1, output_tokens=2, total_tokens=3)

    assert usage.model_dump() == {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
        "input_tokens_details": None,
    }
