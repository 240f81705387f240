"""Scenario 17: what decides about seats, and its mirror in memory, are lost again and again under load."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete

from systems.booking_rush.booking.metrics import DRIFT, OVERSOLD
from systems.booking_rush.booking.sold_out import SoldOutMemory
from systems.booking_rush.booking.tables import ZoneInventory
from tests.databases import Databases
from tests.systems.booking_rush.catalogue import Person
from tests.systems.booking_rush.stage import Seats, Stage, open_stage

pytestmark = pytest.mark.engines(2, 4)

BUYERS = 300
SEATS = (150, 80)
TASKS = 6
AT_ONCE = 10
IN_A_ROW = 5


@pytest.fixture
async def stage(databases: Databases, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(databases, tmp_path) as opened:
        yield opened


@dataclass(frozen=True)
class Wish:
    """What somebody wants, under one key, however often it is asked for."""

    key: str
    who: Person
    quantity: int
    zone: int


class Rush:
    """Buyers who try again when they are told to, and whoever takes the counts away under their hands."""

    def __init__(self, stage: Stage, event: Mapping[str, Any], wishes: list[Wish]) -> None:
        self.stage = stage
        self.event = event
        self.wishes = wishes
        self.answers: dict[Wish, httpx.Response] = {}
        self.statuses: Counter[int] = Counter()
        self.counts_lost = 0
        self._answered = asyncio.Event()

    async def run(self) -> None:
        losing = asyncio.create_task(self._lose_again_and_again())
        try:
            await asyncio.gather(*(self._buy(self.wishes[task::TASKS]) for task in range(TASKS)))
        finally:
            losing.cancel()
            await asyncio.gather(losing, return_exceptions=True)

    async def _buy(self, wishes: list[Wish]) -> None:
        for start in range(0, len(wishes), AT_ONCE):
            open_wishes = wishes[start : start + AT_ONCE]
            while open_wishes:
                await asyncio.gather(*(self.ask(wish) for wish in open_wishes))
                self._answered.set()
                open_wishes = [wish for wish in open_wishes if wish not in self.answers]

    async def ask(self, wish: Wish) -> None:
        answer = await self.stage.reserve(wish.who, self.event, wish.quantity, zone=wish.zone, key=wish.key)
        assert answer.status_code in (201, 409, 503), answer.text
        self.statuses[answer.status_code] += 1
        if answer.status_code != 503:
            first = self.answers.setdefault(wish, answer)
            assert answer.content == first.content, "the same key, the same answer"

    async def _lose_again_and_again(self) -> None:
        while True:
            await self._answered.wait()
            self._answered.clear()
            for _ in range(IN_A_ROW):  # a count that was just made anew goes at once, too
                await self.lose()

    async def lose(self) -> None:
        """The mirror is flushed, and the rows that it mirrors are removed."""
        self.stage.world.process.units["booking"].host.provided.use(SoldOutMemory).forget()
        this_event = ZoneInventory.event_id == UUID(self.event["id"])

        async def remove(tx: Any) -> int:
            gone: int = (await tx.execute(delete(ZoneInventory).where(this_event))).rowcount
            return gone

        self.counts_lost += await self.stage.world.work("booking").run(remove)

    def granted(self, zone: int) -> int:
        """Seats of the zone that buyers were told they have."""
        return sum(
            wish.quantity for wish, answer in self.answers.items() if wish.zone == zone and answer.status_code == 201
        )


async def test_scenario_17_inventory_loss(stage: Stage) -> None:
    event = await stage.event(await stage.person("organizer"), seats=SEATS)
    chance = random.Random(17)
    wishes = [
        Wish(f"K{n}", await stage.person(), chance.randint(1, 3), chance.randrange(len(SEATS))) for n in range(BUYERS)
    ]
    drifted = DRIFT._value.get()
    rush = Rush(stage, event, wishes)
    await rush.run()
    assert rush.counts_lost >= 2 * len(SEATS)
    assert set(rush.statuses) <= {201, 409, 503}

    bought = [wish for wish, answer in rush.answers.items() if answer.status_code == 201][:5]
    await stage.world.settle()
    for wish in bought:
        await stage.pay(wish.who, rush.answers[wish].json()["booking_id"])
    await rush.lose()
    for zone in range(len(SEATS)):  # whoever asks next has the count made anew, before anything is sold
        await rush.ask(Wish(f"next-{zone}", await stage.person(), 3, zone))
    for wish in wishes[::3]:
        await rush.ask(wish)
    await stage.world.run_due()

    for zone, total in enumerate(SEATS):
        sold = sum(wish.quantity for wish in bought if wish.zone == zone)
        taken, left = rush.granted(zone), total - rush.granted(zone)
        assert left >= 0, "oversold"
        assert await stage.seats(event, zone) == Seats(left, taken, left, taken - sold, sold)
        refused = {
            wish.quantity for wish, answer in rush.answers.items() if wish.zone == zone and answer.status_code == 409
        }
        assert all(quantity > left for quantity in refused), (
            "nobody gave seats back: who was refused asked for too many"
        )
        assert refused, "the zone is sold out to somebody"
    codes = {answer.json()["code"] for answer in rush.answers.values() if answer.status_code == 409}
    assert codes == {"INSUFFICIENT_SEATS"}
    assert (DRIFT._value.get(), OVERSOLD._value.get()) == (drifted, 0)
