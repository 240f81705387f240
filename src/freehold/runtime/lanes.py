"""Keyed lanes: events of one key one after another, keys side by side, at most so many at once."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from freehold.buses.ending import end

T = TypeVar("T")
log = logging.getLogger(__name__)


class Lanes(Generic[T]):
    """Runs `work` for each item, in order within its lane, with at most `width` at work.

    `work` deals with its failures itself; what it raises all the same ends the item's future.
    """

    def __init__(self, width: int, work: Callable[[T], Awaitable[None]]) -> None:
        self._width = width
        self._work = work
        self._lanes: dict[Hashable, deque[tuple[T, asyncio.Future[None]]]] = {}
        self._ready: deque[Hashable] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._closed = False

    def submit(self, lane: Hashable, item: T) -> asyncio.Future[None]:
        """Queue the item behind the others of its lane."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            future.cancel()
            return future
        waiting = self._lanes.get(lane)
        if waiting is None:
            self._lanes[lane] = deque([(item, future)])
            self._ready.append(lane)
            if len(self._workers) < self._width:
                self._start_worker()
        else:
            waiting.append((item, future))
        return future

    def _start_worker(self) -> None:
        task = asyncio.create_task(self._drain())
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    async def _drain(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - the worker itself
        while self._ready and not self._closed:
            lane = self._ready.popleft()
            waiting = self._lanes[lane]
            item, future = waiting[0]
            error = await self._attempt(item)
            waiting.popleft()
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
            if waiting:
                self._ready.append(lane)
            else:
                del self._lanes[lane]
            await asyncio.sleep(0)  # on SQLite nothing else suspends, and requests would wait for the whole backlog
        self._workers.discard(task)  # at once: whatever is submitted from now on needs another worker

    async def _attempt(self, item: T) -> Exception | None:
        try:
            await self._work(item)
        except Exception as error:
            log.exception("an event could be neither handled nor parked")
            return error
        return None

    async def close(self, drain: float) -> None:
        """Finish what is at work, begin nothing more; what still waits is cancelled and will be delivered again.

        What is still at work after `drain` seconds is cancelled too.
        """
        self._closed = True
        if self._workers:
            _, late = await asyncio.wait(self._workers, timeout=drain)
            await end(*late)
        for waiting in self._lanes.values():
            for _, future in waiting:
                future.cancel()
        self._lanes.clear()
        self._ready.clear()
