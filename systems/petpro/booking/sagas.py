"""The flows that booking leads: an appointment from its payment to its confirmation, and a move to another slot."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import update

from freehold import Problem, Saga, Step, Tx, Unavailable
from systems.petpro.booking.appointments import call_off, confirm, hold, wait_for_approval
from systems.petpro.booking.catalogue import service_of
from systems.petpro.booking.contract import BookingCancelled, PaymentProcessed
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.facts import notice
from systems.petpro.booking.moving import Move, move_booking
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import Booking, ClinicRef, Reservation
from systems.petpro.clinic.contract import GetClinic

# --- booking an appointment -------------------------------------------------------------------------------------------


class Appointment(BaseModel):
    """What the saga knows."""

    booking_id: UUID
    reservation_id: UUID
    lock_id: str
    payment_id: UUID
    clinic_id: UUID


async def seat_is_held(data: Appointment, tx: Tx) -> None:
    """The seat was taken by the reservation; from here on, turning back means giving it back."""


async def give_up_seat(data: Appointment, tx: Tx) -> None:
    """Cancel the booking and give its seat back, unless whatever ended it has done so."""
    held = await hold(data.booking_id, tx)
    if held.booking.status == "pending_payment":
        reason = "clinic_unavailable" if held.payment.is_paid else "payment_timeout"
        await call_off(held, by="system", reason=reason, percent=100, tx=tx)


async def return_money(data: Appointment, tx: Tx) -> None:
    """Owe the customer all of it, unless whatever cancelled the booking has decided what goes back."""
    held = await hold(data.booking_id, tx)
    if held.booking.status == "pending_payment" and held.payment.status == "success":
        held.payment.ask_refund(held.payment.amount - held.payment.asked_back, "clinic_unavailable", tx.now())


async def _clinic_now(clinic_id: UUID, tx: Tx) -> tuple[str, Decimal]:
    """Its status and commission rate; a fresh copy says them while clinic does not answer. Raises Unavailable."""
    try:
        clinic = await tx.ask(GetClinic(clinic_id=clinic_id))
    except Unavailable:
        copy = await tx.get(ClinicRef, clinic_id)
        oldest = tx.now() - timedelta(hours=tx.use(BookingSettings).clinic_copy_hours)
        if copy is None or copy.synced_at < oldest:
            raise
        return copy.status, copy.commission_rate
    return clinic.status, clinic.commission_rate


async def confirm_appointment(data: Appointment, tx: Tx) -> None:
    """Confirm what is held and paid, once, if clinic says that it takes appointments, and at the rate that it says.

    Whatever ended the reservation meanwhile turns the saga back.
    """
    status, commission_rate = await _clinic_now(data.clinic_id, tx)
    if status != "approved":
        raise Problem(409, "CLINIC_UNAVAILABLE", f"The clinic is {status}")
    held = await hold(data.booking_id, tx)
    if held.reservation.id != data.reservation_id or held.reservation.status == "confirmed":
        return
    fenced = (
        update(Reservation)
        .where(
            Reservation.id == data.reservation_id,
            Reservation.lock_id == data.lock_id,
            Reservation.status == "pending",
        )
        .values(status="confirmed", updated_at=tx.now())
    )
    done = await tx.execute(fenced)
    if not getattr(done, "rowcount", 0) or held.booking.status != "pending_payment":
        raise Problem(409, "SEAT_LOST", "The reservation has ended")
    if (await service_of(held.booking.service_id, tx)).requires_approval:
        wait_for_approval(held.booking, tx)
    else:
        await confirm(held.booking, commission_rate, tx)


book_appointment = booking.saga(
    Saga(
        "book_appointment",
        key="booking_id",
        data=Appointment,
        steps=[
            Step("hold-seat", do=seat_is_held, undo=give_up_seat),
            # The expiry of the reservation ends the wait long before: by the cancelled booking.
            Step("take-payment", ok=PaymentProcessed, fail=BookingCancelled, undo=return_money, timeout="1h"),
            # Ten minutes, while clinic does not answer and its copy is old.
            Step("confirm", do=confirm_appointment, retries=60, pause="10s"),
        ],
    )
)


# --- moving it --------------------------------------------------------------------------------------------------------


async def tell_customer(data: Move, tx: Tx) -> None:
    """The new time."""
    moved = await tx.get(Booking, data.booking_id)
    if moved is not None and moved.reservation_id == data.reservation_id:
        tx.publish(notice("booking_rescheduled", moved, starts_at=moved.starts_at.isoformat()))


reschedule_booking = booking.saga(
    Saga(
        "reschedule_booking",
        key="reservation_id",
        data=Move,
        steps=[Step("move", do=move_booking), Step("tell-customer", do=tell_customer, retries=3, critical=False)],
    )
)
