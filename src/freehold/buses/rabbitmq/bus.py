"""The bus over RabbitMQ: a topic exchange for a system, quorum queues for each group, confirms on the way in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import aiormq
from aiormq.abc import DeliveredMessage

from freehold.buses.rabbitmq.consumer import Member
from freehold.buses.rabbitmq.intake import Unreadable
from freehold.buses.rabbitmq.layout import Layout
from freehold.buses.rabbitmq.link import Link
from freehold.buses.rabbitmq.publisher import Publisher
from freehold.model.envelope import Envelope
from freehold.model.errors import ConfigurationError
from freehold.model.ports import Deliver
from freehold.model.topology import Topology

log = logging.getLogger(__name__)
PREFETCH = 250
DRAIN = 30.0


class RabbitBus:
    """Publishes and consumes over one connection, which is made on first use and made again whenever it is lost.

    Everything that the topology knows of is declared before the first event is published, so that nothing is lost for a
    group whose processes come later. A future of `publish` ends when every queue that takes the event has it on a
    majority of its replicas. Deliveries that fail come again in order, after a wait that grows to five seconds.

    Args:
        url: `amqp://user:password@host:port/vhost`, or `amqps://`; the user may configure, write and read what begins
            with the system's name.
        topology: the system's.
        prefetch: unfinished deliveries of each of a group's queues, at most.
        drain: seconds that `close` waits for what is at work.

    Raises:
        ConfigurationError: an address that cannot be read.
    """

    def __init__(self, url: str, topology: Topology, *, prefetch: int = PREFETCH, drain: float = DRAIN) -> None:
        self._layout = Layout(topology)
        self._link = Link(url, self._layout)
        self._publisher = Publisher(self._link, self._layout)
        self._prefetch = prefetch
        self._drain = drain
        self._members: list[Member] = []

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        """One future for each event, in order. All fail with BusUnavailable at once when there is no connection."""
        return await self._publisher.publish(events)

    async def subscribe(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None:
        """Deliver these event types to the group from now on, as soon as the broker can be reached.

        Raises ConfigurationError for a group that the topology does not know.
        """
        if group not in self._layout.topology.groups:
            raise ConfigurationError(f"group {group}", f"takes nothing in {self._layout.exchange}", "Add its service")
        member = Member(
            self._link, self._layout, group,
            events=events, deliver=deliver, set_aside=self._set_aside, prefetch=self._prefetch,
        )  # fmt: skip
        self._members.append(member)
        member.start()

    async def ping(self) -> None:
        """Raise BusUnavailable unless the broker answers."""
        await self._link.ping()

    async def close(self) -> None:
        """Finish what is at work, give back what waits, and disconnect."""
        members, self._members = self._members, []
        await asyncio.gather(*(member.close(self._drain) for member in members))
        await self._publisher.close(self._drain)
        await self._link.close()

    async def _set_aside(self, queue: str, message: DeliveredMessage, error: Unreadable) -> None:
        """Keep a message that is no event where an operator finds it."""
        log.error("%s: a message cannot be read and is kept in %s: %s", queue, self._layout.broken, error)
        headers = {"queue": queue, "routing_key": message.routing_key or "", "error": str(error)[:1000]}
        await self._publisher.put(self._layout.broken, message.body, headers)


async def forget(url: str, topology: Topology) -> None:
    """Delete everything that a system has at the broker, with all events that are still there."""
    async with aiormq.connect(url) as connection:
        await Layout(topology).delete(await connection.channel())
