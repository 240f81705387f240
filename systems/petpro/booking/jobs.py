"""What booking does by the clock."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select

from freehold import Tx, Work
from systems.petpro.booking.appointments import call_off, hold, status_changed
from systems.petpro.booking.copies import COPIES
from systems.petpro.booking.declaration import booking
from systems.petpro.booking.finance import settle_due
from systems.petpro.booking.money_tables import Payment
from systems.petpro.booking.payments import give_back
from systems.petpro.booking.reservations import expire_if_due, overdue
from systems.petpro.booking.rules import approval_deadline
from systems.petpro.booking.seats import changed, held_seats
from systems.petpro.booking.settings import BookingSettings
from systems.petpro.booking.tables import Booking, Slot
from systems.petpro.gateway import PaymentGateway

log = logging.getLogger(__name__)


@booking.every(seconds=5)
async def expire_reservations(work: Work, settings: BookingSettings) -> None:
    """End reservations whose time is up, each in a transaction of its own, until none is left."""
    while True:
        async with work.transaction(readonly=True) as tx:
            batch = list(await tx.scalars(overdue(tx).limit(settings.batch)))
        ended = [await work.run(partial(expire_if_due, id)) for id in batch]
        if len(batch) < settings.batch or not any(ended):
            return


@booking.every(minutes=1)
async def approval_timeout(work: Work, settings: BookingSettings, gateway: PaymentGateway) -> None:
    """Cancel what the clinic did not approve in time, and give all of the price back."""
    now = work.now()
    late = or_(
        Payment.paid_at <= now - timedelta(hours=settings.approval_window_hours),
        Booking.starts_at <= now + timedelta(hours=settings.approval_before_start_hours),
    )
    waiting = select(Booking.id).join(Payment, Payment.id == Booking.payment_id).where(_is("pending_approval"), late)
    for id in await _ids(work, waiting):
        payment_id = await work.run(partial(_not_approved, id))
        if payment_id is not None:
            await give_back(payment_id, work, gateway)


async def _not_approved(id: UUID, tx: Tx) -> UUID | None:
    held, settings = await hold(id, tx), tx.use(BookingSettings)
    if held.booking.status != "pending_approval" or held.payment.paid_at is None:
        return None
    deadline = approval_deadline(
        held.payment.paid_at,
        held.booking.starts_at,
        timedelta(hours=settings.approval_window_hours),
        timedelta(hours=settings.approval_before_start_hours),
    )
    if tx.now() < deadline:
        return None
    await call_off(held, by="system", reason="approval_timeout", percent=100, tx=tx)
    return held.payment.id


@booking.every(minutes=1)
async def retry_refunds(work: Work, gateway: PaymentGateway) -> None:
    """Ask the gateway for the refunds that are due, by the same keys as before."""
    due = select(Payment.id).where(Payment.status == "refund_pending", Payment.refund_due_at <= work.now())
    for payment_id in await _ids(work, due.order_by(Payment.refund_due_at)):
        await give_back(payment_id, work, gateway)


@booking.every(minutes=15)
async def mark_no_show(work: Work, settings: BookingSettings) -> None:
    """Nobody came to these."""
    until = work.now() - timedelta(hours=settings.no_show_after_end_hours)
    for id in await _ids(work, select(Booking.id).where(_is("confirmed"), Booking.ends_at < until)):
        await work.run(partial(_missed, id))


async def _missed(id: UUID, tx: Tx) -> None:
    missed = (await hold(id, tx)).booking
    if missed.status == "confirmed":
        status_changed(missed, missed.move("no_show", tx.now()), None, tx)


@booking.every(hours=24)
async def settle_entries(tx: Tx) -> None:
    """Clinics get their share of what was completed some days ago."""
    await settle_due(tx)


@booking.every(hours=1)
async def reconcile_seats(work: Work, settings: BookingSettings) -> None:
    """Compare the count of every slot to come with what holds its seats, and repair it."""
    today = work.now().date() - timedelta(days=1)  # the day before may be today at the clinic
    after: UUID | None = None
    while True:
        mended, after = await work.run(partial(_compare_seats, today, after, settings.batch))
        for _ in range(mended):
            work.drifted("slots.booked_count")
        if after is None:
            return


async def _compare_seats(since: date, after: UUID | None, limit: int, tx: Tx) -> tuple[int, UUID | None]:
    """Compare a page of slots: how many were mended, and the last one's id, or None at the end."""
    wanted = select(Slot).where(Slot.slot_date >= since, *([] if after is None else [Slot.id > after]))
    slots = list(await tx.scalars(wanted.order_by(Slot.id).limit(limit).with_for_update()))
    held = await held_seats([slot.id for slot in slots], tx)
    wrong = [slot for slot in slots if slot.booked_count != held[slot.id]]
    for slot in wrong:
        log.error("slot %s counts %s seats, and %s are held", slot.id, slot.booked_count, held[slot.id])
        _mend(slot, held[slot.id], tx)
    return len(wrong), slots[-1].id if len(slots) == limit else None


def _mend(slot: Slot, held: int, tx: Tx) -> None:
    slot.booked_count, slot.updated_at = held, tx.now()
    slot.capacity = max(slot.capacity, held)
    if slot.status != "blocked":
        slot.status = "booked" if held == slot.capacity else "available"
    changed(slot, tx)


@booking.every(hours=24)
async def reconcile_refs(work: Work) -> None:
    """Compare the copies of users, pets, clinics and offerings with their owners' rows, and repair them."""
    for copy in COPIES:
        await work.reconcile(copy)


def _is(status: str) -> ColumnElement[bool]:
    return Booking.status == status


async def _ids(work: Work, wanted: Select[UUID]) -> list[UUID]:
    async with work.transaction(readonly=True) as tx:
        return list(await tx.scalars(wanted.limit(work.use(BookingSettings).batch)))
