"""Moving a confirmed booking to another slot of its service: both seats and the booking in one transaction."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import BaseModel

from freehold import Problem, Tx
from systems.petpro.booking.appointments import Held, end_reservation, hold
from systems.petpro.booking.contract import BookingRescheduled
from systems.petpro.booking.facts import fact
from systems.petpro.booking.reservations import new_lock, slot_unavailable
from systems.petpro.booking.rules import Actor, instant, invalid_transition
from systems.petpro.booking.seats import give_seat_back, slot_of, take_seat
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import Booking, ClinicRef, ClinicService, Reservation, Slot


class Move(BaseModel):
    """What the saga knows."""

    booking_id: UUID
    reservation_id: UUID
    """Of the new slot."""
    slot_id: UUID
    by: Actor


async def move_booking(data: Move, tx: Tx) -> None:
    """Take a seat in the new slot, and give the old one back.

    Raises Problem, and nothing is changed. What was moved already stays as it is.
    """
    held = await hold(data.booking_id, tx)
    moved = held.booking
    if await tx.get(Reservation, data.reservation_id) is not None:
        return
    _check(moved, data.by, tx)
    old_id = moved.slot_id
    slots = {id: await slot_of(id, tx, lock=True) for id in sorted({old_id, data.slot_id})}
    new = slots[data.slot_id]
    starts_at, ends_at = await _check_slot(moved, new, tx)
    if data.slot_id == old_id or not await take_seat(new, tx):
        raise slot_unavailable()
    await give_seat_back(old_id, tx)
    await _point(held, data, new, tx)
    moved.starts_at, moved.ends_at = starts_at, ends_at
    moved.reschedule_count += 1
    moved.touch(tx.now())
    tx.publish(fact(BookingRescheduled, moved, previous_slot_id=old_id, rescheduled_at=tx.now()))


def _check(moved: Booking, by: Actor, tx: Tx) -> None:
    cutoff = timedelta(hours=tx.use(BookingSettings).reschedule_cutoff_hours)
    if moved.status != "confirmed":
        raise invalid_transition(moved.status, "confirmed", "Only a confirmed booking is rescheduled")
    if moved.starts_at - tx.now() < cutoff:
        raise Problem(422, "TOO_LATE", f"Reschedule at least {cutoff.total_seconds() / 3600:g} hours before the start")
    if by == "customer" and moved.reschedule_count > 0:
        raise Problem(422, "RESCHEDULE_LIMIT", "A customer reschedules a booking once; ask the clinic")


async def _check_slot(moved: Booking, new: Slot, tx: Tx) -> tuple[datetime, datetime]:
    service = await tx.get(ClinicService, new.service_id)
    if service is None or new.service_id != moved.service_id:
        raise Problem(422, "OTHER_SERVICE", "The new slot is one of another service's")
    clinic = await tx.get(ClinicRef, moved.clinic_id)
    timezone = moved.snapshot["clinic"]["timezone"] if clinic is None else clinic.timezone
    starts_at = instant(new.slot_date, new.slot_start_time, timezone)
    if starts_at < tx.now() + timedelta(minutes=tx.use(BookingSettings).min_lead_minutes):
        raise Problem(422, "LEAD_TIME", "The new slot starts too soon")
    if new.slot_date.isoformat() in service.availability_exceptions:
        raise Problem(422, "DATE_EXCEPTED", "The service is not available on this date")
    return starts_at, instant(new.slot_date, new.slot_end_time, timezone)


async def _point(held: Held, data: Move, new: Slot, tx: Tx) -> None:
    """The booking has a confirmed reservation of the new slot; the old one is over."""
    end_reservation(held.reservation, "cancelled", "rescheduled", tx)
    now, moved = tx.now(), held.booking
    tx.add(
        Reservation(
            id=data.reservation_id, user_id=moved.user_id, pet_id=moved.pet_id, service_id=moved.service_id,
            slot_id=new.id, lock_id=new_lock(tx), status="confirmed", expires_at=now, created_at=now, updated_at=now,
            extend_count=0,
        )
    )  # fmt: skip
    await tx.flush()  # before the booking points to it
    moved.reservation_id, moved.slot_id, moved.staff_id = data.reservation_id, new.id, new.staff_id
