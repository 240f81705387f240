"""Where somebody stands in an event's queue, told once or as it changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from functools import partial
from uuid import UUID

from pydantic import BaseModel

from freehold import Work
from systems.booking_rush.booking.bodies import QueuePosition, StreamEnded
from systems.booking_rush.booking.queue import is_overdue, release_passes
from systems.booking_rush.booking.queue_line import Line, QueueLines
from systems.booking_rush.booking.queue_passes import QueuePasses
from systems.booking_rush.booking.queue_tables import OPEN_ENTRY, QueueEntry
from systems.booking_rush.booking.settings import BookingSettings


async def position_of(event_id: UUID, user_id: UUID, work: Work) -> QueuePosition | None:
    """The user's position, or the pass; None for somebody who has no place. Whoever is first gets a pass that is free.

    Args:
        work: the service's own, on behalf of nobody.
    """
    lines = work.use(QueueLines)
    line = await lines.current(event_id, work)
    found = _waiting(line, user_id, work)
    if found is not None and not (found.position == 1 and await _release(event_id, work)):
        return found
    entry = await _entry(event_id, user_id, work)
    if entry is None or is_overdue(entry, work.now()):
        return None
    if entry.status == "released":
        return _ready(entry, line, work)
    # They joined since the line was read.
    return _waiting(await lines.current(event_id, work, now=True), user_id, work)


async def _release(event_id: UUID, work: Work) -> int:
    return await work.run(partial(release_passes, event_id))


def _waiting(line: Line, user_id: UUID, work: Work) -> QueuePosition | None:
    found = line.position(user_id)
    if found is None or found[1].expires_at <= work.now():
        return None
    position, place = found
    return QueuePosition(
        position=position,
        total_in_queue=line.total,
        estimated_wait_seconds=int(position * work.use(BookingSettings).queue_seconds_per_position),
        is_ready=False,
        expires_at=place.expires_at,
    )


def _ready(entry: QueueEntry, line: Line, work: Work) -> QueuePosition:
    return QueuePosition(
        position=0,
        total_in_queue=line.total,
        estimated_wait_seconds=0,
        is_ready=True,
        expires_at=entry.expires_at,
        queue_pass=work.use(QueuePasses).of(entry),
        queue_pass_expires_at=entry.pass_expires_at,
    )


async def _entry(event_id: UUID, user_id: UUID, work: Work) -> QueueEntry | None:
    async with work.transaction(readonly=True) as tx:
        mine = (QueueEntry.event_id == event_id, QueueEntry.user_id == user_id, OPEN_ENTRY)
        return await tx.find(QueueEntry, *mine)


async def positions(event_id: UUID, user_id: UUID, work: Work) -> AsyncGenerator[tuple[str, BaseModel], None]:
    """The events of a stream: the position at once, every 15 seconds, and the pass as soon as it is there."""
    settings = work.use(BookingSettings)
    every = timedelta(seconds=settings.queue_stream_every_seconds)
    following = work.now()
    end = following + timedelta(minutes=settings.queue_stream_minutes)
    async with work.use(QueueLines).watch(event_id, user_id, work) as watch:
        while True:
            position, now = await position_of(event_id, user_id, work), work.now()
            if position is None:
                yield "error", StreamEnded(event="not_in_queue", message="You are not in this event's queue")
                return
            if position.is_ready or now >= following:
                yield "position", position
                following = now + every
            if position.is_ready:
                return
            if now >= end:
                yield "error", StreamEnded(event="timeout", message="Open the stream again. You keep your place")
                return
            await watch.wait(min(following, end))
