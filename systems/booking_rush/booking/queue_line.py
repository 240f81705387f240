"""Who waits where: one reader for each event and process, from which everybody's position comes."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import Context as Variables
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select

from freehold import Tx, Work
from systems.booking_rush.booking.queue_tables import WAITING, EntryStatus, EventQueue, QueueEntry
from systems.booking_rush.booking.settings import BookingSettings

PAGE = 5000
NEVER = float("-inf")
_Row = Row[UUID, int, datetime, EntryStatus]
log = logging.getLogger(__name__)
_ENTRY = select(QueueEntry.user_id, QueueEntry.number, QueueEntry.expires_at, QueueEntry.status)


@dataclass(frozen=True, slots=True)
class Place:
    """Somebody who waits."""

    number: int
    expires_at: datetime


@dataclass(eq=False, slots=True)
class Watch:
    """A stream that waits for its user's turn, or for the time `until`."""

    user_id: UUID
    until: datetime | None = None
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, until: datetime) -> None:
        """Until the user waits no longer, or the injected clock has come to `until`."""
        self.until = until
        self._woken.clear()
        await self._woken.wait()

    def look(self, line: Line, now: datetime) -> None:
        """Wake the stream when there is something to tell."""
        if self.until is not None and (now >= self.until or self.user_id not in line.places):
            self._woken.set()


class Line:
    """An event's line as this process knows it; of a reading, only what changed since the last one is fetched."""

    def __init__(self, event_id: UUID) -> None:
        self.event_id = event_id
        self.places: dict[UUID, Place] = {}
        self.watches: set[Watch] = set()
        self.touched = asyncio.Event()
        self.ticking: asyncio.Task[None] | None = None
        self.used_at = 0.0
        self._numbers: list[int] = []
        self._revision: int | None = None
        self._read_at = NEVER
        self._reading = asyncio.Lock()

    @property
    def total(self) -> int:
        """How many wait."""
        return len(self._numbers)

    def position(self, user_id: UUID) -> tuple[int, Place] | None:
        """1 is the next; None for somebody who does not wait."""
        place = self.places.get(user_id)
        return None if place is None else (bisect_left(self._numbers, place.number) + 1, place)

    def touch(self) -> None:
        """It has changed: what was read is old, and whoever watches is told at once."""
        self._read_at = NEVER
        self.touched.set()

    async def read(self, work: Work, *, since: float) -> None:
        """Read it, unless somebody did after the moment `since` of the loop's clock."""
        if self._read_at >= since:
            return
        async with self._reading:
            if self._read_at >= since:
                return
            began = asyncio.get_running_loop().time()
            async with work.transaction(readonly=True) as tx:
                # The revision first: what commits meanwhile is then read twice, not never.
                wanted = select(EventQueue.revision).where(EventQueue.event_id == self.event_id)
                revision = int(await tx.scalar(wanted) or 0)
                if self._revision is None:
                    await self._read_all(tx)
                elif revision != self._revision:
                    self._apply(await _rows(tx, self.event_id, QueueEntry.revision > self._revision))
            self._revision, self._read_at = revision, began

    async def _read_all(self, tx: Tx) -> None:
        self.places, self._numbers, last = {}, [], 0
        while True:
            page = await _rows(tx, self.event_id, WAITING, QueueEntry.number > last, limit=PAGE)
            self._apply(page)
            if len(page) < PAGE:
                return
            last = page[-1].number
            await asyncio.sleep(0)

    def _apply(self, rows: Sequence[_Row]) -> None:
        gone: set[int] = set()
        for user_id, number, expires_at, status in rows:
            known = self.places.get(user_id)
            if status == "waiting":
                if known is None or known.number < number:
                    gone |= {known.number} if known else set()
                    self.places[user_id] = Place(number, expires_at)
                    self._numbers.append(number)
            elif known is not None and known.number == number:
                del self.places[user_id]
                gone.add(number)
        if gone:
            self._numbers = [number for number in self._numbers if number not in gone]
        self._numbers.sort()  # sorted but for its end: that takes no time


async def _rows(tx: Tx, event_id: UUID, *which: Any, limit: int | None = None) -> Sequence[_Row]:
    wanted = _ENTRY.where(QueueEntry.event_id == event_id, *which).order_by(QueueEntry.number).limit(limit)
    return (await (await tx.connection()).execute(wanted)).all()


class QueueLines:
    """The lines that somebody in this process looks at; those that nobody looks at are forgotten.

    A line is read at most once in `queue_line_seconds` of real time, however many look, and once more whenever this
    process itself changed it. It takes some 300 bytes for everybody who waits.
    """

    def __init__(self, settings: BookingSettings) -> None:
        self._every = settings.queue_line_seconds
        self._idle = settings.queue_line_idle_seconds
        self._lines: dict[UUID, Line] = {}

    async def current(self, event_id: UUID, work: Work, *, now: bool = False) -> Line:
        """The line, not older than `queue_line_seconds`; with `now`, as it is at this moment."""
        time = asyncio.get_running_loop().time()
        line = self._line(event_id, time)
        await line.read(work, since=time if now else time - self._every)
        return line

    def touch(self, event_id: UUID) -> None:
        """The line has changed, by a transaction of this process."""
        line = self._lines.get(event_id)
        if line is not None:
            line.touch()

    @asynccontextmanager
    async def watch(self, event_id: UUID, user_id: UUID, work: Work) -> AsyncIterator[Watch]:
        """Be told about a user's turn while the block lasts."""
        line = self._line(event_id, asyncio.get_running_loop().time())
        watch = Watch(user_id)
        line.watches.add(watch)
        if line.ticking is None:
            # Without the first watcher's context variables: the reader serves everybody.
            line.ticking = asyncio.create_task(self._tick(line, work), context=Variables())
        try:
            yield watch
        finally:
            line.watches.discard(watch)
            if not line.watches and line.ticking is not None:
                line.ticking.cancel()
                line.ticking = None

    async def aclose(self) -> None:
        """Stop reading."""
        ticking = [line.ticking for line in self._lines.values() if line.ticking is not None]
        for task in ticking:
            task.cancel()
        await asyncio.gather(*ticking, return_exceptions=True)

    def _line(self, event_id: UUID, time: float) -> Line:
        line = self._lines.get(event_id)
        if line is None:
            for idle in [e for e, each in self._lines.items() if not each.watches and time - each.used_at > self._idle]:
                del self._lines[idle]
            line = self._lines[event_id] = Line(event_id)
        line.used_at = time
        return line

    async def _tick(self, line: Line, work: Work) -> None:
        loop = asyncio.get_running_loop()
        while True:
            line.touched.clear()
            try:
                await line.read(work, since=loop.time() - self._every)
            except Exception as error:
                log.warning("the queue of event %s was not read: %s", line.event_id, type(error).__name__)
            now = work.now()
            for watch in tuple(line.watches):
                watch.look(line, now)
            try:
                async with asyncio.timeout(self._every):
                    await line.touched.wait()
            except TimeoutError:
                pass
