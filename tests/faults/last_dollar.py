"""Processes that ask for the last dollar at once, round after round, each in a state folder of its own."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from gpt_image_2_mcp.assembly import utc_now
from gpt_image_2_mcp.budgets import Budgets
from gpt_image_2_mcp.errors import BudgetExceeded
from gpt_image_2_mcp.models import Operation, Placement
from gpt_image_2_mcp.requests import RenderOptions
from gpt_image_2_mcp.stores.journal import SqliteJournal
from gpt_image_2_mcp.stores.ledger import SqliteLedger
from gpt_image_2_mcp.stores.sqlite import Database
from tests.faults.nursery import Child, Nursery

RACERS: Final = 16
CAP: Final = 1_000_000
PRICE: Final = 50_000
TRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Order:
    """What one racer is to reserve in a round. A careless one looks first and then spends."""

    folder: str
    racer: int
    prices: list[int]
    careless: bool = False


# In a racer


def race(_argument: dict[str, Any]) -> None:
    """Open the folder that a line names, say so, and at the next line spend; say what was admitted."""
    for line in sys.stdin:
        _say(asyncio.run(_spend(Order(**json.loads(line)))))


async def _spend(order: Order) -> dict[str, list[int]]:
    database = Database(Path(order.folder))
    budgets = Budgets(total=CAP)
    journal = SqliteJournal(database, utc_now, budgets=Budgets() if order.careless else budgets)
    ledger = SqliteLedger(database, utc_now, budgets)
    admitted, refused = [], []
    try:
        await journal.recent(1)
        _say({"ready": order.racer})
        sys.stdin.readline()
        for number, price in enumerate(order.prices):
            try:
                if order.careless and ((await ledger.spending()).periods[-1].left or 0) < price:
                    raise BudgetExceeded("No.")
                await journal.reserve(_operation(f"{order.racer}-{number}", price))
            except BudgetExceeded:
                refused.append(price)
            else:
                admitted.append(price)
    finally:
        await database.close()
    return {"admitted": admitted, "refused": refused}


def _operation(id_: str, price: int) -> Operation:
    placement = Placement(Path("/pictures"), "image", "20261122-120000", "a1b2c3d4" * 4)
    options, now = RenderOptions(model="gpt-image-2"), utc_now()
    return Operation(
        id_, "reserved", "generate", "A fox", options, placement, "f", "5e4d", now, now, estimate=price
    )


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


# In the race


@dataclass
class Race:
    """Rounds between the same processes; `wrong` says what no round may show."""

    nursery: Nursery
    place: Path
    seed: int = 0
    rounds: int = 0
    admitted: int = 0
    refused: int = 0
    overspent: int = 0
    wrong: list[str] = field(default_factory=list)
    _racers: list[Child] = field(default_factory=list)

    def run(self, until: Callable[[], bool], *, careless: bool = False) -> None:
        """Race until it is enough, at least once."""
        chance = random.Random(self.seed)
        target = "tests.faults.last_dollar:race"
        self._racers = [self.nursery.start(target, {}) for _ in range(RACERS)]
        while not self.rounds or not until():
            self.rounds += 1
            alike = self.rounds % 2 == 1
            prices = [
                [PRICE if alike else chance.randint(PRICE // 5, 2 * PRICE) for _ in range(TRIES)]
                for _ in range(RACERS)
            ]
            self.wrong += [f"round {self.rounds}: {what}" for what in self._round(prices, careless, alike)]
        for racer in self._racers:
            racer.stdin.close()
            assert racer.wait() == 0

    def _round(self, prices: list[list[int]], careless: bool, alike: bool) -> Iterator[str]:
        folder = self.place / f"round-{self.rounds}"
        for number, racer in enumerate(self._racers):
            order = Order(str(folder), number, prices[number], careless)
            racer.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        for racer in self._racers:
            assert "ready" in json.loads(racer.stdout.readline())
        for racer in self._racers:
            racer.stdin.write(b"go\n")
        said = [json.loads(racer.stdout.readline()) for racer in self._racers]
        admitted = [price for each in said for price in each["admitted"]]
        refused = [price for each in said for price in each["refused"]]
        self.admitted += len(admitted)
        self.refused += len(refused)
        charged = _charged(folder)
        self.overspent += charged > CAP
        if charged != sum(admitted):
            yield f"{charged} is charged and {sum(admitted)} was admitted"
        if charged > CAP:
            yield f"{charged} of {CAP} was spent"
        if alike and charged != CAP:
            yield f"{charged} of {CAP} was spent though there were calls to spend all"
        if refused and min(refused) <= CAP - charged:
            yield f"{min(refused)} was refused and {CAP - charged} is left"


def _charged(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        (charged,) = db.execute("SELECT sum(amount) FROM ledger").fetchone()
    return int(charged)


def main(rounds: int, seed: int, nursery: Nursery) -> int:
    """Race so many rounds and print what came of it; 1 if anything is wrong."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as place:
        race = Race(nursery, Path(place), seed)
        race.run(lambda: race.rounds == rounds)
    click.echo(
        f"{race.rounds} rounds of {RACERS} processes: {race.admitted:,} calls admitted, {race.refused:,} "
        f"refused, {race.overspent} budgets overspent, {len(race.wrong)} wrong; "
        f"{time.monotonic() - started:.0f} s, seed {seed}"
    )
    for what in race.wrong:
        click.echo(what, err=True)
    return 1 if race.wrong else 0
