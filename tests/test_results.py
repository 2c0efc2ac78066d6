"""Results as clients see them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gpt_image_2_mcp.models import AppliedOptions, SvgUsage
from gpt_image_2_mcp.results import (
    EndSessionResult,
    ImageFile,
    ImageResult,
    ListSessionsResult,
    RequestedOptions,
    SessionImageResult,
    SessionSummary,
    WorkingResult,
)

ORIGINAL = ["model", "prompt", "requested", "applied", "images", "usage", "cost_usd_estimated"]
"""The keys of the TypeScript server's results, of which none may go."""


def result() -> ImageResult:
    return ImageResult(
        operation_id="0f1e2d3c",
        model="gpt-image-2",
        prompt="p",
        requested=RequestedOptions(size="auto", quality="auto", n=1, format="png"),
        applied=AppliedOptions(size=None, quality=None, background=None, output_format=None),
        images=[],
        usage=None,
        cost_usd_estimated=None,
    )


def test_a_result_has_the_originals_keys_and_added_ones_only_where_they_say_something() -> None:
    keys = ["status", "operation_id", *ORIGINAL]
    assert list(result().model_dump()) == keys
    told = result().model_copy(update={"route": "responses", "note": "n", "sandbox": True})
    assert list(told.model_dump()) == [*keys, "route", "note", "sandbox"]


def test_what_moves_says_how_and_what_is_drawn_has_no_edges() -> None:
    still = ImageFile(
        id="1", file_path="/a", filename="a", size_bytes=1, mime_type="image/png", width=2, height=3
    )
    assert list(still.model_dump()) == list(ImageFile.model_fields)[:7]
    film = still.model_copy(update={"frames": 9, "duration_ms": 1800})
    assert list(film.model_dump()) == list(ImageFile.model_fields)
    drawing = still.model_copy(update={"width": None, "height": None})
    assert drawing.model_dump()["width"] is None


def test_the_usage_of_a_drawings_author_stands_beside_the_pictures() -> None:
    author = SvgUsage(model="m", total_tokens=3)
    told = result().model_copy(update={"svg_usage": author}).model_dump()
    assert "svg_usage" not in result().model_dump()
    assert told["svg_usage"]["total_tokens"] == 3


def test_a_sessions_result_names_session_and_turn_besides() -> None:
    turn = SessionImageResult(**dict(result()), session_id="s1", turn=3)
    assert set(turn.model_dump()) - set(result().model_dump()) == {"session_id", "turn"}


def test_a_result_and_a_hand_off_are_told_apart_by_their_status() -> None:
    working = WorkingResult(operation_id="0f1e2d3c", elapsed_seconds=50, expected_seconds=None)
    assert result().status == "done"
    assert working.model_dump() == {
        "status": "working",
        "operation_id": "0f1e2d3c",
        "elapsed_seconds": 50,
        "expected_seconds": None,
    }
    assert working.model_copy(update={"phase": "waiting 3 s"}).model_dump()["phase"] == "waiting 3 s"


def test_the_other_results_have_the_originals_keys() -> None:
    assert list(EndSessionResult(ended=True, session_id="s1").model_dump()) == ["ended", "session_id"]
    assert list(ListSessionsResult(sessions=[]).model_dump()) == ["sessions"]
    assert list(ListSessionsResult(sessions=[], total=9).model_dump()) == ["sessions", "total"]
    assert list(SessionSummary.model_fields) == [
        "session_id",
        "created_at",
        "updated_at",
        "turns",
        "last_prompt",
        "last_image_path",
    ]


def test_results_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        result().model = "another"
