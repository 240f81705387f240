"""Bookings and payments as they are shown."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import select

from freehold import Tx
from systems.petpro.booking.booking_bodies import Animal, BookingOut, PaymentOut, Person, Place, Schedule, Treatment
from systems.petpro.booking.contract import BookingRow
from systems.petpro.booking.money_tables import Payment
from systems.petpro.booking.rules import local
from systems.petpro.booking.tables import Booking, Reservation, Review


async def shown(bookings: Iterable[Booking], tx: Tx) -> list[BookingOut]:
    """Bookings with their payments."""
    listed = list(bookings)
    payments = await _payments([each.id for each in listed], tx)
    held = select(Reservation.id, Reservation.expires_at).where(
        Reservation.id.in_([each.reservation_id for each in listed])
    )
    expiries = {row.id: row.expires_at for row in await tx.execute(held)}
    return [_shown(each, payment_out(payments[each.id], expiries.get(each.reservation_id))) for each in listed]


async def _payments(booking_ids: list[UUID], tx: Tx) -> dict[UUID, Payment]:
    rows = await tx.scalars(select(Payment).where(Payment.booking_id.in_(booking_ids)))
    return {payment.booking_id: payment for payment in rows}


def payment_out(payment: Payment, expires_at: object) -> PaymentOut:
    """A payment; it has no card's data, for there are none."""
    return PaymentOut.model_validate(
        {
            "payment_id": payment.id,
            "payment_url": payment.url,
            "expires_at": expires_at if payment.status in ("pending", "processing", "failed") else None,
        }
        | {
            name: getattr(payment, name)
            for name in PaymentOut.model_fields
            if name not in ("payment_id", "payment_url", "expires_at")
        }
    )


def _shown(booking: Booking, payment: PaymentOut) -> BookingOut:
    said = booking.snapshot
    timezone = said["clinic"]["timezone"]
    start, end = local(booking.starts_at, timezone), local(booking.ends_at, timezone)
    own = {name: getattr(booking, name) for name in BookingOut.model_fields if hasattr(booking, name)}
    return BookingOut.model_validate(
        own
        | {
            "user": Person(id=booking.user_id, **said["user"]),
            "pet": Animal(id=booking.pet_id, **said["pet"]),
            "clinic": Place(id=booking.clinic_id, name=said["clinic"]["name"]),
            "service": Treatment(id=booking.service_id, **said["service"]),
            "schedule": Schedule(
                date=start.date(),
                start_time=start.time(),
                end_time=end.time(),
                staff_id=booking.staff_id,
                starts_at=booking.starts_at,
                ends_at=booking.ends_at,
            ),
            "payment_status": payment.status,
            "currency": payment.currency,
            "payment": payment,
        }
    )


async def booking_rows(bookings: Iterable[Booking], tx: Tx) -> list[BookingRow]:
    """Bookings as siblings keep them, with payment and review."""
    listed = list(bookings)
    ids = [each.id for each in listed]
    payments = await _payments(ids, tx)
    reviews = select(Review.booking_id, Review.rating).where(Review.booking_id.in_(ids))
    ratings = {row.booking_id: row.rating for row in await tx.execute(reviews)}
    return [_row(each, payments[each.id], ratings.get(each.id)) for each in listed]


def _row(booking: Booking, payment: Payment, rating: int | None) -> BookingRow:
    said = booking.snapshot
    own = {name: getattr(booking, name) for name in BookingRow.model_fields if hasattr(booking, name)}
    return BookingRow.model_validate(
        own
        | {
            "booking_id": booking.id,
            "user_name": said["user"]["name"],
            "user_email": said["user"]["email"],
            "pet_name": said["pet"]["name"],
            "pet_species": said["pet"]["species"],
            "clinic_name": said["clinic"]["name"],
            "service_name": said["service"]["name"],
            "currency": payment.currency,
            "payment_status": payment.status,
            "refunded_amount": payment.refunded_amount,
            "has_review": rating is not None,
            "rating": rating,
        }
    )
