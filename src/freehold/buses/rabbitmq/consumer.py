"""A process' part in a consumer group: it stands in line for every queue, and works on its fair share of them.

The broker lets one consumer of a queue be active, the one that came first. So the order of a key is kept across
processes, and when one dies the next in line goes on at once. A process that is active on more queues than its share
gives some up and goes to the end of their lines.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Collection
from uuid import UUID

from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage

from freehold.buses.ending import end
from freehold.buses.rabbitmq.intake import Ending, Intake, Unreadable
from freehold.buses.rabbitmq.layout import PATIENCE, Layout
from freehold.buses.rabbitmq.link import SILENCE, WAITS, Link, heed_cancellation, leave, open_channel, reason
from freehold.model.envelope import Envelope
from freehold.model.errors import BusUnavailable
from freehold.model.ports import Deliver

log = logging.getLogger(__name__)
SettingAside = Callable[[str, DeliveredMessage, Unreadable], Awaitable[None]]
BALANCE = 1.0
"""Seconds between two looks at how many processes there are."""
SETTLE = 2.0
"""Seconds that a queue stands still until what is at work has ended, so that it can go to another process …"""
UNSETTLED = 60.0
"""… and seconds until that is tried again when something took longer."""


class Consumer:
    """Consumes one queue, on a channel of its own."""

    def __init__(self, link: Link, queue: str, deliver: Deliver, set_aside: SettingAside, prefetch: int) -> None:
        self._link = link
        self._queue = queue
        self._deliver = deliver
        self._set_aside = set_aside
        self._prefetch = prefetch
        self._intake: Intake | None = None
        self._stays_until = 0.0

    @property
    def active_since(self) -> float | None:
        """When the broker began to deliver the queue to this process; None when it does not, or nothing came yet."""
        return self._intake.active_since if self._intake is not None else None

    async def run(self) -> None:
        """Consume until cancelled. What is unfinished then is given back."""
        loop, (first, longest) = asyncio.get_running_loop(), WAITS
        wait = first
        while True:
            connection, since = await self._link.up(), loop.time()
            try:
                if await self._consume(connection) == "given up":
                    continue
            except (*SILENCE, BusUnavailable) as error:
                heed_cancellation()
                log.warning("the consumer of %s is lost: %s", self._queue, reason(error))
            except Exception:
                log.exception("the consumer of %s stumbled and starts over", self._queue)
            if loop.time() - since > longest:
                wait = first
            await asyncio.sleep(random.uniform(wait / 2, wait))
            wait = min(2 * wait, longest)

    def give_up(self) -> None:
        """Let the next in line have the queue, as soon as nothing of it is at work."""
        if self._intake is not None and asyncio.get_running_loop().time() >= self._stays_until:
            self._intake.end("given up")

    async def rest(self, drain: float) -> None:
        """Begin nothing more, and finish what is at work within so many seconds."""
        if self._intake is not None:
            await self._intake.rest(drain)

    async def _consume(self, connection: AbstractConnection) -> Ending:
        """Until the channel is lost, the queue is given up, or a delivery failed."""
        channel = await open_channel(connection)
        intake = self._intake = Intake(channel, self._deliver, self._keep)
        acknowledging = asyncio.create_task(intake.acknowledge())
        acknowledging.add_done_callback(lambda _: intake.end("lost"))
        channel.closing.add_done_callback(lambda _: intake.end("lost"))
        channel.on_consumer_cancel_callbacks.add(lambda _: intake.end("lost"))
        try:
            await channel.basic_qos(prefetch_count=self._prefetch, timeout=PATIENCE)
            await channel.basic_consume(self._queue, intake.take, timeout=PATIENCE)
            while True:
                ending = await intake.ended()
                if ending == "lost":
                    break
                settled = await intake.rest(SETTLE)
                if ending == "failed" or settled:
                    return ending
                self._stays_until = asyncio.get_running_loop().time() + UNSETTLED
                intake.go_on()
        finally:
            self._intake = None
            acknowledging.cancel()
            await asyncio.gather(acknowledging, return_exceptions=True)
            await leave(channel)
        if not connection.is_closed:
            log.warning("the broker ended the consumer of %s", self._queue)
            await self._link.declare()  # the queue may have been deleted
        return ending

    async def _keep(self, message: DeliveredMessage, error: Unreadable) -> None:
        await self._set_aside(self._queue, message, error)


class Member:
    """This process among those of its group.

    Args:
        link, layout: the broker.
        group: its name.
        events: the types that it takes; what else is in its queues, from before, counts as done.
        deliver: takes an event.
        set_aside: keeps a message that cannot be read.
        prefetch: unfinished deliveries of each queue, at most.
    """

    def __init__(
        self,
        link: Link,
        layout: Layout,
        group: str,
        *,
        events: Collection[str],
        deliver: Deliver,
        set_aside: SettingAside,
        prefetch: int,
    ) -> None:
        self._link = link
        self._line = layout.members(group)
        self._events = frozenset(events)
        self._deliver = deliver
        self._unfinished: dict[UUID, asyncio.Future[None]] = {}
        self._consumers = [Consumer(link, queue, self._offer, set_aside, prefetch) for queue in layout.queues(group)]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Stand in line, in an order that another process will not have as well."""
        some = random.sample(self._consumers, len(self._consumers))
        self._tasks = [asyncio.create_task(part.run()) for part in some] + [asyncio.create_task(self._balance())]

    async def close(self, drain: float) -> None:
        """Finish what is at work within so many seconds, and give back the rest."""
        await asyncio.gather(*(consumer.rest(drain) for consumer in self._consumers))
        await end(*self._tasks)

    def _offer(self, event: Envelope) -> asyncio.Future[None]:
        """Deliver, unless it still is with the group from before the connection was lost: then wait for that."""
        known = self._unfinished.get(event.event_id)
        if known is not None:
            return known
        ended: asyncio.Future[None]
        if event.type not in self._events:
            ended = asyncio.get_running_loop().create_future()
            ended.set_result(None)
            return ended
        ended = self._unfinished[event.event_id] = self._deliver(event)
        ended.add_done_callback(lambda _: self._unfinished.pop(event.event_id, None))
        return ended

    async def _balance(self) -> None:
        """Look now and then how many processes there are, and give up what is more than this one's share."""
        while True:
            connection = await self._link.up()
            try:
                await self._count(connection)
            except (*SILENCE, BusUnavailable) as error:
                heed_cancellation()
                log.debug("%s: the processes are not counted: %s", self._line, reason(error))
            except Exception:
                log.exception("%s: the processes are not counted", self._line)
            await asyncio.sleep(BALANCE)

    async def _count(self, connection: AbstractConnection) -> None:
        channel = await open_channel(connection)
        try:
            await channel.basic_consume(self._line, _ignore, timeout=PATIENCE)
            while True:
                await asyncio.sleep(random.uniform(BALANCE / 2, BALANCE))
                members = await _consumers(channel, self._line)
                heed_cancellation()  # an answer that comes at that moment outlives it
                self._share(members)
        finally:
            await leave(channel)

    def _share(self, members: int) -> None:
        fair = math.ceil(len(self._consumers) / max(members, 1))
        active = [(each.active_since, index) for index, each in enumerate(self._consumers) if each.active_since]
        for _, index in sorted(active)[fair:]:  # what came last, so that a queue goes on until it finds its place
            self._consumers[index].give_up()


async def _consumers(channel: AbstractChannel, queue: str) -> int:
    declared = await channel.queue_declare(queue, passive=True, timeout=PATIENCE)
    return declared.consumer_count or 0


async def _ignore(message: DeliveredMessage) -> None:
    """Nobody writes to the queue that counts."""
