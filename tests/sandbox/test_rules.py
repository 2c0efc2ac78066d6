"""The sandbox's own table of models."""

import ast
from datetime import date
from pathlib import Path

import pytest

import gpt_image_2_mcp.sandbox.rules as rules_module
from gpt_image_2_mcp.sandbox.rules import MODEL_RULES, gif_sheet


def test_the_table_takes_nothing_from_the_rest_of_the_package() -> None:
    tree = ast.parse(Path(rules_module.__file__).read_text("utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in imported if name.startswith("gpt_image_2_mcp")]


def test_a_model_is_retired_from_its_shutdown_date_on() -> None:
    rule = MODEL_RULES["gpt-image-1.5"]
    assert not rule.retired(date(2026, 11, 30))
    assert rule.retired(date(2026, 12, 1))
    assert not MODEL_RULES["gpt-image-2"].retired(date(2099, 1, 1))


@pytest.mark.parametrize(
    ("frames", "square_cap"), [(2, 960), (8, 960), (9, 960), (10, 816), (12, 816), (13, 720), (16, 720)]
)
def test_the_gif_sheet_explains_the_frame_limits_third_parties_met(frames: int, square_cap: int) -> None:
    columns, rows = gif_sheet(frames)
    assert columns * rows >= frames

    def legal(edge: int) -> bool:
        wide, tall = edge * columns, edge * rows
        return max(wide, tall) <= rules_module.EDGE_MAX and wide * tall <= rules_module.PIXELS_MAX

    assert legal(square_cap)
    assert not legal(square_cap + 16)
