"""A link that is put in while something is opened leads nowhere, for reading and for writing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.faults.swapping import Race

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="exchanges names by a call of Linux")
OPENS = 50_000


def test_none_of_many_opens_ends_outside_of_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _handle: None)  # takes time and changes no name
    race = Race(tmp_path / "race")
    race.run(OPENS)
    assert race.ends["escaped"] == race.ends["damaged"] == 0, race.ends
    assert race.ends.total() == OPENS
    assert min(race.ends["read"], race.ends["written"], race.ends["refused"], race.swaps) > 0, race.ends


def test_the_swaps_are_such_that_a_careless_reader_ends_outside(tmp_path: Path) -> None:
    race = Race(tmp_path / "race")
    race.run_naively(lambda race: race.ends["escaped"] > 0)
    assert race.ends["escaped"] == 1
