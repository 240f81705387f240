"""A broker's bus that knows what its groups still have to do: a broker itself does not tell."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from uuid import UUID

from sqlalchemy import select

from freehold.deploy.unit import Unit
from freehold.model.envelope import Envelope
from freehold.model.ports import Bus, Deliver
from freehold.model.topology import Topology

Delivery = tuple[UUID, str]
"""An event, and the group that takes it."""


class Deliveries:
    """A bus, with what is on its way.

    Args:
        bus: carries the events; all its groups are in this process.
        topology: who takes what.
    """

    def __init__(self, bus: Bus, topology: Topology) -> None:
        self._bus = bus
        self._topology = topology
        self._out: set[Delivery] = set()
        self._ended: set[Delivery] = set()
        self._none_out = asyncio.Event()
        self._none_out.set()

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        """Publish; each event counts as on its way until all groups that take it have committed or parked it."""
        for event in events:
            self.expect(event.event_id, self._topology.takers(event.type))
        return await self._bus.publish(events)

    async def subscribe(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None:
        """Subscribe, and see how each delivery ends."""

        def watched(event: Envelope) -> asyncio.Future[None]:
            ended = deliver(event)
            ended.add_done_callback(partial(self._note, (event.event_id, group)))
            return ended

        await self._bus.subscribe(group, events, topics, watched)

    async def ping(self) -> None:
        await self._bus.ping()

    async def close(self) -> None:
        await self._bus.close()

    @property
    def is_busy(self) -> bool:
        """Whether anything is on its way."""
        return bool(self._out)

    async def until_delivered(self) -> None:
        """Wait until nothing is."""
        await self._none_out.wait()

    def expect(self, event_id: UUID, groups: Collection[str]) -> None:
        """An event is at the broker, or will be."""
        self._out.update({(event_id, group) for group in groups} - self._ended)
        self._look()

    async def expect_left_behind(self, units: Mapping[str, Unit]) -> None:
        """What an earlier process published and a group has not taken yet."""
        for unit in units.values():
            outbox = unit.host.tables.outbox
            published = select(outbox.c.event_id, outbox.c.event_type).where(outbox.c.published_at.is_not(None))
            async with unit.host.engine.read() as connection:
                rows = (await connection.execute(published)).all()
            for event_id, kind in rows:
                for group in self._topology.takers(kind):
                    if not await _has_taken(units[group], event_id, kind):
                        self.expect(event_id, [group])

    def _note(self, delivery: Delivery, ended: asyncio.Future[None]) -> None:
        if ended.cancelled() or ended.exception() is not None:
            return  # it comes again
        self._ended.add(delivery)
        self._out.discard(delivery)
        self._look()

    def _look(self) -> None:
        if self._out:
            self._none_out.clear()
        else:
            self._none_out.set()


async def _has_taken(unit: Unit, event_id: UUID, kind: str) -> bool:
    """Whether each of a service's handlers has consumed an event, parked it or given it up."""
    tables, left = unit.host.tables, set(unit.group.consumers(kind))
    async with unit.host.engine.read() as connection:
        for table in (tables.consumed, tables.parked, tables.dead_letters):
            taken = select(table.c.consumer_name).where(table.c.event_id == event_id)
            left.difference_update(await connection.scalars(taken))
    return not left
