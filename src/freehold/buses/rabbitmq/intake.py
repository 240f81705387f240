"""What comes in on one channel from one queue: given to the group at once, acknowledged when it ended well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

from aiormq.abc import AbstractChannel, DeliveredMessage

from freehold.buses.rabbitmq.publisher import TOPIC
from freehold.model.envelope import Envelope
from freehold.model.ports import Deliver

Ending = Literal["lost", "failed", "given up"]


class Unreadable(ValueError):
    """A message that is no event of ours."""


class Intake:
    """The deliveries of one channel.

    Closing the channel gives everything that is not acknowledged back to its place in the queue, so that it comes
    again in order. Nothing of a key is acknowledged after one of its events failed.

    Args:
        channel: consumes one queue.
        deliver: takes an event.
        set_aside: keeps a message that cannot be read, for good.
    """

    def __init__(
        self,
        channel: AbstractChannel,
        deliver: Deliver,
        set_aside: Callable[[DeliveredMessage, Unreadable], Awaitable[None]],
    ) -> None:
        self._channel = channel
        self._deliver = deliver
        self._set_aside = set_aside
        self._unacknowledged: dict[int, None] = {}
        self._done: set[int] = set()
        self._at_work = 0
        self._failed_keys: set[str] = set()
        self._waiting: list[DeliveredMessage] | None = None
        self._stirred, self._idle, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._ending: Ending | None = None
        self.active_since: float | None = None
        """When the first message came: from then on the broker delivers the queue here and nowhere else."""

    async def take(self, message: DeliveredMessage) -> None:
        """A message came."""
        if self.active_since is None:
            self.active_since = asyncio.get_running_loop().time()
        self._unacknowledged[_tag(message)] = None
        if self._waiting is not None:
            self._waiting.append(message)
        else:
            self._begin(message)

    async def acknowledge(self) -> None:
        """Tell the broker what is done, until cancelled. Raises aiormq's errors when the channel is gone."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            await self._flush()
            if not self._at_work and not self._done:
                self._idle.set()

    def end(self, ending: Ending) -> None:
        """Say that this must not go on."""
        if self._ending in (None, "given up") or ending == "lost":
            self._ending = ending
        self._over.set()
        if ending == "lost":
            self._idle.set()

    async def ended(self) -> Ending:
        """Wait for somebody to say so; what the matter is."""
        await self._over.wait()
        assert self._ending is not None  # noqa: S101 - somebody said so
        return self._ending

    async def rest(self, patience: float) -> bool:
        """Begin nothing more; whether everything that was at work has ended and is acknowledged after so many
        seconds.
        """
        if self._waiting is None:
            self._waiting = []
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def go_on(self) -> None:
        """Take up again what came meanwhile."""
        self._ending = None
        self._over.clear()
        waiting, self._waiting = self._waiting or [], None
        for message in waiting:
            self._begin(message)

    def _begin(self, message: DeliveredMessage) -> None:
        self._at_work += 1
        self._idle.clear()
        ended: asyncio.Future[None]
        try:
            event = read(message)
        except Unreadable as error:
            key, ended = "", asyncio.ensure_future(self._set_aside(message, error))
        else:
            key, ended = event.key, self._deliver(event)
        ended.add_done_callback(partial(self._ended, _tag(message), key))

    def _ended(self, tag: int, key: str, delivery: asyncio.Future[None]) -> None:
        self._at_work -= 1
        if delivery.cancelled() or delivery.exception() is not None:
            self._failed_keys.add(key)
            self.end("failed")
        elif key not in self._failed_keys:
            self._done.add(tag)
        self._stirred.set()

    async def _flush(self) -> None:
        """All that is done up to the first that is not takes one acknowledgement, what is done beyond it one each."""
        done, self._done = self._done, set()
        last = 0
        for tag in self._unacknowledged:
            if tag not in done:
                break
            last = tag
        for tag in done:
            del self._unacknowledged[tag]
        if last:
            await self._channel.basic_ack(last, multiple=True, wait=False)
        for tag in sorted(tag for tag in done if tag > last):
            await self._channel.basic_ack(tag, wait=False)


def read(message: DeliveredMessage) -> Envelope:
    """The event in a message. Raises Unreadable."""
    topic = (message.header.properties.headers or {}).get(TOPIC)
    if not isinstance(topic, str):
        raise Unreadable(f"it has no header {TOPIC!r}")
    try:
        return Envelope.from_wire(message.body, topic)
    except ValueError as error:
        raise Unreadable(str(error)) from error


def _tag(message: DeliveredMessage) -> int:
    tag = message.delivery_tag
    assert tag is not None  # noqa: S101 - a delivery has one
    return tag
