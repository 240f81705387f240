"""Gathers events for a handler that takes many at once: what arrives while one batch commits is the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from freehold.model.envelope import Envelope

if TYPE_CHECKING:
    from freehold.runtime.consume import Subscriber


class Batches:
    """One queue, one batch at work: order of every key is kept.

    Args:
        size: events in a batch, at most.
        subscriber: whose handler takes them.
        work: handles a batch; must not raise.
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
        self._waiting.append((envelope, future))
        if self._worker is None and not self._closed:
            self._worker = asyncio.create_task(self._drain())
        return future

    async def _drain(self) -> None:
        while self._waiting and not self._closed:
            batch = [self._waiting[index] for index in range(min(self._size, len(self._waiting)))]
            await self._work(self._subscriber, [envelope for envelope, _ in batch])
            for _, future in batch:
                self._waiting.popleft()
                if not future.done():
                    future.set_result(None)
        self._worker = None

    async def close(self, drain: float) -> None:
        """Finish the batch at work within `drain` seconds; what still waits is cancelled and will be delivered
        again.
        """
        self._closed = True
        if self._worker is not None:
            _, late = await asyncio.wait([self._worker], timeout=drain)
            for worker in late:
                worker.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for _, future in self._waiting:
            future.cancel()
        self._waiting.clear()
