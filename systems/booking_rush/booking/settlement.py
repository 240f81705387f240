"""Bookings and payments agree: what is confirmed is paid, and what is paid is confirmed or given back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Literal
from uuid import UUID

from sqlalchemy import select

from freehold import Problem, Tx, Unavailable, Work
from systems.booking_rush.booking.metrics import STRAY_PAYMENTS, UNPAID
from systems.booking_rush.booking.sagas import PaidBooking, post_payment_saga
from systems.booking_rush.booking.settings import BookingSettings
from systems.booking_rush.booking.tables import Booking
from systems.booking_rush.payment.contract import (
    GetPaymentOfBooking,
    ListSucceededPayments,
    RefundPayment,
    SucceededPayment,
)

log = logging.getLogger(__name__)
Remedy = Literal["saga", "refund"]


@dataclass(slots=True)
class Settled:
    """Up to when everything agrees, as far as this process looked."""

    until: datetime | None = None


@dataclass(slots=True)
class Disagreement:
    """Payments without a confirmed booking, with what was done about each, and bookings confirmed without a payment."""

    stray: dict[UUID, Remedy | None] = field(default_factory=dict)
    unpaid: list[UUID] = field(default_factory=list)


async def compare_payments(work: Work, settled: Settled, settings: BookingSettings) -> Disagreement:
    """Compare what was paid and confirmed since the last time, except what may still be under way.

    A payment without a confirmed booking has its saga started, or is given back where that has ended already. A booking
    without a payment is only reported. Whatever does not agree is looked at again the next time.
    """
    until = work.now() - timedelta(minutes=settings.payment_grace_minutes)
    since = settled.until or until - timedelta(hours=settings.payment_lookback_hours)
    found, open_since = Disagreement(), until
    paid: set[UUID] = set()
    try:
        async for payments in _succeeded(work, since, until, settings.inventory_page):
            paid.update(payment.booking_id for payment in payments)
            for payment in await _without_booking(payments, work):
                found.stray[payment.payment_id] = await work.run(partial(_settle, payment, until))
                open_since = min(open_since, payment.completed_at)
        for booking_id, confirmed_at in await _unpaid(since, until, paid, work):
            found.unpaid.append(booking_id)
            open_since = min(open_since, confirmed_at)
    except Unavailable:
        log.warning("bookings were not compared with payments: payment does not answer")
        return found
    settled.until = open_since
    UNPAID.set(len(found.unpaid))
    return found


async def _succeeded(work: Work, since: datetime, until: datetime, page: int) -> AsyncIterator[list[SucceededPayment]]:
    after: UUID | None = None
    while True:
        payments = await work.ask(ListSucceededPayments(since=since, until=until, after=after, limit=page))
        yield payments
        if len(payments) < page:
            return
        since, after = payments[-1].completed_at, payments[-1].payment_id


async def _without_booking(payments: list[SucceededPayment], work: Work) -> list[SucceededPayment]:
    async with work.transaction(readonly=True) as tx:
        ids = [payment.booking_id for payment in payments]
        confirmed = set(await tx.scalars(select(Booking.id).where(Booking.id.in_(ids), Booking.status == "confirmed")))
    return [payment for payment in payments if payment.booking_id not in confirmed]


async def _settle(payment: SucceededPayment, until: datetime, tx: Tx) -> Remedy | None:
    """Start the saga that was missed; where one has ended and the booking is not confirmed, the money goes back."""
    held = await tx.get(Booking, payment.booking_id, lock=True)
    if held is not None and (held.status == "confirmed" or held.updated_at > until):
        return None
    data = PaidBooking(booking_id=payment.booking_id, payment_id=payment.payment_id, amount=payment.amount)
    saga = await tx.saga(await tx.start(post_payment_saga, data))
    assert saga is not None  # noqa: S101 - it was started, or was there
    remedy: Remedy | None = None
    if saga.status in ("completed", "compensated"):
        tx.send(RefundPayment(booking_id=payment.booking_id))
        remedy = "refund"
    elif saga.created_at == tx.now():
        remedy = "saga"
    if remedy is not None:
        log.error("payment %s has no confirmed booking: %s", payment.payment_id, _DONE[remedy])
        tx.on_commit(STRAY_PAYMENTS.labels(remedy).inc)
    return remedy


_DONE: dict[Remedy, str] = {"saga": "the saga that follows a payment was started", "refund": "it is given back"}


async def _unpaid(since: datetime, until: datetime, paid: set[UUID], work: Work) -> list[tuple[UUID, datetime]]:
    """Bookings confirmed meanwhile whose payment has not succeeded, and when they were."""
    lately = Booking.status == "confirmed", Booking.confirmed_at >= since, Booking.confirmed_at < until
    async with work.transaction(readonly=True) as tx:
        rows = [
            (row.id, row.confirmed_at)
            for row in await tx.execute(select(Booking.id, Booking.confirmed_at).where(*lately))
        ]
    unpaid = [(id, at) for id, at in rows if id not in paid and not await _is_paid(id, work)]
    for id, _ in unpaid:
        log.error("booking %s is confirmed without a succeeded payment", id)
    return unpaid


async def _is_paid(booking_id: UUID, work: Work) -> bool:
    try:
        payment = await work.ask(GetPaymentOfBooking(booking_id=booking_id))
    except Problem as problem:
        if problem.status != 404:
            raise
        return False
    return payment.status in ("succeeded", "refund_pending")
