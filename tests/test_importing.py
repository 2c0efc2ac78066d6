from __future__ import annotations

import gc

import pytest

from gpt_image_2_mcp.importing import collector_off


@pytest.fixture(autouse=True)
def _thawed() -> object:
    yield
    gc.unfreeze()


def test_the_collector_rests_and_is_on_again_after() -> None:
    with collector_off():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_was_made_meanwhile_is_looked_at_no_more() -> None:
    before = gc.get_freeze_count()
    with collector_off():
        kept = [[] for _ in range(1000)]  # type: ignore[var-annotated]
    assert gc.get_freeze_count() >= before + len(kept)


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), collector_off():
        raise ImportError
    assert gc.isenabled()


def test_where_the_collector_was_off_it_stays_so() -> None:
    gc.disable()
    try:
        with collector_off():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
