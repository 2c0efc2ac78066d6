"""However many processes want the last dollar at once, it is spent once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults.last_dollar import CAP, PRICE, RACERS, TRIES, Race
from tests.faults.nursery import Nursery

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the nursery passes files over Unix sockets")
ROUNDS = 12


def test_of_sixteen_processes_that_race_for_the_last_dollar_none_passes_the_cap(
    tmp_path: Path, nursery: Nursery
) -> None:
    assert RACERS * TRIES * PRICE > CAP, "there is more asked for than there is"
    race = Race(nursery, tmp_path, seed=4)
    race.run(lambda: race.rounds == ROUNDS)
    assert race.wrong == []
    assert race.admitted + race.refused == ROUNDS * RACERS * TRIES
    assert race.refused


def test_the_race_is_such_that_who_looks_first_and_then_spends_passes_the_cap(
    tmp_path: Path, nursery: Nursery
) -> None:
    race = Race(nursery, tmp_path, seed=4)
    race.run(lambda: race.overspent > 0 or race.rounds == 50, careless=True)
    assert race.overspent == 1
