"""Gathers events for a handler that takes many at once: what arrives while one batch commits is the next."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from freehold.buses.ending import end
from freehold.model.envelope import Envelope

if TYPE_CHECKING:
    from freehold.runtime.consume import Subscriber

log = logging.getLogger(__name__)


class Batches:
    """One queue, one batch at work: order of every key is kept.

    Args:
        size: events in a batch, at most.
        subscriber: whose handler takes them.
        work: handles a batch and deals with its failures itself; what it raises all the same ends the batch's futures.
    """

    def __init__(
        self, size: int, subscriber: Subscriber, work: Callable[[Subscriber, Sequence[Envelope]], Awaitable[None]]
    ) -> None:
        self._size = size
        self._subscriber = subscriber
        self._work = work
        self._waiting: deque[tuple[Envelope, asyncio.Future[None]]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    def submit(self, envelope: Envelope) -> asyncio.Future[None]:
        """Queue the event."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.cancel()
            return future
        self._waiting.append((envelope, future))
        if self._worker is None:
            self._worker = asyncio.create_task(self._drain())
        return future

    async def _drain(self) -> None:
        while self._waiting and not self._closed:
            batch = [self._waiting[index] for index in range(min(self._size, len(self._waiting)))]
            error = await self._attempt([envelope for envelope, _ in batch])
            for _, future in batch:
                self._waiting.popleft()
                if future.done():
                    continue
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
        self._worker = None

    async def _attempt(self, envelopes: Sequence[Envelope]) -> Exception | None:
        try:
            await self._work(self._subscriber, envelopes)
        except Exception as error:
            log.exception("a batch of events could be neither handled nor parked")
            return error
        return None

    async def close(self, drain: float) -> None:
        """Finish the batch at work within `drain` seconds; what still waits is cancelled and will be delivered
        again.
        """
        self._closed = True
        if self._worker is not None:
            _, late = await asyncio.wait([self._worker], timeout=drain)
            await end(*late)
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()
