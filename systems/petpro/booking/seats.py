"""The seats of a slot: taken and given back by single statements that keep count and status together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from uuid import UUID

from sqlalchemy import case, func, select, union_all, update

from freehold import Tx, not_found
from systems.petpro.booking.slot_lists import SlotLists
from systems.petpro.booking.tables import Booking, Reservation, Slot


async def slot_of(slot_id: UUID, tx: Tx, *, lock: bool = False) -> Slot:
    """The slot. Raises Problem 404."""
    slot = await tx.get(Slot, slot_id, lock=lock)
    if slot is None:
        raise not_found("The slot", "SLOT_NOT_FOUND")
    return slot


async def take_seat(slot: Slot, tx: Tx) -> bool:
    """Take a seat, if one is left."""
    taken = Slot.booked_count + 1
    statement = (
        update(Slot)
        .where(Slot.id == slot.id, Slot.status == "available", Slot.booked_count < Slot.capacity)
        .values(
            status=case((taken >= Slot.capacity, "booked"), else_="available"), booked_count=taken, updated_at=tx.now()
        )
        .execution_options(synchronize_session=False)
    )
    done = await tx.execute(statement)
    changed(slot, tx)
    return bool(getattr(done, "rowcount", 0))


async def give_seat_back(slot_id: UUID, tx: Tx) -> None:
    """Give a seat back; whoever calls it has just ended what held it, so that it happens once."""
    slot = await slot_of(slot_id, tx)
    statement = (
        update(Slot)
        .where(Slot.id == slot_id, Slot.booked_count > 0)
        .values(
            status=case((Slot.status == "blocked", "blocked"), else_="available"),
            booked_count=Slot.booked_count - 1,
            updated_at=tx.now(),
        )
        .execution_options(synchronize_session=False)
    )
    await tx.execute(statement)
    changed(slot, tx)


def changed(slot: Slot, tx: Tx) -> None:
    """Lists with this slot are out of date once this is committed."""
    tx.on_commit(partial(tx.use(SlotLists).changed, slot.service_id, slot.slot_date))


async def held_seats(slot_ids: Sequence[UUID], tx: Tx) -> dict[UUID, int]:
    """The truth that `booked_count` must agree with: reservations without a booking yet, and bookings with a seat."""
    waiting = (
        select(Reservation.slot_id)
        .outerjoin(Booking, Booking.reservation_id == Reservation.id)
        .where(Reservation.slot_id.in_(slot_ids), Reservation.status == "pending", Booking.id.is_(None))
    )
    booked = select(Booking.slot_id).where(Booking.slot_id.in_(slot_ids), Booking.holds_seat)
    # In one statement: a reservation that becomes a booking meanwhile must not be counted as both.
    holders = union_all(waiting, booked).subquery()
    counted = select(holders.c.slot_id, func.count()).group_by(holders.c.slot_id)
    return dict.fromkeys(slot_ids, 0) | {row[0]: row[1] for row in await tx.execute(counted)}
