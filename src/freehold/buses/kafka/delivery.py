"""One partition of a group while this process has it: what is delivered, what must be delivered again."""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from functools import partial

from freehold.buses.kafka.progress import Progress
from freehold.model.envelope import Envelope
from freehold.model.ports import Deliver

log = logging.getLogger(__name__)
UNFINISHED = 500
"""Messages of a partition with the group at most."""
BACKLOG = (500, 2000)
"""Messages of a partition that wait for the group: with the second number it pauses, with the first it goes on. A pause
costs the client what it has fetched, so that they are rare, and over before the group runs dry.
"""
SPAN = 10_000
"""Messages from the lowest unfinished one on, at most: one slow event lets that many others pass."""
RETRY_WAITS = (0.1, 5.0)


@dataclass(frozen=True, slots=True)
class Record:
    """A message as the broker has it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    body: bytes


SetAside = Callable[[Record, str], Awaitable[None]]
"""Keeps what is no event, with the reason, where an operator finds it; raises when it cannot."""


@dataclass(slots=True)
class _Stalled:
    """A key whose delivery failed: its events go one at a time until none waits.

    Args:
        waiting: a heap by offset.
        out: the offset that is being delivered again.
        tries: how often in a row it failed.
        timer: until the next attempt.
    """

    waiting: list[tuple[int, Envelope]] = field(default_factory=list)
    out: int | None = None
    tries: int = 0
    timer: asyncio.TimerHandle | None = None


class Partition:
    """Delivers the events of one partition and knows how far it may be committed.

    Args:
        topic: its topic's name in the system.
        types: what the group takes; other events are passed over.
        deliver: the group's entrance.
        set_aside: what becomes of messages that are no events.
        progressed: called when a message is finished.
    """

    def __init__(
        self,
        topic: str,
        types: Collection[str],
        deliver: Deliver,
        set_aside: SetAside,
        progressed: Callable[[Partition], None],
    ) -> None:
        self._topic = topic
        self._types = types
        self._deliver = deliver
        self._set_aside = set_aside
        self._progressed = progressed
        self._progress = Progress()
        self._backlog: deque[Record] = deque()
        self._beginning = False
        self._stalled: dict[str, _Stalled] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_work = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._over = False
        self.paused = False
        self.committed: int | None = None

    @property
    def position(self) -> int | None:
        """The offset to commit; None when nothing is finished."""
        return self._progress.position

    @property
    def is_full(self) -> bool:
        """Whether it should pause."""
        return len(self._backlog) >= BACKLOG[1]

    @property
    def has_room(self) -> bool:
        """Whether it should go on after a pause."""
        return len(self._backlog) <= BACKLOG[0]

    def take(self, record: Record) -> None:
        """Deliver a message now, or when the group has room."""
        if not self._over:
            self._backlog.append(record)
            self._begin()

    def _begin(self) -> None:
        """Begin what waits, as far as there is room."""
        if self._beginning:
            return  # what we began has ended at once
        self._beginning = True
        while self._backlog and self._progress.unfinished < UNFINISHED and self._progress.span < SPAN:
            self._begin_one(self._backlog.popleft())
        self._beginning = False

    def _begin_one(self, record: Record) -> None:
        """Deliver a message, pass over it or set it aside."""
        self._progress.begin(record.offset)
        try:
            envelope = Envelope.from_wire(record.body, self._topic)
        except (ValueError, RecursionError) as error:
            self._spawn(self._put_away(record, str(error)))
            return
        if envelope.type not in self._types:
            self._finish(record.offset)
            return
        stalled = self._stalled.get(envelope.key)
        if stalled is None:
            self._hand_over(record.offset, envelope)
        else:
            heapq.heappush(stalled.waiting, (record.offset, envelope))

    async def release(self, patience: float) -> None:
        """Begin nothing more, and wait for what is at work, at most `patience` seconds."""
        self._stop()
        try:
            await asyncio.wait_for(self._idle.wait(), patience)
        except TimeoutError:
            log.warning("%d events are still at work when their partition goes to another process", self._at_work)

    def drop(self) -> None:
        """It is somebody else's: what is at work will change nothing here any more."""
        self._stop()
        self._progress = Progress()

    def _stop(self) -> None:
        self._over = True
        self._backlog.clear()
        for stalled in self._stalled.values():
            if stalled.timer is not None:
                stalled.timer.cancel()
        self._stalled.clear()
        for task in self._tasks:
            task.cancel()

    def _finish(self, offset: int) -> None:
        self._progress.finish(offset)
        self._begin()
        self._progressed(self)

    # --- at work ------------------------------------------------------------------------------------------------------

    def _hand_over(self, offset: int, envelope: Envelope) -> None:
        progress = self._progress
        self._at_work += 1
        self._idle.clear()
        try:
            future = self._deliver(envelope)
        except Exception as error:
            future = asyncio.get_running_loop().create_future()
            future.set_exception(error)
        if future.done() and (_failed(future) or envelope.key not in self._stalled):
            # Not in the loop's next turn: what fails must hold back the next event of its key.
            self._ended(progress, offset, envelope, future)
        else:
            future.add_done_callback(partial(self._ended, progress, offset, envelope))

    def _ended(self, progress: Progress, offset: int, envelope: Envelope, future: asyncio.Future[None]) -> None:
        self._at_work -= 1
        if not self._at_work:
            self._idle.set()
        failed = _failed(future)
        if progress is not self._progress:
            return  # the partition was lost meanwhile
        if failed:
            self._fail(offset, envelope, future)
        elif self._is_behind_a_failure(offset, envelope.key):
            heapq.heappush(self._stalled[envelope.key].waiting, (offset, envelope))
        else:
            self._finish(offset)
            self._go_on(offset, envelope.key)

    # --- again --------------------------------------------------------------------------------------------------------

    def _fail(self, offset: int, envelope: Envelope, future: asyncio.Future[None]) -> None:
        """Hold the key's events back until this one is taken."""
        if self._over:
            return
        stalled = self._stalled.setdefault(envelope.key, _Stalled())
        heapq.heappush(stalled.waiting, (offset, envelope))
        if stalled.out == offset:
            stalled.out = None
        if stalled.out is None and stalled.timer is None:
            if not stalled.tries:
                level, reason = _why(future)
                log.log(level, "%s %s is delivered again: %s", envelope.type, envelope.event_id, reason)
            shortest, longest = RETRY_WAITS
            wait = min(shortest * 2**stalled.tries, longest) * random.uniform(0.8, 1.2)
            stalled.tries = min(stalled.tries + 1, 16)
            stalled.timer = asyncio.get_running_loop().call_later(wait, self._retry, envelope.key)

    def _is_behind_a_failure(self, offset: int, key: str) -> bool:
        """Whether it was handed over before an earlier event of its key failed: it comes again, behind that one."""
        stalled = self._stalled.get(key)
        if stalled is None or stalled.out == offset:
            return False
        lowest = stalled.out if stalled.out is not None else stalled.waiting[0][0]
        return offset > lowest

    def _retry(self, key: str) -> None:
        stalled = self._stalled[key]
        stalled.timer = None
        stalled.out, envelope = heapq.heappop(stalled.waiting)
        self._hand_over(stalled.out, envelope)

    def _go_on(self, offset: int, key: str) -> None:
        """After the key's first event the next one, and when none waits any more, as they come."""
        stalled = self._stalled.get(key)
        if stalled is None or stalled.out != offset:
            return
        stalled.out, stalled.tries = None, 0
        if stalled.waiting:
            self._retry(key)
        else:
            del self._stalled[key]

    # --- no event -----------------------------------------------------------------------------------------------------

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _put_away(self, record: Record, problem: str) -> None:
        """Set it aside, however long that takes: the partition goes on meanwhile, its position does not."""
        shortest, longest = RETRY_WAITS
        wait = shortest
        while True:
            try:
                await self._set_aside(record, problem)
            except Exception as error:
                log.warning("an unreadable message of %s cannot be set aside yet: %s", record.topic, error)
                await asyncio.sleep(wait * random.uniform(0.8, 1.2))
                wait = min(2 * wait, longest)
            else:
                return self._finish(record.offset)


def _failed(future: asyncio.Future[None]) -> bool:
    return future.cancelled() or future.exception() is not None


def _why(untaken: asyncio.Future[None]) -> tuple[int, str]:
    """Why an event was not taken, and how much that matters: a group that closes gives back all that it has."""
    if untaken.cancelled():
        return logging.DEBUG, "cancelled"
    return logging.WARNING, repr(untaken.exception())
