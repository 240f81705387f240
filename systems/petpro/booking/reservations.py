"""Reservations: a seat held for a pet for a while, and what ends that."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Select, func, select

from freehold import Problem, Tx, User, not_found, uuid7
from systems.petpro.booking.appointments import call_off, end_reservation, held_by_reservation
from systems.petpro.booking.catalogue import is_offered, service_of
from systems.petpro.booking.contract import ReservationCreated, ReservationExpired
from systems.petpro.booking.copies import known_clinic, known_pet, known_user
from systems.petpro.booking.declaration import booking as service
from systems.petpro.booking.money_tables import Payment
from systems.petpro.booking.rules import LIVE, Actor, Wish, check_wish, instant
from systems.petpro.booking.seats import give_seat_back, slot_of, take_seat
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import Booking, OfferingRef, PetRef, Reservation


@service.provide
def chance() -> random.Random:
    return random.SystemRandom()


def new_lock(tx: Tx) -> str:
    """A word of 128 bits that nobody guesses."""
    return f"{tx.use(random.Random).getrandbits(128):032x}"


def slot_unavailable() -> Problem:
    """409: no seat is left."""
    return Problem(409, "SLOT_UNAVAILABLE", "No seat is left in this slot")


def reservation_over(*, keep: bool = False) -> Problem:
    """410: the time to act on it has passed."""
    return Problem(410, "RESERVATION_EXPIRED", "The reservation has ended", keep=keep)


async def reserve(slot_id: UUID, pet_id: UUID, caller: User, tx: Tx, *, service_id: UUID | None = None) -> Reservation:
    """Hold a seat for a pet. Raises the Problem that says why it cannot be had."""
    slot = await slot_of(slot_id, tx)
    offered = await service_of(slot.service_id, tx)
    if service_id not in (None, offered.id):
        raise Problem(400, "VALIDATION_ERROR", "serviceId: the slot is not one of this service's")
    clinic = await known_clinic(offered.clinic_id, tx)
    pet = await known_pet(pet_id, tx)
    if pet.user_id != caller.id and not caller.has_role("admin"):
        raise Problem(403, "PET_NOT_YOURS", "The pet is somebody else's")
    await known_user(pet.user_id, tx)
    offering = await tx.get(OfferingRef, offered.id)
    await tx.get(PetRef, pet_id, lock=True)  # a pet's reservations are counted one after another
    slot = await slot_of(slot_id, tx, lock=True)
    await _end_own(slot_id, pet.user_id, pet_id, tx)
    settings, now = tx.use(BookingSettings), tx.now()
    wish = Wish(
        starts_at=instant(slot.slot_date, slot.slot_start_time, clinic.timezone),
        slot_date=slot.slot_date,
        slot_status=slot.status,
        clinic_status=clinic.status,
        is_available=offered.is_available,
        offering_active=is_offered(offering),
        exceptions=offered.availability_exceptions,
        live_of_pet=await _live(pet_id, tx),
    )
    check_wish(wish, now, timedelta(minutes=settings.min_lead_minutes), settings.max_active_bookings_per_pet)
    if not await take_seat(slot, tx):
        raise slot_unavailable()
    made = Reservation(
        id=uuid7(now),
        user_id=pet.user_id,
        pet_id=pet_id,
        service_id=offered.id,
        slot_id=slot_id,
        lock_id=new_lock(tx),
        status="pending",
        expires_at=now + timedelta(seconds=settings.reservation_ttl_seconds),
        created_at=now,
        updated_at=now,
        extend_count=0,
    )
    tx.add(made)
    tx.publish(
        ReservationCreated(
            reservation_id=made.id, user_id=made.user_id, pet_id=pet_id, service_id=offered.id, slot_id=slot_id,
            expires_at=made.expires_at, created_at=now,
        )
    )  # fmt: skip
    return made


async def _end_own(slot_id: UUID, user_id: UUID, pet_id: UUID, tx: Tx) -> None:
    """A pet has one reservation of a slot at a time; one whose time is up makes room."""
    mine = await tx.find(
        Reservation,
        Reservation.slot_id == slot_id,
        Reservation.user_id == user_id,
        Reservation.pet_id == pet_id,
        Reservation.status == "pending",
    )
    if mine is not None and not await expire_if_due(mine.id, tx):
        raise Problem(409, "RESERVATION_EXISTS", "The pet has a reservation of this slot already")


async def _live(pet_id: UUID, tx: Tx) -> int:
    """How many bookings and reservations a pet has that are still to come."""
    booked = select(func.count()).where(Booking.pet_id == pet_id, Booking.status.in_(LIVE))
    waiting = (
        select(func.count())
        .select_from(Reservation)
        .outerjoin(Booking, Booking.reservation_id == Reservation.id)
        .where(
            Reservation.pet_id == pet_id,
            Reservation.status == "pending",
            Reservation.expires_at >= tx.now(),
            Booking.id.is_(None),
        )
    )
    return int(await tx.scalar(booked)) + int(await tx.scalar(waiting))


async def reservation_of(reservation_id: UUID, tx: Tx, *, lock: bool = False) -> Reservation:
    """The reservation. Raises Problem 404."""
    found = await tx.get(Reservation, reservation_id, lock=lock)
    if found is None:
        raise not_found("The reservation", "RESERVATION_NOT_FOUND")
    return found


async def hold_pending(reservation_id: UUID, tx: Tx) -> Reservation:
    """The reservation, locked, while it can be acted on; one whose time is up is ended on the spot.

    Raises Problem: 404, or 410 keeping that.
    """
    found = await reservation_of(reservation_id, tx, lock=True)
    if found.status == "pending" and await expire(found, tx):
        raise reservation_over(keep=True)
    if found.status in ("expired", "cancelled"):
        raise reservation_over()
    return found


async def expire_if_due(reservation_id: UUID, tx: Tx) -> bool:
    """End a reservation whose time is up, unless somebody else has it in hand; whether it was ended here."""
    due = select(Reservation).where(
        Reservation.id == reservation_id, Reservation.status == "pending", Reservation.expires_at < tx.now()
    )
    found = await tx.scalar(due.with_for_update(skip_locked=True))
    return found is not None and await expire(found, tx)


async def expire(held: Reservation, tx: Tx) -> bool:
    """End a locked, pending reservation if its time is up and nobody has paid for it; whether it was ended."""
    if held.expires_at >= tx.now():
        return False
    booked = await held_by_reservation(held, tx)
    if booked is not None and booked.payment.is_paid:
        return False
    if booked is None:
        end_reservation(held, "expired", "expired", tx)
        await give_seat_back(held.slot_id, tx)
    else:
        await call_off(booked, by="system", reason="payment_timeout", percent=100, tx=tx, reservation="expired")
    tx.publish(
        ReservationExpired(
            reservation_id=held.id, slot_id=held.slot_id, user_id=held.user_id,
            booking_id=None if booked is None else booked.booking.id, expired_at=tx.now(),
        )
    )  # fmt: skip
    return True


def overdue(tx: Tx) -> Select[UUID]:
    """The reservations that `expire` ends."""
    return (
        select(Reservation.id)
        .outerjoin(Booking, Booking.reservation_id == Reservation.id)
        .outerjoin(Payment, Payment.id == Booking.payment_id)
        .where(Reservation.status == "pending", Reservation.expires_at < tx.now(), Payment.paid_at.is_(None))
        .order_by(Reservation.expires_at)
    )


async def give_up(held: Reservation, by: Actor, reason: str, tx: Tx) -> None:
    """Cancel a locked, pending reservation, and the booking that waits for its payment."""
    booked = await held_by_reservation(held, tx)
    if booked is not None:
        await call_off(booked, by=by, reason=reason, percent=100, tx=tx)
        return
    end_reservation(held, "cancelled", reason, tx)
    await give_seat_back(held.slot_id, tx)
