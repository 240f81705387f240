"""What a system has at the broker: exchanges, queues, and the ways between them.

shop                    every event is published here, as PARTITION.TYPE
└─ shop.payments        gets the types that payments takes
   ├─ shop.payments.0   a quorum queue for each partition, with one active consumer
   └─ shop.payments.1 …
shop.payments.members   nobody publishes here: its consumers are the processes of the group
shop.broken             what could not be read
"""

from __future__ import annotations

from zlib import crc32

from aiormq.abc import AbstractChannel
from pamqp.common import FieldValue

from freehold.model.envelope import Envelope
from freehold.model.topology import PARTITIONS, Topology

PATIENCE = 10.0
"""Seconds that the broker may take to answer anything."""
QUORUM: dict[str, FieldValue] = {"x-queue-type": "quorum"}
# Newer brokers drop what was given back twenty times, and without a limit put what they give back themselves last.
ORDERED: dict[str, FieldValue] = QUORUM | {"x-single-active-consumer": True, "x-delivery-limit": 2**31 - 1}


class Layout:
    """The names, and how they are made at the broker.

    Args:
        topology: the system's.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.exchange = topology.system
        self.broken = f"{topology.system}.broken"

    def entrance(self, group: str) -> str:
        """The exchange of a group."""
        return f"{self.exchange}.{group}"

    def queues(self, group: str) -> list[str]:
        """The queues of a group, by partition."""
        return [f"{self.entrance(group)}.{number}" for number in range(self.topology.width(group))]

    def members(self, group: str) -> str:
        """The queue whose consumers are the processes of a group."""
        return f"{self.entrance(group)}.members"

    def routing_key(self, event: Envelope) -> str:
        """The event's partition and type."""
        return f"{crc32(event.key.encode()) % self.topology.topics.get(event.topic, PARTITIONS)}.{event.type}"

    async def declare(self, channel: AbstractChannel) -> None:
        """Make what is missing, and find out about what is there and different.

        Raises aiormq's ChannelPreconditionFailed for the latter.
        """
        await channel.exchange_declare(self.exchange, exchange_type="topic", durable=True, timeout=PATIENCE)
        await channel.queue_declare(self.broken, durable=True, arguments=QUORUM, timeout=PATIENCE)
        for group, taken in self.topology.groups.items():
            entrance = self.entrance(group)
            await channel.exchange_declare(entrance, exchange_type="topic", durable=True, timeout=PATIENCE)
            await channel.queue_declare(self.members(group), durable=True, arguments=QUORUM, timeout=PATIENCE)
            for partition, queue in enumerate(self.queues(group)):
                await channel.queue_declare(queue, durable=True, arguments=ORDERED, timeout=PATIENCE)
                await channel.queue_bind(queue, entrance, f"{partition}.#", nowait=True)
            for event_type in taken:  # last, so that nothing comes in before all of it has somewhere to go
                await channel.exchange_bind(entrance, self.exchange, f"*.{event_type}", nowait=True)
        await channel.exchange_declare(self.exchange, passive=True, timeout=PATIENCE)  # answered after all of these

    async def delete(self, channel: AbstractChannel) -> None:
        """Take all of it away, with what is in it."""
        for group in self.topology.groups:
            for queue in (*self.queues(group), self.members(group)):
                await channel.queue_delete(queue)
            await channel.exchange_delete(self.entrance(group))
        await channel.queue_delete(self.broken)
        await channel.exchange_delete(self.exchange)
