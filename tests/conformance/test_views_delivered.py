"""G8 with events that come over a bus: late, again, and while the view is rebuilt."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from sqlalchemy.orm import DeclarativeBase

from freehold import Portable, Service, System
from freehold.deploy.unit import Unit
from freehold.model.topology import Topology
from freehold.runtime.host import Host
from freehold.testing import ManualClock
from tests.buses import opened, system
from tests.conformance.shop import DEADLINE
from tests.conformance.test_sagas_delivered import publish_again
from tests.conformance.zones import (
    Base,
    GetZones,
    Owner,
    ShowRenamed,
    SoldOut,
    ZoneDeleted,
    ZoneSet,
    damage,
    shown,
    zone_view,
)
from tests.databases import Databases

pytestmark = pytest.mark.guarantee("G8")


class Nothing(Portable, DeclarativeBase):
    """The owner keeps its rows in memory."""


class Directory:
    """The owner of zones that publishes, and the service that keeps the view, as a deployment runs them."""

    def __init__(self, owner: Owner, units: list[Unit]) -> None:
        self.owner = owner
        self.publisher, self.keeper = units
        self.rng = random.Random(3)

    async def act(self, times: int) -> None:
        """So many things happen in the owner's service; a transaction has the events of some of them."""
        for _ in range(times):
            self.owner.act()
        while self.owner.on_the_way:
            count = self.rng.randint(1, 5)
            async with self.publisher.host.work().transaction() as tx:
                tx.publish(*self.owner.on_the_way[:count])
            del self.owner.on_the_way[:count]

    async def until_it_agrees(self) -> None:
        async with asyncio.timeout(DEADLINE):
            while await shown(self.keeper.host) != self.owner.truth():
                await asyncio.sleep(0.01)


@pytest.fixture
async def directory(databases: Databases, bus_kind: str) -> AsyncIterator[Directory]:
    clock = ManualClock()
    owner = Owner(clock, random.Random(8))
    ticket = Service("ticket", tables=Nothing, publishes=[ZoneSet, SoldOut, ZoneDeleted, ShowRenamed])
    booking = Service("booking", tables=Base, asks=[GetZones])
    booking.view(zone_view())
    both = System("world", services=[ticket, booking])
    async with AsyncExitStack() as stack:
        topology = replace(Topology.of(both, partitions=4), system=system().system)
        bus = (await stack.enter_async_context(opened(bus_kind, topology))).open()
        units = []
        for service in both.services:
            host = Host(both, service, await databases.open(service.name), clock=clock, caller=owner)
            await host.create_tables()
            units.append(Unit(host, bus))
            stack.push_async_callback(units[-1].stop)
        for unit in reversed(units):
            await unit.prepare()
            unit.start(timers=False)
        yield Directory(owner, units)


async def test_it_comes_to_say_what_its_owner_says(directory: Directory) -> None:
    for _ in range(4):
        await directory.act(25)
        await directory.until_it_agrees()
    await publish_again(directory.publisher.host)  # everything once more, the old behind the new
    await directory.act(25)
    await directory.publisher.host.outbox.until_drained()
    await directory.until_it_agrees()


async def test_it_is_rebuilt_while_events_come_in(directory: Directory) -> None:
    await directory.act(60)
    await directory.until_it_agrees()
    host, clock = directory.keeper.host, directory.owner.clock
    await damage(host, random.Random(1), clock.now())
    clock.advance(seconds=1)
    assert await shown(host) != directory.owner.truth()

    async def meanwhile() -> None:
        await directory.act(10)

    directory.owner.before_page = meanwhile
    await directory.keeper.views.rebuild("zone_directory", page=5)
    directory.owner.before_page = None
    await directory.until_it_agrees()
