"""What becomes of a booking, with its reservation, payment and seat in the same transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from freehold import Problem, Saga, Step, Tx, not_found
from systems.petpro.booking.contract import (
    BookingCancelled,
    BookingConfirmed,
    BookingStatusChanged,
    PaymentFailed,
    PaymentRefunded,
    ReservationCancelled,
)
from systems.petpro.booking.declaration import booking as service
from systems.petpro.booking.facts import fact, notice
from systems.petpro.booking.finance import record_fee, record_refunds
from systems.petpro.booking.money_tables import Payment
from systems.petpro.booking.rules import Actor, share
from systems.petpro.booking.seats import give_seat_back
from systems.petpro.booking.tables import Booking, Reservation


@dataclass(frozen=True, slots=True)
class Held:
    """A booking with what belongs to it, all locked."""

    reservation: Reservation
    booking: Booking
    payment: Payment


async def booking_of(booking_id: UUID, tx: Tx) -> Booking:
    """The booking. Raises Problem 404."""
    found = await tx.get(Booking, booking_id)
    if found is None:
        raise booking_not_found()
    return found


async def hold(booking_id: UUID, tx: Tx) -> Held:
    """Lock a booking, its reservation first, as everybody does: nobody waits in a circle. Raises Problem 404."""
    found = await booking_of(booking_id, tx)
    while True:
        reservation_id = found.reservation_id
        reservation = await tx.get(Reservation, reservation_id, lock=True)
        locked = await tx.get(Booking, booking_id, lock=True)
        if locked is None or reservation is None:
            raise booking_not_found()
        if locked.reservation_id == reservation_id:  # else it was rescheduled a moment ago
            break
        found = locked
    payment = await tx.get(Payment, locked.payment_id, lock=True)
    if payment is None:
        raise booking_not_found()
    return Held(reservation, locked, payment)


async def held_by_reservation(reservation: Reservation, tx: Tx) -> Held | None:
    """What hangs on a reservation that is locked already; None where it has no booking."""
    found = await tx.find(Booking, Booking.reservation_id == reservation.id)
    return None if found is None else await hold(found.id, tx)


def booking_not_found() -> Problem:
    """404."""
    return not_found("The booking", "BOOKING_NOT_FOUND")


# --- forwards ---------------------------------------------------------------------------------------------------------


async def confirm(booking: Booking, commission_rate: Decimal, tx: Tx) -> None:
    """The clinic expects the customer, and has its share of the price."""
    booking.move("confirmed", tx.now())
    await record_fee(booking, commission_rate, tx)
    tx.publish(fact(BookingConfirmed, booking, confirmed_at=tx.now()), notice("booking_confirmed", booking))


def wait_for_approval(booking: Booking, tx: Tx) -> None:
    """It is paid; the clinic has the next word."""
    status_changed(booking, booking.move("pending_approval", tx.now()), None, tx)
    tx.publish(notice("approval_pending", booking))


def status_changed(booking: Booking, before: str, by: UUID | None, tx: Tx) -> None:
    """Tell siblings of a state that has no event of its own."""
    tx.publish(fact(BookingStatusChanged, booking, previous_status=before, changed_by=by, changed_at=tx.now()))


# --- back -------------------------------------------------------------------------------------------------------------


class Cancellation(BaseModel):
    """What the saga knows."""

    booking_id: UUID
    payment_id: UUID


cancel_booking = service.saga(
    Saga(
        "cancel_booking",
        key="booking_id",
        data=Cancellation,
        # It starts in the transaction that cancels, and is over when the gateway has given the money back. The
        # cancellation is never taken back for a refund that fails; the job goes on trying all the same.
        steps=[Step("return-money", ok=PaymentRefunded, timeout=timedelta(days=30), critical=False)],
    )
)


@dataclass(frozen=True, slots=True)
class CalledOff:
    """What a cancellation gives back in all."""

    percent: int
    amount: Decimal


async def call_off(
    held: Held,
    *,
    by: Actor,
    reason: str,
    percent: int,
    tx: Tx,
    reservation: Literal["cancelled", "expired"] = "cancelled",
) -> CalledOff:
    """Cancel a booking: the seat goes back, and of the price what is due.

    Raises Problem 409 where it cannot be cancelled any more.
    """
    booking, payment, now = held.booking, held.payment, tx.now()
    before = booking.move("cancelled", now)
    booking.cancellation_reason = reason
    if booking.holds_seat:
        booking.holds_seat = False
        await give_seat_back(booking.slot_id, tx)
    end_reservation(held.reservation, reservation, reason, tx)
    back = CalledOff(0, Decimal(0))
    if payment.is_paid:
        back = CalledOff(percent, max(share(payment.amount, percent), payment.asked_back))
    else:
        fail(payment, reason, tx)
    if back.amount > payment.asked_back:
        payment.ask_refund(back.amount - payment.asked_back, reason, now)
        await record_refunds(booking, payment.asked_back, tx)
    if payment.next_refund is not None:
        await tx.start(cancel_booking, Cancellation(booking_id=booking.id, payment_id=payment.id))
    tx.publish(
        fact(
            BookingCancelled, booking, previous_status=before, cancelled_by=by, refund_percent=back.percent,
            refund_amount=back.amount, refund_status="processing" if back.amount else "none", cancelled_at=now,
        ),
        notice("booking_cancelled", booking, reason=reason, refund_amount=f"{back.amount:.2f}"),
    )  # fmt: skip
    return back


def fail(payment: Payment, reason: str, tx: Tx) -> None:
    """Nobody has paid, and it is told; a payment that has come further stays as it is."""
    if payment.status not in ("pending", "processing"):
        return
    payment.status, payment.updated_at = "failed", tx.now()
    tx.publish(
        PaymentFailed(
            payment_id=payment.id, booking_id=payment.booking_id, reason=reason, status=payment.status,
            failed_at=tx.now(),
        )
    )  # fmt: skip


def end_reservation(reservation: Reservation, status: Literal["cancelled", "expired"], reason: str, tx: Tx) -> None:
    """It holds nothing any more; whoever expires one tells of it."""
    if reservation.status not in ("pending", "confirmed"):
        return
    reservation.end(status, tx.now())
    if status == "cancelled":
        tx.publish(
            ReservationCancelled(
                reservation_id=reservation.id, slot_id=reservation.slot_id, user_id=reservation.user_id,
                reason=reason, cancelled_at=tx.now(),
            )
        )  # fmt: skip
