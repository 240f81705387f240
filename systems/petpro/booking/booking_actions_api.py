"""The routes that make, move, cancel and finish bookings."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

from freehold import Once, Problem, Tx, User, Work, role, user, uuid7
from systems.petpro.booking.appointments import booking_of, call_off, confirm, hold, status_changed
from systems.petpro.booking.booking_bodies import (
    BookingChange,
    BookingIn,
    BookingOut,
    CancelIn,
    CancelledOut,
    Fee,
    RefundOut,
    RescheduledOut,
    RescheduleIn,
    SlotTimes,
    StatusIn,
    StatusOut,
)
from systems.petpro.booking.booking_making import make_booking
from systems.petpro.booking.clinics import actor, forbidden, require_clinic
from systems.petpro.booking.contract import BookingCompleted, BookingStatus
from systems.petpro.booking.copies import known_clinic
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.facts import fact
from systems.petpro.booking.money_tables import Payment
from systems.petpro.booking.moving import Move, move_booking
from systems.petpro.booking.payments import give_back, open_session
from systems.petpro.booking.rules import CANCELLABLE, Actor, check_transition, invalid_transition, local, refund_percent
from systems.petpro.booking.sagas import reschedule_booking
from systems.petpro.booking.seats import slot_of
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.showing import shown
from systems.petpro.booking.slot_making import find_slot
from systems.petpro.booking.tables import Booking, Slot
from systems.petpro.gateway import PaymentGateway

# --- making -----------------------------------------------------------------------------------------------------------


@booking.post("/bookings", access=role("customer", "admin"), status_code=201, errors=[403, 404, 409, 410, 422])
async def create_booking(
    body: BookingIn, work: Work, caller: User, gateway: PaymentGateway, *, once: Once | None
) -> BookingOut:
    """A booking that waits for its payment, and where to pay."""

    async def steps() -> BookingOut:
        made = once.step("make") if once is not None else None
        booking_id = await work.run(partial(make_booking, body, caller), once=made)
        return await _with_session(booking_id, work, gateway)

    return await (steps() if once is None else work.in_steps(steps, once=once))


async def _with_session(booking_id: UUID, work: Work, gateway: PaymentGateway) -> BookingOut:
    async with work.transaction(readonly=True) as tx:
        payment = await tx.find(Payment, Payment.booking_id == booking_id)
    if payment is not None and payment.url is None:
        await open_session(payment.id, work, gateway)
    async with work.transaction(readonly=True) as tx:
        (out,) = await shown([await booking_of(booking_id, tx)], tx)
    return out


# --- changing ---------------------------------------------------------------------------------------------------------


@booking.put("/bookings/{id}", access=user, errors=[403, 404, 409, 422])
async def change_booking(id: UUID, body: BookingChange, tx: Tx, caller: User) -> BookingOut:
    """Other notes, or another time."""
    seen = await booking_of(id, tx)
    if seen.user_id != caller.id:
        raise forbidden()
    if body.start_time is not None:
        start = local(body.start_time, seen.snapshot["clinic"]["timezone"])
        slot = await find_slot(seen.service_id, start.date(), start.time(), tx)
        await _move(seen, slot.id, "customer", tx)
    if body.notes is not None:
        held = await hold(id, tx)
        held.booking.notes = body.notes
        held.booking.touch(tx.now())
    (out,) = await shown([await booking_of(id, tx)], tx)
    return out


@booking.put("/bookings/{id}/reschedule", access=user, idempotency="optional", errors=[403, 404, 409, 422])
async def reschedule(id: UUID, body: RescheduleIn, tx: Tx, caller: User) -> RescheduledOut:
    """Move it to another slot of its service; the price stays."""
    seen = await booking_of(id, tx)
    by = await actor(seen.user_id, seen.clinic_id, caller, tx)
    old_id = seen.slot_id
    await slot_of(body.new_slot_id, tx)
    moved = await _move(seen, body.new_slot_id, by, tx)
    (out,) = await shown([moved], tx)
    return RescheduledOut(
        booking=out,
        previous_slot=_times(await slot_of(old_id, tx)),
        new_slot=_times(await slot_of(body.new_slot_id, tx)),
        rescheduled_at=moved.updated_at,
        fee=Fee(amount=Decimal(0)),
    )


async def _move(seen: Booking, slot_id: UUID, by: Actor, tx: Tx) -> Booking:
    """Moved now, for the answer; the saga finds that done, and goes on."""
    data = Move(booking_id=seen.id, reservation_id=uuid7(tx.now()), slot_id=slot_id, by=by)
    await move_booking(data, tx)
    await tx.start(reschedule_booking, data)
    return await booking_of(seen.id, tx)


def _times(slot: Slot) -> SlotTimes:
    return SlotTimes(slot_id=slot.id, date=slot.slot_date, start_time=slot.slot_start_time, end_time=slot.slot_end_time)


# --- cancelling -------------------------------------------------------------------------------------------------------


@booking.put("/bookings/{id}/cancel", access=user, idempotency="optional", errors=[403, 404, 409, 422])
@booking.patch("/bookings/{id}/cancel", access=user, idempotency="optional", errors=[403, 404, 409, 422])
@booking.delete("/bookings/{id}", access=user, idempotency="optional", errors=[403, 404, 409, 422])
async def cancel(
    id: UUID, work: Work, caller: User, gateway: PaymentGateway, *, once: Once | None, body: CancelIn | None = None
) -> CancelledOut:
    """Give the seat back, and get back what is due of the price."""
    asked = body or CancelIn()

    async def steps() -> CancelledOut:
        taken = once.step("cancel") if once is not None else None
        percent = await work.run(partial(_cancel, id, asked, caller), once=taken)
        return await _given_back(id, percent, work, gateway)

    return await (steps() if once is None else work.in_steps(steps, once=once))


async def _cancel(id: UUID, asked: CancelIn, caller: User, tx: Tx) -> int:
    """The percentage that goes back."""
    seen = await booking_of(id, tx)
    by = await actor(seen.user_id, seen.clinic_id, caller, tx)
    clinic = await known_clinic(seen.clinic_id, tx)
    held = await hold(id, tx)
    found, now = held.booking, tx.now()
    if found.status == "cancelled":
        return _percent_of(held.payment)
    if found.status not in CANCELLABLE:
        raise invalid_transition(found.status, "cancelled")
    if now >= found.starts_at and found.status != "pending_payment":
        raise Problem(422, "CANCELLATION_NOT_ALLOWED", "The appointment has begun")
    percent = refund_percent(by, found.status, found.starts_at, now) if clinic.status == "approved" else 100
    refused = by == "clinic" and found.status == "pending_approval"
    reason = asked.reason or ("rejected_by_clinic" if refused else f"cancelled_by_{by}")
    if asked.notes is not None:
        found.notes = asked.notes
    return (await call_off(held, by=by, reason=reason, percent=percent, tx=tx)).percent


def _percent_of(payment: Payment) -> int:
    return int(payment.asked_back * 100 / payment.amount) if payment.amount else 0


async def _given_back(id: UUID, percent: int, work: Work, gateway: PaymentGateway) -> CancelledOut:
    async with work.transaction(readonly=True) as tx:
        payment = await tx.find(Payment, Payment.booking_id == id)
    if payment is not None:
        await give_back(payment.id, work, gateway)
    async with work.transaction(readonly=True) as tx:
        found = await booking_of(id, tx)
        payment = await tx.find(Payment, Payment.booking_id == id)
    amount = Decimal(0) if payment is None else payment.asked_back
    done = "none" if not amount else "processing" if payment and payment.next_refund else "refunded"
    return CancelledOut(
        id=id,
        status=found.status,
        cancellation_reason=found.cancellation_reason,
        cancelled_at=found.ended_at,
        refund=RefundOut.model_validate({"eligible": amount > 0, "percent": percent, "amount": amount, "status": done}),
    )


# --- what the clinic does ---------------------------------------------------------------------------------------------


@booking.patch("/bookings/{id}/confirm", access=user, errors=[403, 404, 409])
async def approve(id: UUID, tx: Tx, caller: User) -> BookingOut:
    """Approve a paid booking."""
    found = await _of_clinic(id, tx, caller)
    await _approve(found, tx)
    (out,) = await shown([found], tx)
    return out


@booking.put("/bookings/{id}/check-in", access=user, errors=[403, 404, 409])
async def check_in(id: UUID, tx: Tx, caller: User) -> StatusOut:
    """The customer is there."""
    found = await _of_clinic(id, tx, caller)
    await _advance(found, "in_progress", caller, tx)
    return _status(found)


@booking.put("/bookings/{id}/status", access=user, errors=[403, 404, 409, 422])
async def set_status(id: UUID, body: StatusIn, work: Work, caller: User, gateway: PaymentGateway) -> StatusOut:
    """Take the next state, as far as the clinic decides it."""
    if body.status == "cancelled":
        await work.run(partial(_refuse, id, body.notes, caller))
        await _given_back(id, 100, work, gateway)
    else:
        await work.run(partial(_set_status, id, body, caller))
    async with work.transaction(readonly=True) as tx:
        return _status(await booking_of(id, tx))


async def _refuse(id: UUID, notes: str | None, caller: User, tx: Tx) -> None:
    await require_clinic((await booking_of(id, tx)).clinic_id, caller, tx)
    await _cancel(id, CancelIn(notes=notes), caller, tx)


async def _set_status(id: UUID, body: StatusIn, caller: User, tx: Tx) -> None:
    found = await _of_clinic(id, tx, caller)
    await _advance(found, body.status, caller, tx)
    if body.notes is not None:
        found.notes = body.notes


async def _of_clinic(id: UUID, tx: Tx, caller: User) -> Booking:
    """A booking of the caller's clinic, locked. Raises Problem 404 or 403."""
    seen = await booking_of(id, tx)
    await require_clinic(seen.clinic_id, caller, tx)
    await known_clinic(seen.clinic_id, tx)
    return (await hold(id, tx)).booking


async def _advance(found: Booking, status: BookingStatus, caller: User, tx: Tx) -> None:
    """Raises Problem 409 for what does not follow, or not yet. What it is already stays."""
    if found.status == status:
        return
    if status == "confirmed":
        await _approve(found, tx)
        return
    if status not in ("in_progress", "completed", "no_show"):
        raise invalid_transition(found.status, status)
    check_transition(found.status, status)
    earliest = _earliest(found, status, tx)
    if tx.now() < earliest:
        raise invalid_transition(found.status, status, f"Not before {earliest.isoformat()}")
    before = found.move(status, tx.now())
    if status == "completed":
        name = found.snapshot["service"]["name"]
        tx.publish(fact(BookingCompleted, found, service_name=name, completed_at=tx.now()))
    else:
        status_changed(found, before, caller.id, tx)


def _earliest(found: Booking, status: BookingStatus, tx: Tx) -> datetime:
    if status != "in_progress":
        return found.starts_at if status == "no_show" else found.created_at
    return found.starts_at - timedelta(hours=tx.use(BookingSettings).check_in_before_start_hours)


async def _approve(found: Booking, tx: Tx) -> None:
    if found.status == "confirmed":
        return
    if found.status != "pending_approval":
        raise invalid_transition(found.status, "confirmed")
    clinic = await known_clinic(found.clinic_id, tx)
    await confirm(found, clinic.commission_rate, tx)


def _status(found: Booking) -> StatusOut:
    return StatusOut(id=found.id, status=found.status, updated_at=found.updated_at)
