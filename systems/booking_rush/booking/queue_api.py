"""The virtual queue's routes."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from freehold import EventStream, Once, Problem, Tx, User, Work, not_found, role, user
from systems.booking_rush.booking.api import ADMINS
from systems.booking_rush.booking.bodies import (
    JoinIn,
    LeaveIn,
    Left,
    QueuePosition,
    QueueSettings,
    QueueSettingsIn,
    QueueStatus,
)
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.event_facts import EventFacts
from systems.booking_rush.booking.queue import Joined, JoinQueue, hold_queue, join_queue, leave, not_in_queue
from systems.booking_rush.booking.queue_gate import QueueGate
from systems.booking_rush.booking.queue_positions import position_of, positions
from systems.booking_rush.booking.queue_tables import EventQueue
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.ticket.contract import EventInfo

_INVALID = {"event_id": "INVALID_EVENT_ID", "*": "INVALID_REQUEST"}


@booking.post(
    "/queue/join", access=user, status_code=201, idempotency="required", lean=True, invalid=_INVALID, errors=[409]
)
async def join(body: JoinIn, caller: User, work: Work, once: Once) -> Joined:
    """Take a place in an event's queue."""
    wish = JoinQueue(event_id=body.event_id, user_id=caller.id, tenant_id=caller.tenant_id)
    joined: Joined = await work.call(join_queue, wish, once=once)
    return joined


@booking.delete("/queue/leave", access=user, invalid=_INVALID)
async def leave_queue(body: LeaveIn, caller: User, tx: Tx) -> Left:
    """Give up one's place, or the pass."""
    await leave(body.event_id, caller, body.token, tx)
    return Left()


@booking.get("/queue/position/{event_id}", access=user, lean=True, invalid=_INVALID)
async def position(event_id: UUID, caller: User, work: Work) -> QueuePosition:
    """Where one stands; the pass, once it is there."""
    found = await position_of(event_id, caller.id, work.as_service())
    if found is None:
        raise not_in_queue()
    return found


@booking.get("/queue/position/{event_id}/stream", access=user, lean=True, invalid=_INVALID)
async def stream_position(event_id: UUID, caller: User, work: Work, events: EventFacts) -> EventStream:
    """Where one stands, as it changes, for up to five minutes: events `position`, and `error` at the end."""
    async with work.transaction(readonly=True) as tx:
        queue = await tx.get(EventQueue, event_id)
    if queue is None:
        await _event(event_id, work, events)
    return EventStream(positions(event_id, caller.id, work.as_service()))


@booking.get("/queue/status/{event_id}", access=user, lean=True, invalid=_INVALID)
async def status(event_id: UUID, work: Work, events: EventFacts) -> QueueStatus:
    """How many wait for an event."""
    event = await _event(event_id, work, events)
    async with work.transaction(readonly=True) as tx:
        found = await tx.execute(select(EventQueue.waiting, EventQueue.closed).where(EventQueue.event_id == event_id))
        row = found.one_or_none()
    waiting, closed = row or (0, False)
    return QueueStatus(event_id=event_id, total_in_queue=waiting, is_open=event.status == "published" and not closed)


@booking.put("/admin/queue/{event_id}", access=role("organizer", *ADMINS))
async def configure(
    event_id: UUID, body: QueueSettingsIn, caller: User, work: Work, *, events: EventFacts, settings: BookingSettings
) -> QueueSettings:
    """Say when an event needs its queue, and how many it lets through at a time."""
    event = await _event(event_id, work, events)
    if event.organizer_id != caller.id and not caller.has_role(*ADMINS):
        raise Problem(403, "FORBIDDEN", "This is somebody else's")

    async def change(tx: Tx) -> QueueSettings:
        queue = await hold_queue(event, tx, settings)
        before = _settings(queue)
        for name, value in body.model_dump(exclude_none=True).items():
            setattr(queue, name, value)
        queue.updated_at = tx.now()
        after = _settings(queue)
        tx.audit(
            "queue.configured", "queue", event_id,
            before=before.model_dump(mode="json"), after=after.model_dump(mode="json"), tenant_id=event.tenant_id,
        )  # fmt: skip
        tx.on_commit(lambda: tx.use(QueueGate).heed(event_id))
        return after

    return await work.run(change)


async def _event(event_id: UUID, work: Work, events: EventFacts) -> EventInfo:
    """The event, unless it is another tenant's than the caller's. Raises Problem 404."""
    event = await events.get(event_id, work.as_service())
    if event is None or work.context.tenant_id not in (None, event.tenant_id):
        raise not_found("The event")
    return event


def _settings(queue: EventQueue) -> QueueSettings:
    return QueueSettings.model_validate(queue, from_attributes=True)
