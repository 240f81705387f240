"""A broker's bus that knows what its groups still have to do: a broker itself does not tell."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

from sqlalchemy import select

from freehold.deploy.unit import Unit
from freehold.model.envelope import Envelope
from freehold.model.ports import Bus, Deliver
from freehold.model.topology import Topology

Delivery = tuple[UUID, str]
"""An event, and the group that takes it."""


class OnTheWay:
    """What is published, or about to be, and not yet taken by all groups that take it.

    Args:
        topology: who takes what.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._out: set[Delivery] = set()
        self._ended: set[Delivery] = set()
        self._none_out = asyncio.Event()
        self._none_out.set()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not self._out

    async def until_empty(self) -> None:
        """Wait until there is nothing."""
        await self._none_out.wait()

    def begin(self, event_id: UUID, event_type: str) -> None:
        """All groups that take the event are to have it."""
        self._expect({(event_id, group) for group in self._topology.takers(event_type)})

    def end(self, delivery: Delivery) -> None:
        """A group has committed or parked it."""
        self._ended.add(delivery)
        self._out.discard(delivery)
        self._look()

    async def begin_left_behind(self, units: Mapping[str, Unit]) -> None:
        """What an earlier process published and a group has not taken yet."""
        for unit in units.values():
            outbox = unit.host.tables.outbox
            published = select(outbox.c.event_id, outbox.c.event_type).where(outbox.c.published_at.is_not(None))
            async with unit.host.engine.read() as connection:
                rows = (await connection.execute(published)).all()
            for event_id, kind in rows:
                for group in self._topology.takers(kind):
                    if not await _has_taken(units[group], event_id, kind):
                        self._expect({(event_id, group)})

    def _expect(self, deliveries: set[Delivery]) -> None:
        self._out |= deliveries - self._ended
        self._look()

    def _look(self) -> None:
        if self._out:
            self._none_out.clear()
        else:
            self._none_out.set()


class WatchedBus:
    """A bus that notes what is on its way."""

    def __init__(self, bus: Bus, on_the_way: OnTheWay) -> None:
        self._bus = bus
        self._on_the_way = on_the_way

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        """Publish; each event is on its way from now on."""
        for event in events:
            self._on_the_way.begin(event.event_id, event.type)
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

    def _note(self, delivery: Delivery, ended: asyncio.Future[None]) -> None:
        if not ended.cancelled() and ended.exception() is None:  # else it comes again
            self._on_the_way.end(delivery)


async def _has_taken(unit: Unit, event_id: UUID, kind: str) -> bool:
    """Whether each of a service's handlers has consumed an event, parked it or given it up."""
    tables, left = unit.host.tables, set(unit.group.consumers(kind))
    async with unit.host.engine.read() as connection:
        for table in (tables.consumed, tables.parked, tables.dead_letters):
            taken = select(table.c.consumer_name).where(table.c.event_id == event_id)
            left.difference_update(await connection.scalars(taken))
    return not left
