"""G7 and G3 with everything under way for real: units, relays and a bus between the saga and those who answer it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from sqlalchemy import update

from freehold.deploy.unit import Unit
from freehold.model.ports import Bus
from freehold.model.saga import Step
from freehold.model.topology import Topology
from freehold.runtime.host import Host
from tests.buses import opened, system
from tests.conformance.shop import DEADLINE
from tests.databases import Databases
from tests.saga_world import CHARGE, CONFIRM, GIFT, RESERVE, OrderPlaced, World

pytestmark = pytest.mark.guarantee("G7")


class Running:
    """The two services as a deployment runs them; only deadlines wait for the test."""

    def __init__(self, world: World, bus: Bus) -> None:
        self.world = world
        self.units = [Unit(world.shop, bus), Unit(world.depot, bus)]

    async def start(self) -> None:
        for unit in self.units:
            await unit.prepare()
        for unit in self.units:
            unit.start(timers=False)

    async def place(self) -> None:
        async with self.world.shop.work().transaction() as tx:
            tx.publish(OrderPlaced(order_id=self.world.order_id, item="teapot"))

    async def until(self, said: str) -> None:
        """Do what is due until the saga's history says this."""
        async with asyncio.timeout(DEADLINE):
            while said not in await self._history():
                await self.world.shop.sagas.run_due()
                await asyncio.sleep(0.01)

    async def _history(self) -> list[str]:
        async with self.world.shop.work().transaction(readonly=True) as tx:
            started = await self.world.shop.sagas.find(tx, self.world.saga, self.world.order_id)
        return await self.world.history() if started else []

    async def carried_out(self, what: str) -> None:
        """Until the warehouse was told to."""
        async with asyncio.timeout(DEADLINE):
            while not self.world.mood.calls[what]:
                await asyncio.sleep(0.01)

    async def say_everything_again(self) -> None:
        """Every event and command of both services is published once more."""
        for host in (self.world.shop, self.world.depot):
            await publish_again(host)
        for host in (self.world.shop, self.world.depot):
            await host.outbox.until_drained()


async def publish_again(host: Host) -> None:
    async with host.engine.write() as connection:
        await connection.execute(update(host.tables.outbox).values(published_at=None))
    host.outbox.wake()


Run = Callable[..., Awaitable[Running]]


@pytest.fixture
async def run(databases: Databases, bus_kind: str) -> AsyncIterator[Run]:
    async with AsyncExitStack() as stack:

        async def run(*steps: Step) -> Running:
            world = await World(await databases.open("shop"), await databases.open("warehouse"), *steps).create()
            topology = replace(Topology.of(world.shop.system, partitions=4), system=system().system)
            buses = await stack.enter_async_context(opened(bus_kind, topology))
            running = Running(world, buses.open())
            for unit in running.units:
                stack.push_async_callback(unit.stop)
            await running.start()
            return running

        yield run


async def test_a_saga_ends_and_each_of_its_effects_happens_once(run: Run) -> None:
    running = await run(RESERVE, CHARGE, GIFT, CONFIRM)
    running.world.mood.repeats = 3
    await running.place()
    await running.until("completed")
    assert await running.world.effects() == {"reserve": 1, "charge": 1, "gift": 1, "confirm": 1}
    await running.say_everything_again()
    await running.place()
    await running.world.shop.outbox.until_drained()
    assert await running.world.effects() == {"reserve": 1, "charge": 1, "gift": 1, "confirm": 1}
    assert (await running.world.history()).count("started") == 1


async def test_a_refused_step_turns_it_back_and_nothing_is_left(run: Run) -> None:
    running = await run(RESERVE, CONFIRM, CHARGE)
    running.world.mood.refuses = {"charge"}
    await running.place()
    await running.until("charge: failed")
    running.world.later(30)  # the second try
    await running.until("compensated")
    assert await running.world.effects() == {}
    await running.say_everything_again()
    assert await running.world.effects() == {}
    undone = [line for line in await running.world.history() if line.endswith(": undone")]
    assert undone == ["confirm: undone", "reserve: undone"]


async def test_a_step_that_nobody_answers_is_turned_back_and_its_command_comes_to_nothing(run: Run) -> None:
    running = await run(RESERVE, CHARGE)
    mood = running.world.mood
    mood.repeats = 0  # carried out, and not a word of it
    await running.place()
    await running.carried_out("reserve")
    mood.repeats = 1
    running.world.later(31)
    await running.until("reserve: timed out")
    await running.until("compensated")
    async with asyncio.timeout(DEADLINE):  # nobody waits for the answer of an undo that may find nothing
        while await running.world.effects():
            await asyncio.sleep(0.01)
