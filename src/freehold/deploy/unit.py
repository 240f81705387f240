"""One running service with its moving parts: consumer group, relay, retries, jobs, deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Protocol

from freehold.buses.ending import end
from freehold.buses.local import LocalBus
from freehold.model.ports import Bus
from freehold.runtime.consume import Group
from freehold.runtime.dead_letters import DeadLetters
from freehold.runtime.host import Host
from freehold.runtime.jobs import Jobs
from freehold.runtime.parking import Parking
from freehold.runtime.relay import Relay, RelaySettings
from freehold.runtime.upkeep import Upkeep

PARTS = ("relay", "consumers")


class Part(Protocol):
    """Something that works until it is cancelled."""

    async def run(self) -> None: ...


class Unit:
    """A service's host and the tasks that keep its promises.

    Args:
        host: the running service.
        bus: where its events go and others' come from.
        relay: sizes and times of its relay.
        parts: what of it works in this process: its `relay`, its `consumers` (with parked events, jobs, deadlines and
            rebuilds of views), both, or neither where a process only answers requests.
    """

    def __init__(
        self, host: Host, bus: Bus, *, relay: RelaySettings | None = None, parts: Collection[str] = PARTS
    ) -> None:
        self.host = host
        self._bus = bus
        self._parts = frozenset(parts)
        self.views = host.views
        self.parking = Parking(host)
        handlers = [*host.service.handlers, *host.sagas.handlers(), *self.views.handlers()]
        self.group = Group(host, handlers, self.parking, shared=not isinstance(bus, LocalBus))
        self.relay = Relay(host, bus, relay, on_takeover=self.parking.load)
        self.jobs = Jobs(host)
        self.upkeep = Upkeep(host)
        self.dead_letters = DeadLetters(host)
        self._tasks: list[asyncio.Task[Any]] = []

    async def prepare(self) -> None:
        """Learn what is parked and subscribe, before anything is published."""
        if "consumers" not in self._parts:
            return
        await self.parking.load()
        topics = sorted({message.__message__.topic for message in self.host.service.consumes()})
        if self.group.event_types:
            await self._bus.subscribe(self.host.service.name, self.group.event_types, topics, self.group.deliver)

    def start(self, *, timers: bool = True) -> None:
        """Begin to publish and, with `timers`, to retry, to run jobs and to meet deadlines."""
        parts: list[Part] = [self.relay] if "relay" in self._parts else []
        if timers and "consumers" in self._parts:
            parts += [self.parking, self.jobs, self.upkeep, self.views]
        name = self.host.service.name
        self._tasks = [asyncio.create_task(p.run(), name=f"{name} {p.__class__.__name__.lower()}") for p in parts]

    async def run_due(self) -> None:
        """Once, what timers would do by now: deadlines, retries, delayed events and jobs."""
        await self.host.sagas.run_due()
        await self.parking.run_due()
        await self.upkeep.delayed.run_due()
        await self.jobs.run_due()

    async def stop(self) -> None:
        """Finish what is at work, give up leases, and close the database."""
        await self.quiet()
        await self.host.close()

    async def quiet(self) -> None:
        """Finish what is at work and give up leases, so that another process goes on at once."""
        await end(*self._tasks)
        await self.group.close()
        for part in (self.relay, self.parking):
            with suppress(Exception):  # a database that is gone has no lease to give back
                await part.stop()
