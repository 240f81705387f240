"""Scenario 17: what decides about seats, its mirror in memory and the live counters are lost again and again under load."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import delete

from systems.booking_rush.booking.tables import ZoneInventory
from tests.databases import Databases, statements
from tests.servers import redis
from tests.systems.booking_rush.catalogue import Person, problem
from tests.systems.booking_rush.stage import Seats, Stage, open_stage

pytestmark = pytest.mark.engines(2, 4)

BUYERS = 300
SEATS = (150, 80)
TASKS = 6
AT_ONCE = 10
IN_A_ROW = 5
DRIFTED, OVERSOLD = "booking_inventory_drift_total", "booking_oversold_zones"


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
        """The mirror and the live counters are flushed, and the rows that they follow are removed."""
        await self.stage.flush(self.event)
        this_event = ZoneInventory.event_id == UUID(self.event["id"])

        async def remove(tx: Any) -> int:
            gone: int = (await tx.execute(delete(ZoneInventory).where(this_event))).rowcount
            return gone

        self.counts_lost += await self.stage.world.work("booking").run(remove)

    async def check(self, bought: Collection[Wish]) -> None:
        """Every count agrees with what buyers were told; nobody has too many, nobody was refused who could have had."""
        for zone, total in enumerate(SEATS):
            sold = sum(wish.quantity for wish in bought if wish.zone == zone)
            taken, left = self.granted(zone), total - self.granted(zone)
            assert left >= 0, "oversold"
            assert await self.stage.seats(self.event, zone) == Seats(left, taken, left, taken - sold, sold)
            refused = {
                wish.quantity
                for wish, answer in self.answers.items()
                if wish.zone == zone and answer.status_code == 409
            }
            assert all(quantity > left for quantity in refused), (
                "nobody gave seats back: who was refused asked for too many"
            )
            assert refused, "the zone is sold out to somebody"
        codes = {answer.json()["code"] for answer in self.answers.values() if answer.status_code == 409}
        assert codes == {"INSUFFICIENT_SEATS"}
        levels = [total - self.granted(zone) for zone, total in enumerate(SEATS)]
        assert not self.stage.sees_live_counters or await self.stage.live(self.event) == levels

    def granted(self, zone: int) -> int:
        """Seats of the zone that buyers were told they have."""
        return sum(
            wish.quantity for wish, answer in self.answers.items() if wish.zone == zone and answer.status_code == 201
        )


async def rush_of(stage: Stage, kind: type[Rush]) -> Rush:
    event = await stage.event(await stage.person("organizer"), seats=SEATS)
    chance = random.Random(17)
    wishes = [
        Wish(f"K{n}", await stage.person(), chance.randint(1, 3), chance.randrange(len(SEATS))) for n in range(BUYERS)
    ]
    return kind(stage, event, wishes)


async def test_scenario_17_inventory_loss(stage: Stage) -> None:
    drifted = await stage.counted(DRIFTED)
    rush = await rush_of(stage, Rush)
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
    for wish in rush.wishes[::3]:
        await rush.ask(wish)
    await stage.world.run_due()

    await rush.check(bought)
    assert (await stage.counted(DRIFTED), await stage.counted(OVERSOLD)) == (drifted, 0)


class RushOnRedis(Rush):
    """Redis is flushed, killed and frozen by turns; the rows stay."""

    losses = 0

    async def lose(self) -> None:
        async def served() -> None:
            self._answered.clear()
            await self._answered.wait()

        turn, self.losses = self.losses % 3, self.losses + 1
        try:
            if turn == 0:
                await asyncio.to_thread(redis().flush)
            elif turn == 1:
                await asyncio.to_thread(redis().kill)
                await served()
            else:
                with redis().frozen():
                    await served()
        finally:
            await asyncio.to_thread(redis().resume)


@pytest.mark.parametrize("engine_kind", ["sqlite", "postgres-schemas"], indirect=True)
async def test_scenario_17_redis_is_lost(databases: Databases, tmp_path: Path) -> None:
    redis().resume()
    redis().flush()
    async with open_stage(databases, tmp_path, store=redis().url) as stage:
        drifted = await stage.counted(DRIFTED)
        rush = await rush_of(stage, RushOnRedis)
        await rush.run()
        assert isinstance(rush, RushOnRedis)
        assert rush.losses >= 3
        assert set(rush.statuses) <= {201, 409, 503}
        await stage.world.settle()
        redis().flush()
        assert await stage.live(rush.event) == [None, None]
        await until_told(stage, rush.event)
        await rush.check([])
        assert (await stage.counted(DRIFTED), await stage.counted(OVERSOLD)) == (drifted, 0)


async def until_told(stage: Stage, event: Mapping[str, Any]) -> None:
    """The reconciler has made every live counter anew."""
    async with asyncio.timeout(30):
        while None in await stage.live(event):
            await stage.world.run_job("booking", "inventory_reconciler")


@pytest.mark.parametrize("engine_kind", ["sqlite"], indirect=True)
async def test_sold_out_lasts_for_as_long_as_the_live_counter_stands_still(
    databases: Databases, tmp_path: Path
) -> None:
    """Then the row is not asked; it is as soon as another process has told a change, or the counter is lost."""
    redis().resume()
    redis().flush()
    async with open_stage(databases, tmp_path, store=redis().url) as stage:
        event = await stage.event(await stage.person("organizer"), seats=(1,))
        ann, ben, admin = [await stage.person(role) for role in ("customer", "customer", "super_admin")]
        booking_id = await stage.held(ann, event)
        problem(await stage.reserve(ben, event), 409, "INSUFFICIENT_SEATS")
        assert await stage.live(event) == [0]
        counters = stage.world.process.store.shelf("booking").counters
        name = f"zone:availability:{event['zones'][0]['id']}"
        (level,) = (await counters.levels([name])).values()
        for happens, asks in ((None, False), (counters.set(name, 0, level.version + 1), True), (None, True)):
            stage.world.clock.advance(seconds=1.5)  # what this process saw lasts a second, what ticket said five
            if happens is not None:
                await happens
            with statements() as sent:
                problem(await stage.reserve(ben, event), 409, "INSUFFICIENT_SEATS")
                assert any("zone_inventory" in statement for statement in sent) == asks
        assert (await stage.act(f"/bookings/{booking_id}/cancel", ann)).status_code == 200
        assert await stage.live(event) == [1]
        status = (await stage.call("GET", "/admin/inventory-status", admin)).json()
        assert [(zone["redis_available"], zone["in_sync"]) for zone in status["data"]] == [(1, True)]
        redis().kill()
        status = (await stage.call("GET", "/admin/inventory-status", admin)).json()
        assert [(zone["redis_available"], zone["in_sync"]) for zone in status["data"]] == [(-1, False)]
        assert (await stage.reserve(ben, event)).status_code == 201
        redis().resume()
        await until_told(stage, event)
        assert await stage.live(event) == [0]
