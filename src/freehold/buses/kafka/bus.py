"""The bus on Kafka: topics and keys as declared, one consumer group for each service."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from freehold.buses.kafka.address import Address
from freehold.buses.kafka.delivery import Record
from freehold.buses.kafka.member import Member
from freehold.buses.kafka.publisher import PATIENCE, Publisher
from freehold.buses.kafka.topics import LARGEST, Topics
from freehold.model.envelope import CONTENT_TYPE, Envelope
from freehold.model.errors import BusUnavailable, ConfigurationError, Refused
from freehold.model.ports import Deliver
from freehold.model.topology import Topology

log = logging.getLogger(__name__)
OVERHEAD = 512
"""Bytes that a message is longer than its key and its body, at most."""
SESSION = 10.0
POLL_INTERVAL = 300.0
DRAIN = 30.0


class KafkaBus:
    """Publishes with acks=all and idempotence, delivers at least once, in order per key.

    Topics are created before the first event, with the broker's own replication. An event counts as published when all
    replicas that are in sync have it.

    Args:
        url: `kafka://[user:password@]host:port[,host:port][/prefix][?tls=true&ca=/path&mechanism=SCRAM-SHA-512]`.
        topology: the system's topics and groups.
        patience: seconds without an answer after which publishing fails.
        session: seconds after which a member that died is missed.
        poll_interval: seconds after which a member whose process hangs is thrown out.
        drain: seconds that closing waits for what is at work.
    """

    def __init__(
        self,
        url: str,
        topology: Topology,
        *,
        patience: float = PATIENCE,
        session: float = SESSION,
        poll_interval: float = POLL_INTERVAL,
        drain: float = DRAIN,
    ) -> None:
        self._address = Address.read(url)
        self._prefix = self._address.prefix
        self._system = topology.system
        self._topics = Topics(
            self._address.settings, {self._prefix + topic: number for topic, number in topology.topics.items()}
        )
        self._publisher = Publisher(self._address.settings, patience)
        self._times = {
            "session.timeout.ms": int(session * 1000),
            "heartbeat.interval.ms": int(session * 100),
            "max.poll.interval.ms": int(max(poll_interval, session) * 1000),
        }
        self._drain = drain
        self._members: list[Member] = []
        self._joining: set[asyncio.Task[None]] = set()
        self._misfit: ConfigurationError | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<KafkaBus {self._address}>"

    async def publish(self, events: Sequence[Envelope]) -> Sequence[asyncio.Future[None]]:
        """One future for each event, in order.

        Raises ConfigurationError when a topic is there with another number of partitions than declared. A future raises
        `Refused` when its event is larger than its topic takes or has no topic, and so do those of later events of its
        key, which must not overtake it.
        """
        if not events:
            return []
        try:
            await self._prepare()
        except BusUnavailable as error:
            return [_failed(error) for _ in events]
        answers: list[asyncio.Future[None]] = []
        refused: set[tuple[str, str]] = set()
        for event in events:
            where = (event.topic, event.key)
            if where in refused:
                answers.append(_failed(Refused("it waits for an earlier event of its key, which was refused")))
            else:
                answers.append(self._send(event))
                if _is_refused(answers[-1]):
                    refused.add(where)
        return answers

    async def subscribe(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None:
        """Deliver every event of these types to the group, per key in order, at least once.

        A group that is new starts at the earliest event that the topics still have. While the broker is away it returns
        all the same, and joins when the broker is there.

        Raises ConfigurationError when a topic is there with another number of partitions than declared.
        """
        join = partial(self._join, group, events, topics, deliver)
        try:
            await self._prepare()
        except BusUnavailable as error:
            log.warning("group %s: the bus is away and will be joined when it is back: %s", group, error)
            task = asyncio.create_task(self._join_later(join))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)
        else:
            join()

    async def ping(self) -> None:
        """Raise BusUnavailable unless a broker answers, ConfigurationError when its topics are not as declared."""
        if self._misfit is not None:
            raise self._misfit
        if self._closed:
            raise BusUnavailable("it is closed")
        await self._topics.ping()

    async def close(self) -> None:
        """Finish and commit what is at work, leave the groups, disconnect. What is being published fails."""
        self._closed = True
        for task in list(self._joining):
            task.cancel()
        await asyncio.gather(*self._joining, *(member.close() for member in self._members), return_exceptions=True)
        self._members.clear()
        await self._publisher.close()
        self._topics.close()

    # --- publishing ---------------------------------------------------------------------------------------------------

    async def _prepare(self) -> None:
        if self._closed:
            raise BusUnavailable("it is closed")
        if self._publisher.changed:
            self._publisher.changed = False
            self._topics.forget()
        try:
            await self._topics.declare()
        except ConfigurationError as error:
            self._misfit = error
            raise
        self._misfit = None
        self._publisher.limits = self._topics.limits

    def _send(self, event: Envelope) -> asyncio.Future[None]:
        topic, key, body = self._prefix + event.topic, event.key.encode(), event.to_wire()
        limit = self._topics.limits.get(topic)
        if limit is None:
            return _failed(Refused(f"the system has no topic {event.topic}"))
        if len(key) + len(body) + OVERHEAD > limit:
            return _failed(Refused(f"its {len(body)} bytes are more than the {limit} that {topic} takes"))
        return self._publisher.send(topic, key, body, [("content-type", CONTENT_TYPE)])

    # --- consuming ----------------------------------------------------------------------------------------------------

    def _join(self, group: str, events: Sequence[str], topics: Sequence[str], deliver: Deliver) -> None:
        name = f"{self._prefix}{self._system}.{group}"
        there = {self._prefix + topic: topic for topic in topics}
        settings = {**self._address.settings, **self._times}
        set_aside = partial(self._set_aside, name)
        self._members.append(
            Member(name, there, settings, types=events, deliver=deliver, set_aside=set_aside, drain=self._drain)
        )

    async def _join_later(self, join: Callable[[], None]) -> None:
        wait = 0.5
        while not self._closed:
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))
            wait = min(2 * wait, 5.0)
            try:
                await self._prepare()
            except BusUnavailable:
                pass
            except ConfigurationError as error:
                log.error("nothing is consumed: %s", error)
            else:
                join()
                return

    async def _set_aside(self, group: str, record: Record, problem: str) -> None:
        """Copy a message that is no event to `<topic>.unreadable`, with where it was and why it could not be read."""
        topic = f"{record.topic}.unreadable"
        largest = self._topics.limits.get(record.topic, LARGEST) + 65536
        await self._topics.keep(topic, largest)
        headers: Mapping[str, str] = {
            "group": group, "topic": record.topic, "partition": str(record.partition), "offset": str(record.offset),
            "problem": problem[:1000],
        }  # fmt: skip
        await self._publisher.send(topic, record.key or b"", record.body, list(headers.items()))
        log.error(
            "group %s cannot read %s, partition %d, offset %d; a copy is in %s: %s",
            group, record.topic, record.partition, record.offset, topic, problem[:200],
        )  # fmt: skip


def _failed(error: Exception) -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


def _is_refused(answer: asyncio.Future[None]) -> bool:
    return answer.done() and not answer.cancelled() and isinstance(answer.exception(), Refused)
