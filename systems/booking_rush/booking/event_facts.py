"""What ticket says about events, kept for seconds: whose they are, and whether they are sold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from freehold import Problem, Tx, Unavailable, Work
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.ticket.contract import EventInfo, GetEvent


@dataclass(frozen=True, slots=True)
class _Kept:
    info: EventInfo
    at: datetime


class EventFacts:
    """This process's copies."""

    def __init__(self, settings: BookingSettings) -> None:
        self._fresh = timedelta(seconds=settings.snapshot_fresh_seconds)
        self._usable = timedelta(seconds=settings.snapshot_usable_seconds)
        self._kept: dict[UUID, _Kept] = {}

    async def get(self, event_id: UUID, unit: Tx | Work) -> EventInfo | None:
        """The event, or None when there is none. Raises Unavailable when ticket is away and no usable copy is left."""
        kept, now = self._kept.get(event_id), unit.now()
        if kept is not None and now - kept.at <= self._fresh:
            return kept.info
        try:
            info = await unit.ask(GetEvent(event_id=event_id))
        except Unavailable:
            if kept is not None and now - kept.at <= self._usable:
                return kept.info
            raise
        except Problem as problem:
            self._kept.pop(event_id, None)
            if problem.status != 404:
                raise
            return None
        self._kept[event_id] = _Kept(info, now)
        return info

    def forget(self, event_id: UUID) -> None:
        """Ask again."""
        self._kept.pop(event_id, None)
