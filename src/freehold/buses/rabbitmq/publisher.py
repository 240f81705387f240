"""Publishing with confirms: in order on one channel, with as many unanswered as there are."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Sequence

from aiormq import AMQPError, ChannelPreconditionFailed, DeliveryError, spec
from aiormq.abc import AbstractChannel, DeliveredMessage

from freehold.buses.ending import end
from freehold.buses.rabbitmq.layout import Layout
from freehold.buses.rabbitmq.link import SILENCE, Link, heed_cancellation, leave, open_channel, reason
from freehold.model.envelope import CONTENT_TYPE, Envelope
from freehold.model.errors import BusUnavailable, Refused

TOPIC = "topic"
_LIMIT = re.compile(r"larger than .*max(?:imum)? size (\d+)")
_DURABLE = 2
STALL = 60.0
log = logging.getLogger(__name__)


class Publisher:
    """Publishes to the system's exchange.

    A message is sent as mandatory: when it comes back although a group takes its type, a queue is missing. Then
    everything on the way counts as not published, and is declared anew before the next is.
    """

    def __init__(self, link: Link, layout: Layout) -> None:
        self._link = link
        self._layout = layout
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()
        self._largest: int | None = None
        self._answered_at = 0.0
        self._watching: asyncio.Task[None] | None = None
        self._out: set[asyncio.Task[None]] = set()
        self._closed = False

    async def publish(self, events: Sequence[Envelope]) -> list[asyncio.Future[None]]:
        """One future for each event; see the port."""
        try:
            channel = await self._open()
        except BusUnavailable as error:
            return [_failed(error) for _ in events]
        return [self._start(self._send(channel, event)) for event in events]

    async def put(self, queue: str, body: bytes, headers: dict[str, str]) -> None:
        """Put a message into a queue, durably. Raises BusUnavailable and Refused."""
        channel = await self._open()
        if await self._hand_over(channel, "", queue, body, _properties(headers)):
            await self._restore(channel)
            raise BusUnavailable(f"there was no queue {queue}; it is declared anew")

    async def close(self, drain: float) -> None:
        """Wait for answers that are out, at most `drain` seconds; what has none by then counts as not published."""
        self._closed = True
        if self._out:
            _, late = await asyncio.wait(self._out, timeout=drain)
            await end(*late)
        if self._watching is not None:
            await end(self._watching)

    async def _open(self) -> AbstractChannel:
        if self._closed:
            raise BusUnavailable("this bus is closed")
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                connection = await self._link.connection()
                try:
                    self._channel = await open_channel(connection, confirms=True)
                except SILENCE as error:
                    heed_cancellation()
                    raise BusUnavailable(f"RabbitMQ at {self._link.address}: {reason(error)}") from None
            return self._channel

    def _start(self, sending: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Tasks begin in the order in which they were made, and the channel takes them in that order."""
        if not self._out:
            self._answered_at = asyncio.get_running_loop().time()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        task = asyncio.create_task(sending)
        self._out.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._answered_at = asyncio.get_running_loop().time()
        self._out.discard(task)
        if not task.cancelled():
            task.exception()  # it may be that nobody asks any more

    async def _watch(self) -> None:
        """A broker that answers nothing for long, be it short of memory or of a majority, is asked anew."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(STALL / 4)
            if self._out and self._channel is not None and loop.time() - self._answered_at > STALL:
                log.error(
                    "RabbitMQ at %s has confirmed none of %d events for %d s: look for its alarms and for queues "
                    "that have no leader", self._link.address, len(self._out), STALL,
                )  # fmt: skip
                async with self._opening:
                    channel, self._channel = self._channel, None
                    await leave(channel)

    async def _send(self, channel: AbstractChannel, event: Envelope) -> None:
        body = event.to_wire()
        if self._largest is not None and len(body) > self._largest:
            raise Refused(f"it has {len(body)} bytes, and the broker takes {self._largest}")
        key = self._layout.routing_key(event)
        properties = _properties({TOPIC: event.topic}, event.type)
        returned = await self._hand_over(channel, self._layout.exchange, key, body, properties)
        if returned and (takers := self._layout.topology.takers(event.type)):
            await self._restore(channel)
            raise BusUnavailable(f"{event.type} found no queue of {', '.join(takers)}; they are declared anew")

    async def _hand_over(
        self, channel: AbstractChannel, exchange: str, key: str, body: bytes, properties: spec.Basic.Properties
    ) -> bool:
        """Send and wait for the broker's answer; whether it came back for want of a queue."""
        try:
            answer = await channel.basic_publish(
                body, exchange=exchange, routing_key=key, properties=properties, mandatory=True
            )
        except DeliveryError:
            raise Refused("the broker could not take it (basic.nack)") from None
        except ChannelPreconditionFailed as error:
            self._learn(error)
            if self._largest is not None and len(body) > self._largest:
                raise Refused(f"it has {len(body)} bytes, and the broker takes {self._largest}") from None
            raise BusUnavailable(f"RabbitMQ at {self._link.address}: {reason(error)}") from None
        except ValueError as error:
            raise Refused(str(error)) from None
        except SILENCE as error:
            heed_cancellation()
            raise BusUnavailable(f"RabbitMQ at {self._link.address}: {reason(error)}") from None
        return isinstance(answer, DeliveredMessage)

    def _learn(self, error: AMQPError) -> None:
        """One message that is too large costs the channel, with all that is on the way; a second one is not sent."""
        if found := _LIMIT.search(str(error)):
            self._largest = int(found[1])

    async def _restore(self, channel: AbstractChannel) -> None:
        """Declare anew, once nothing is on the way that could then overtake what came back."""
        async with self._opening:
            if self._channel is not channel:
                return
            await leave(channel)
            self._channel = None
            try:
                await self._link.declare()
            except SILENCE:
                heed_cancellation()


def _properties(headers: dict[str, str], kind: str | None = None) -> spec.Basic.Properties:
    return spec.Basic.Properties(
        content_type=CONTENT_TYPE, delivery_mode=_DURABLE, message_type=kind, headers=dict(headers)
    )


def _failed(error: BusUnavailable) -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    future.add_done_callback(asyncio.Future.exception)
    return future
