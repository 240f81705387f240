"""The broker goes away under load and comes back: every effect happens once, in the order of its key."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from freehold import uuid7
from freehold.model.envelope import Envelope
from freehold.model.ports import Bus, Deliver
from freehold.model.topology import Topology
from freehold.testing import ManualClock
from tests.buses import Buses, having, opened, system
from tests.conformance.shop import Seen, Shop, placed
from tests.databases import Databases
from tests.matrix import on_buses

KEYS, EVENTS, DEADLINE = 12, 3000, 120.0


class Counted:
    """A bus that counts how often each event is handed over."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.attempts: Counter[UUID] = Counter()

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        self.attempts.update(event.event_id for event in events)
        return await self._bus.publish(events)

    async def subscribe(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None:
        await self._bus.subscribe(group, events, topics, deliver)

    async def ping(self) -> None:
        await self._bus.ping()

    async def close(self) -> None:
        await self._bus.close()


@asynccontextmanager
async def on_a_broker(kind: str, shop: Shop) -> AsyncIterator[Buses]:
    """Buses of the shop, on a broker that the test may stop and kill; it runs again in the end."""
    topology = replace(Topology.of(shop.system, partitions=4), system=system().system)
    async with opened(kind, topology, private=True) as buses:
        try:
            yield buses
        finally:
            buses.server.resume()


@pytest.mark.guarantee("G3")
@pytest.mark.parametrize("how", ["stopped", "killed"])
@on_buses(*having("restarts"), why="the local bus has no broker")
async def test_effects_happen_once_and_in_order_though_the_broker_goes(bus_kind: str, how: str, tmp_path: Path) -> None:
    databases = Databases("sqlite", tmp_path, None)
    shop = Shop(databases, ManualClock())
    shop.handle("pay")
    shop.handle("pay in batches", batch=50)
    async with on_a_broker(bus_kind, shop) as buses:
        shop.bus = publishing = Counted(buses.open())  # of the orders process; payments has another
        await shop.add(shop.orders)
        shop.bus = buses.open()
        await shop.start()
        await buses.broker.settle()
        keys = [uuid7() for _ in range(KEYS)]
        loading = asyncio.create_task(_load(shop, keys))
        try:
            await _until_effects(shop, 500)
            await asyncio.to_thread(buses.server.pause if how == "stopped" else buses.server.kill)
            await asyncio.sleep(1)  # to notice
            publishing.attempts.clear()
            await asyncio.sleep(4)
            tried = max(publishing.attempts.values())
            await asyncio.to_thread(buses.server.resume)
            await loading
            effects = await _until_effects(shop, 2 * EVENTS)
        finally:
            loading.cancel()
            await shop.stop()
    assert tried <= 10, "events were tried again and again while the broker was away"
    for handler in ("pay", "pay in batches"):
        for number, key in enumerate(keys):
            assert effects[handler, key] == list(range(number, EVENTS, KEYS))
    await databases.close()


async def _load(shop: Shop, keys: Sequence[UUID]) -> None:
    """Transactions that commit whatever the broker does."""
    for start in range(0, EVENTS, 5):
        await shop.publish(*(placed(number, keys[number % KEYS]) for number in range(start, start + 5)))
        await asyncio.sleep(0.01)


async def _until_effects(shop: Shop, count: int) -> dict[tuple[str, UUID], list[int]]:
    """The numbers of the events by handler and key, in the order of their effects, once there are so many."""
    statement = select(Seen.handler, Seen.key, Seen.number).order_by(Seen.id)
    async with asyncio.timeout(DEADLINE):
        while True:
            async with shop.units["payments"].host.engine.read() as connection:
                rows = (await connection.execute(statement)).all()
            if len(rows) >= count:
                break
            await asyncio.sleep(0.1)
    effects: dict[tuple[str, UUID], list[int]] = defaultdict(list)
    for handler, key, number in rows:
        effects[handler, key].append(number)
    return effects
