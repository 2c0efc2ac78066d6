"""The gate: how many, in which order, and what those who wait are told."""

from __future__ import annotations

import asyncio

import pytest

from gpt_image_2_mcp.slots import Slots

pytestmark = pytest.mark.anyio


class Crowd:
    """Callers of one gate: who is inside, who came in when, and what each was told."""

    def __init__(self, limit: int) -> None:
        self.slots, self.back = Slots(limit), False
        self.listening = asyncio.Event()
        self.listening.set()
        self.inside: set[int] = set()
        self.order: list[int] = []
        self.told: dict[int, list[int]] = {}
        self.leave: dict[int, asyncio.Event] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def come(self, *names: int) -> None:
        for name in names:
            self.leave[name], self.told[name] = asyncio.Event(), []
            self.tasks[name] = asyncio.ensure_future(self._stay(name))
        await self.settle()

    async def go(self, *names: int) -> None:
        for name in names:
            self.leave[name].set()
            await self.settle()

    async def _stay(self, name: int) -> None:
        async def tell(ahead: int) -> None:
            self.told[name].append(ahead)
            await self.listening.wait()

        async with self.slots.slot(tell, back=self.back):
            self.inside.add(name)
            self.order.append(name)
            try:
                await self.leave[name].wait()
            finally:
                self.inside.discard(name)

    @staticmethod
    async def settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)


async def test_as_many_as_the_limit_are_inside_at_once_and_the_rest_come_in_order() -> None:
    crowd = Crowd(3)
    await crowd.come(*range(10))
    assert crowd.inside == {0, 1, 2}
    await crowd.go(1, 0, 2)
    assert crowd.inside == {3, 4, 5}
    await crowd.go(*range(3, 10))
    assert crowd.order == list(range(10))
    assert crowd.inside == set()


async def test_a_hundred_are_inside_where_the_limit_is_a_hundred() -> None:
    crowd = Crowd(100)
    await crowd.come(*range(100))
    assert len(crowd.inside) == 100
    assert not any(crowd.told.values())
    await crowd.go(*range(100))


async def test_who_waits_is_told_how_many_must_leave_first() -> None:
    crowd = Crowd(2)
    await crowd.come(*range(5))
    assert crowd.told == {0: [], 1: [], 2: [1], 3: [2], 4: [3]}
    await crowd.go(0)
    assert crowd.told[4] == [3, 2]
    await crowd.go(1, 2, 3, 4)
    assert crowd.told[4] == [3, 2, 1]


async def test_far_back_in_a_long_line_only_halvings_are_told() -> None:
    crowd = Crowd(1)
    await crowd.come(*range(101))
    await crowd.go(*range(101))
    assert crowd.told[100] == [100, 50, 25, 12, 8, 7, 6, 5, 4, 3, 2, 1]


async def test_who_gives_up_waiting_is_out_of_the_line() -> None:
    crowd = Crowd(1)
    await crowd.come(0, 1, 2)
    crowd.tasks[1].cancel()
    await crowd.settle()
    assert crowd.told[2] == [2, 1]
    await crowd.go(0)
    assert crowd.inside == {2}
    await crowd.go(2)


async def test_one_that_is_just_being_told_is_not_overtaken() -> None:
    crowd = Crowd(2)
    await crowd.come(0, 1)
    deaf, crowd.listening = crowd.listening, asyncio.Event()
    await crowd.come(2)
    told, crowd.listening = crowd.listening, deaf
    await crowd.come(3)
    await crowd.go(0, 1)
    assert crowd.inside == set()
    told.set()
    await crowd.settle()
    assert crowd.order == [0, 1, 2, 3]
    await crowd.go(2, 3)


async def test_who_comes_back_is_the_next() -> None:
    crowd = Crowd(1)
    await crowd.come(0, 1, 2)
    crowd.back = True
    await crowd.come(3)
    assert crowd.told == {0: [], 1: [1], 2: [2], 3: [1]}
    await crowd.go(0, 3, 1, 2)
    assert crowd.order == [0, 3, 1, 2]


async def test_a_slot_is_given_back_when_its_holder_breaks() -> None:
    crowd = Crowd(1)
    await crowd.come(0, 1)
    crowd.tasks[0].cancel()
    await crowd.settle()
    assert crowd.inside == {1}
    await crowd.go(1)
