"""The frames of GIFs, against what Pillow sees."""

from __future__ import annotations

from io import BytesIO
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gpt_image_2_mcp.image_formats.gif import Animation, read_animation
from tests.support.pictures import animation, picture


def noisy(frames: int, frame_ms: int, edge: int, transparent: bool) -> bytes:
    """Frames with colour tables of their own and more than one sub-block."""
    chance = Random(f"{frames}/{edge}")
    drawn = [Image.frombytes("RGB", (edge, edge), chance.randbytes(3 * edge * edge)) for _ in range(frames)]
    buffer = BytesIO()
    options = {"transparency": 3} if transparent else {}
    drawn[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=drawn[1:],
        duration=frame_ms,
        comment=b"!,;" * 99,
        **options,
    )
    return buffer.getvalue()


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(2, 16), tens=st.integers(0, 6000), edge=st.integers(1, 60), transparent=st.booleans()
)
def test_all_frames_are_found_and_their_times_added(
    frames: int, tens: int, edge: int, transparent: bool
) -> None:
    data = noisy(frames, 10 * tens, edge, transparent)
    with Image.open(BytesIO(data)) as image:
        seen = getattr(image, "n_frames", 1)
    found = read_animation(BytesIO(data))
    assert found == (Animation(seen, 10 * tens * frames) if seen > 1 else None)


def test_a_still_picture_is_no_animation() -> None:
    assert read_animation(BytesIO(picture(format_="GIF"))) is None


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"GIF89a" + b"\xff" * 7, b"GIF89a" + bytes(7) + b",;"])
def test_a_head_alone_is_no_animation(data: bytes) -> None:
    assert read_animation(BytesIO(data)) is None


def test_of_a_torn_file_no_more_frames_are_found_the_shorter_it_is() -> None:
    data = animation(6, 100)
    counts = []
    for end in range(len(data) + 1):
        found = read_animation(BytesIO(data[:end]))
        counts.append(found.frames if found else 0)
    assert counts == sorted(counts)
    assert {*counts} == {0, 2, 3, 4, 5, 6}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_behind_a_signature_are_read_to_their_end_at_most(tail: bytes) -> None:
    found = read_animation(BytesIO(b"GIF89a" + tail))
    assert found is None or 1 < found.frames <= len(tail)
