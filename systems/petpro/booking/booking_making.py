"""A new booking: of a reservation, or with one in a single step."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

from freehold import Problem, Tx, User, uuid7
from systems.petpro.booking.appointments import held_by_reservation
from systems.petpro.booking.booking_bodies import BookingIn
from systems.petpro.booking.catalogue import price_of, service_of
from systems.petpro.booking.clinics import forbidden
from systems.petpro.booking.contract import BookingCreated, PaymentMethod
from systems.petpro.booking.copies import known_clinic
from systems.petpro.booking.facts import fact
from systems.petpro.booking.money_tables import Payment
from systems.petpro.booking.reservations import hold_pending, reservation_of, reservation_over, reserve
from systems.petpro.booking.rules import instant, local, reference_code
from systems.petpro.booking.sagas import Appointment, book_appointment
from systems.petpro.booking.seats import slot_of
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.slot_making import find_slot
from systems.petpro.booking.tables import Booking, ClinicRef, ClinicService, OfferingRef, PetRef, Reservation, UserRef
from systems.petpro.gateway import BOOKINGS

REDRAWS = 5


async def make_booking(body: BookingIn, caller: User, tx: Tx) -> UUID:
    """The id of a booking that waits for its payment. Raises the Problem that says why there is none."""
    if body.reservation_id is not None:
        reservation = await _reservation(body.reservation_id, body.lock_id, caller, tx)
    else:
        reservation = await _reserve(body, caller, tx)
    return await _book(reservation, body, tx)


async def _reservation(reservation_id: UUID, lock_id: str | None, caller: User, tx: Tx) -> Reservation:
    seen = await reservation_of(reservation_id, tx)
    if seen.user_id != caller.id and not caller.has_role("admin"):
        raise forbidden()
    locked = await reservation_of(reservation_id, tx, lock=True)
    if await held_by_reservation(locked, tx) is not None:
        raise Problem(409, "BOOKING_EXISTS", "The reservation has a booking already")
    found = await hold_pending(reservation_id, tx)
    if found.status != "pending":
        raise reservation_over()
    if lock_id not in (None, found.lock_id):
        raise Problem(409, "LOCK_MISMATCH", "lockId is not the reservation's")
    return found


async def _reserve(body: BookingIn, caller: User, tx: Tx) -> Reservation:
    if body.service_id is None or body.pet_id is None or body.start_time is None:
        raise Problem(400, "VALIDATION_ERROR", "reservationId: give it, or serviceId, petId and startTime")
    service = await service_of(body.service_id, tx)
    start = local(body.start_time, (await known_clinic(service.clinic_id, tx)).timezone)
    slot = await find_slot(service.id, start.date(), start.time(), tx)
    return await reserve(slot.id, body.pet_id, caller, tx)


async def _book(reservation: Reservation, body: BookingIn, tx: Tx) -> UUID:
    service, slot = await service_of(reservation.service_id, tx), await slot_of(reservation.slot_id, tx)
    clinic = await tx.get(ClinicRef, service.clinic_id)
    owner, pet = await tx.get(UserRef, reservation.user_id), await tx.get(PetRef, reservation.pet_id)
    if clinic is None or owner is None or pet is None:  # the reservation was made with them
        raise LookupError(f"reservation {reservation.id} has lost its copies")
    now = tx.now()
    notes = "\n".join(filter(None, (body.notes, body.special_requests))) or None
    booking = Booking(
        id=uuid7(now), reservation_id=reservation.id, user_id=reservation.user_id, pet_id=reservation.pet_id,
        clinic_id=service.clinic_id, service_id=service.id, slot_id=slot.id, staff_id=slot.staff_id,
        reference_code=await _new_code(tx), amount=price_of(service, await tx.get(OfferingRef, service.id)),
        status="pending_payment", notes=notes, created_at=now, updated_at=now, reschedule_count=0, holds_seat=True,
        version=1, snapshot=_snapshot(owner, pet, clinic, service),
        starts_at=instant(slot.slot_date, slot.slot_start_time, clinic.timezone),
        ends_at=instant(slot.slot_date, slot.slot_end_time, clinic.timezone),
    )  # fmt: skip
    booking.snapshot["schedule"] = {
        "date": slot.slot_date.isoformat(),
        "start_time": f"{slot.slot_start_time:%H:%M}",
        "end_time": f"{slot.slot_end_time:%H:%M}",
    }
    tx.add(booking)
    await tx.flush()
    payment = _payment(booking, body.payment_method or "credit_card", tx)
    tx.add(payment)
    await tx.flush()
    booking.payment_id = payment.id
    reservation.expires_at = now + timedelta(seconds=tx.use(BookingSettings).payment_window_seconds)
    reservation.updated_at = now
    names = {
        "user_name": owner.full_name, "user_email": owner.email, "pet_name": pet.name, "pet_species": pet.species,
        "clinic_name": clinic.name, "service_name": service.name,
    }  # fmt: skip
    tx.publish(fact(BookingCreated, booking, **names))
    data = Appointment(
        booking_id=booking.id, reservation_id=reservation.id, lock_id=reservation.lock_id, payment_id=payment.id,
        clinic_id=booking.clinic_id,
    )  # fmt: skip
    await tx.start(book_appointment, data)
    return booking.id


async def _new_code(tx: Tx) -> str:
    for _ in range(1 + REDRAWS):
        code = reference_code(tx.use(random.Random))
        if await tx.find(Booking, Booking.reference_code == code) is None:
            return code
    raise Problem(503, "SERVICE_UNAVAILABLE", "No reference code is free. Try again")


def _snapshot(owner: UserRef, pet: PetRef, clinic: ClinicRef, service: ClinicService) -> dict[str, Any]:
    """What the booking is about, as it is now; it is never rewritten."""
    return {
        "user": {"name": owner.full_name, "email": owner.email, "phone": owner.phone_number},
        "pet": {"name": pet.name, "species": pet.species, "breed": pet.breed},
        "clinic": {"name": clinic.name, "timezone": clinic.timezone},
        "service": {"name": service.name, "duration": service.duration_minutes, "price": f"{service.price:.2f}"},
    }


def _payment(booking: Booking, method: PaymentMethod, tx: Tx) -> Payment:
    id = uuid7(tx.now())
    return Payment(
        id=id, booking_id=booking.id, external_reference=f"{BOOKINGS}{id.hex}", amount=booking.amount, currency="IDR",
        payment_method=method, status="pending", payment_details={}, created_at=tx.now(), updated_at=tx.now(),
    )  # fmt: skip
