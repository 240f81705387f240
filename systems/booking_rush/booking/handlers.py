"""What booking does when something happens elsewhere."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ColumnElement, select

from freehold import Command, Tx
from systems.booking_rush.auth.contract import UserDeleted
from systems.booking_rush.booking import lifecycle
from systems.booking_rush.booking.declaration import booking
from systems.booking_rush.booking.queue import drop_queue, forget_user
from systems.booking_rush.booking.seats import count_zone, hold_zones
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.snapshots import ZoneSnapshots
from systems.booking_rush.booking.sold_out import SoldOutMemory
from systems.booking_rush.booking.tables import Booking, ZoneInventory
from systems.booking_rush.payment.contract import PaymentFailed, PaymentRefunded
from systems.booking_rush.ticket.contract import EventCancelled, ShowCancelled, ZoneInventoryUpdated

# --- payments ---------------------------------------------------------------------------------------------------------


@booking.on(PaymentFailed)
async def cancel_unpaid(event: PaymentFailed, tx: Tx) -> None:
    """A payment that was refused gives the seats to somebody else."""
    held = await tx.get(Booking, event.booking_id, lock=True)
    if held is not None and held.status == "reserved":
        await lifecycle.cancel([held], "payment_failed", tx)


@booking.on(PaymentRefunded)
async def cancel_refunded(event: PaymentRefunded, tx: Tx) -> None:
    """Whoever gets money back, be it a part of it, gives up the seats: also those that were not confirmed yet."""
    sold = await tx.get(Booking, event.booking_id, lock=True)
    if sold is None or not sold.is_open:
        return
    if not event.full:
        sold.details = {**sold.details, "refund_amount": f"{event.refund_amount:.2f}"}
    await lifecycle.cancel([sold], "payment_refunded", tx)


# --- users ------------------------------------------------------------------------------------------------------------


@booking.on(UserDeleted)
async def cancel_holds_of_user(event: UserDeleted, tx: Tx) -> None:
    """Holds end with their user; what was bought stays bought."""
    held = await _locked(tx, Booking.user_id == event.user_id, Booking.status == "reserved")
    await lifecycle.cancel(held, "user_deleted", tx)
    await forget_user(event.user_id, tx)


# --- the catalogue ----------------------------------------------------------------------------------------------------


@booking.on(ZoneInventoryUpdated)
async def follow_capacity(event: ZoneInventoryUpdated, tx: Tx, snapshots: ZoneSnapshots, memory: SoldOutMemory) -> None:
    """Count new zones; give a grown or shrunken one its seats; sell it on its new terms."""
    tx.on_commit(lambda: snapshots.heed(event))
    zone = (await hold_zones(tx, ZoneInventory.zone_id == event.zone_id)).get(event.zone_id)
    if zone is None:
        await count_zone(event, event.name, tx, capacity_at=event.updated_at)
        return
    zone.name = event.name
    zone.resize(event.total_seats, event.updated_at)
    tx.on_commit(lambda: memory.changed(zone.zone_id, zone.revision, zone.left))


class CancelOpenBookings(Command, name="booking.cancel_open", key="event_id"):
    """Cancel every open booking of an event, or of one show of it, some at a time."""

    event_id: UUID
    show_id: UUID | None = None
    reason: str


@booking.on(EventCancelled)
async def give_up_event(event: EventCancelled, tx: Tx, snapshots: ZoneSnapshots) -> None:
    """End the sale at once, then give back what was sold."""
    await _close(ZoneInventory.event_id == event.event_id, tx)
    await drop_queue(event.event_id, tx)
    tx.on_commit(lambda: snapshots.forget_event(event.event_id))
    tx.send(CancelOpenBookings(event_id=event.event_id, reason="event_cancelled"))


@booking.on(ShowCancelled)
async def give_up_show(event: ShowCancelled, tx: Tx, snapshots: ZoneSnapshots) -> None:
    """End the sale of a show at once, then give back what was sold."""
    await _close(ZoneInventory.show_id == event.show_id, tx)
    tx.on_commit(lambda: snapshots.forget_event(event.event_id))
    tx.send(CancelOpenBookings(event_id=event.event_id, show_id=event.show_id, reason="show_cancelled"))


@booking.handles(CancelOpenBookings)
async def cancel_open_bookings(command: CancelOpenBookings, tx: Tx, settings: BookingSettings) -> None:
    """A batch, and the next one by the same command."""
    which = [Booking.event_id == command.event_id, Booking.status.in_(("reserved", "confirmed"))]
    if command.show_id is not None:
        which.append(Booking.show_id == command.show_id)
    batch = await _locked(tx, *which, limit=settings.cancel_batch)
    await lifecycle.cancel(batch, command.reason, tx)
    if len(batch) == settings.cancel_batch:
        tx.send(command)


async def _close(which: ColumnElement[bool], tx: Tx) -> None:
    for zone in (await hold_zones(tx, which)).values():
        zone.close()


async def _locked(tx: Tx, *which: ColumnElement[bool], limit: int | None = None) -> list[Booking]:
    rows = await tx.scalars(select(Booking).where(*which).order_by(Booking.id).limit(limit).with_for_update())
    return list(rows)
