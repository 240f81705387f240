"""Whether an event is sold only to those whom its queue let through."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from freehold import Work
from systems.booking_rush.booking.queue_tables import EventQueue
from systems.booking_rush.booking.settings import BookingSettings

FRESH = timedelta(seconds=1)
"""How long this process goes by what the database said of an event's queue."""


@dataclass(slots=True)
class _Door:
    required: bool = False
    at: datetime | None = None
    reading: asyncio.Task[None] | None = None


class QueueGate:
    """This process's doorkeeper.

    A queue is required by the setting `require_queue_pass`, by the event's queue, or while the event has a crowd.
    """

    def __init__(self, settings: BookingSettings) -> None:
        self._always = settings.require_queue_pass
        self._crowd = Crowd(settings.queue_auto_buyers, timedelta(seconds=settings.queue_auto_window_seconds))
        self._doors: dict[UUID, _Door] = {}

    async def requires_pass(self, event_id: UUID, user_id: UUID, work: Work) -> bool:
        """Whether this buyer needs a pass for an event that exists; at most one query a second for each event."""
        crowded = self._crowd.joined_by(event_id, user_id, work.now())
        return self._always or crowded or await self._said(event_id, work)

    async def _said(self, event_id: UUID, work: Work) -> bool:
        door = self._doors.setdefault(event_id, _Door())
        if door.at is None or work.now() - door.at > FRESH:
            # One reads, and all who wait go on together: at a lock they would go on one by one, each a turn of the
            # event loop later, and under load a second would not do for all of them.
            if door.reading is None:
                door.reading = asyncio.create_task(self._read(event_id, door, work.as_service()))
            await asyncio.shield(door.reading)
        return door.required

    async def _read(self, event_id: UUID, door: _Door, work: Work) -> None:
        now = work.now()
        try:
            async with work.transaction(readonly=True) as tx:
                required = await tx.scalar(select(EventQueue.required).where(EventQueue.event_id == event_id))
            door.required, door.at = bool(required), now
        finally:
            door.reading = None

    def heed(self, event_id: UUID) -> None:
        """The event's queue has changed: look again."""
        self._doors.pop(event_id, None)


@dataclass(slots=True)
class _Window:
    began: datetime
    before: int = 0
    buyers: set[UUID] = field(default_factory=set)


class Crowd:
    """Counts how many different users asked this process for seats of an event within a window, or the one before.

    It counts people, not requests, and only those of this process. Beyond `most` it counts no further, so that it
    remembers `most` + 1 users of an event at a time.

    Args:
        most: users of an event who are no crowd yet.
        window: how long a buyer counts, at least.
    """

    def __init__(self, most: int, window: timedelta) -> None:
        self._most = most
        self._window = window
        self._windows: dict[UUID, _Window] = {}

    def joined_by(self, event_id: UUID, user_id: UUID, now: datetime) -> bool:
        """Count this buyer; whether there is a crowd."""
        window = self._windows.get(event_id)
        if window is None or now - window.began >= self._window:
            window = self._next(event_id, window, now)
        if len(window.buyers) <= self._most:
            window.buyers.add(user_id)
        return max(len(window.buyers), window.before) > self._most

    def _next(self, event_id: UUID, last: _Window | None, now: datetime) -> _Window:
        recent = last is not None and now - last.began < 2 * self._window
        window = self._windows[event_id] = _Window(now, len(last.buyers) if last and recent else 0)
        for other in [e for e, each in self._windows.items() if now - each.began >= 2 * self._window]:
            del self._windows[other]
        return window
