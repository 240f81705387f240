"""The routes of reservations."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from freehold import Problem, Tx, User, role, user
from systems.petpro.booking.bodies import CancelReservation, Extended, ReservationIn, ReservationOut, ReserveIn, Success
from systems.petpro.booking.catalogue import service_of
from systems.petpro.booking.clinics import actor, forbidden
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.reservations import give_up, hold_pending, reservation_of, reserve
from systems.petpro.booking.rules import invalid_transition
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.slot_making import find_slot
from systems.petpro.booking.tables import Reservation

CUSTOMERS = role("customer", "admin")


@booking.post("/slots/{slot_id}/reserve", access=CUSTOMERS, status_code=201, errors=[403, 404, 409, 422])
async def reserve_slot(slot_id: UUID, body: ReserveIn, tx: Tx, caller: User) -> ReservationOut:
    """Hold a seat for ten minutes."""
    return reservation_out(await reserve(slot_id, body.pet_id, caller, tx, service_id=body.service_id))


@booking.post("/reservations", access=CUSTOMERS, status_code=201, errors=[403, 404, 409, 422])
async def make_reservation(body: ReservationIn, tx: Tx, caller: User) -> ReservationOut:
    """Hold a seat in a slot that is named, or found by service, date and time."""
    slot_id = body.slot_id
    if slot_id is None and body.service_id is not None and body.date is not None:
        slot_id = (await find_slot(body.service_id, body.date, body.time, tx)).id
    if slot_id is None:
        raise Problem(400, "VALIDATION_ERROR", "slotId: give it, or serviceId, date and time")
    return reservation_out(await reserve(slot_id, body.pet_id, caller, tx, service_id=body.service_id))


@booking.get("/reservations/{id}", access=user, errors=[403, 404])
async def get_reservation(id: UUID, tx: Tx, caller: User) -> ReservationOut:
    """One reservation."""
    found = await reservation_of(id, tx)
    await actor(found.user_id, (await service_of(found.service_id, tx)).clinic_id, caller, tx)
    return reservation_out(found)


@booking.put("/reservations/{id}/extend", access=user, errors=[403, 404, 409, 410])
async def extend_reservation(id: UUID, tx: Tx, caller: User) -> Extended:
    """Five minutes more, once."""
    await _own(id, tx, caller)
    found = await hold_pending(id, tx)
    if found.status == "confirmed":
        raise invalid_transition("confirmed", "pending", "The reservation is confirmed, and holds its seat for good")
    if found.extend_count:
        raise Problem(409, "ALREADY_EXTENDED", "A reservation is extended once")
    found.expires_at += timedelta(seconds=tx.use(BookingSettings).reservation_extend_seconds)
    found.extend_count, found.updated_at = 1, tx.now()
    return Extended(expires_at=found.expires_at)


@booking.put("/reservations/{id}/cancel", access=user, errors=[403, 404, 409, 410])
async def cancel_reservation(id: UUID, tx: Tx, caller: User, *, body: CancelReservation | None = None) -> Success:
    """Give the seat back."""
    await _cancel(id, body, tx, caller)
    return Success()


@booking.delete("/reservations/{id}", access=user, status_code=204, errors=[403, 404, 409, 410])
async def delete_reservation(id: UUID, tx: Tx, caller: User, *, body: CancelReservation | None = None) -> None:
    """As PUT /reservations/{id}/cancel."""
    await _cancel(id, body, tx, caller)


async def _cancel(id: UUID, body: CancelReservation | None, tx: Tx, caller: User) -> None:
    own = await _own(id, tx, caller)
    if own.status == "cancelled":
        return
    found = await hold_pending(id, tx)
    if found.status == "confirmed":
        raise invalid_transition("confirmed", "cancelled", "It is confirmed: cancel its booking")
    by = "customer" if found.user_id == caller.id else "admin"
    reason = body.reason if body is not None and body.reason else f"cancelled_by_{by}"
    await give_up(found, "customer" if by == "customer" else "admin", reason, tx)


async def _own(id: UUID, tx: Tx, caller: User) -> Reservation:
    found = await reservation_of(id, tx)
    if found.user_id != caller.id and not caller.has_role("admin"):
        raise forbidden()
    return found


def reservation_out(found: Reservation) -> ReservationOut:
    """A reservation as it is shown."""
    return ReservationOut(
        reservation_id=found.id,
        slot_id=found.slot_id,
        user_id=found.user_id,
        pet_id=found.pet_id,
        service_id=found.service_id,
        lock_id=found.lock_id,
        status=found.status,
        created_at=found.created_at,
        expires_at=found.expires_at,
    )
